"""The pass over all jobs: keeps them at their wall-clock start_time, and reports runs that Temporal has dropped."""

from datetime import UTC, datetime
from typing import Annotated, Final
from zoneinfo import ZoneInfoNotFoundError

import structlog
from pydantic import BaseModel, Field
from temporalio import activity
from temporalio.client import Client
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode

from backup_scheduler.contract.errors import BrokenJob
from backup_scheduler.jobs.from_schedule import Losses, ScheduledJob
from backup_scheduler.jobs.timing import phase
from backup_scheduler.temporal.lists import for_each_job
from backup_scheduler.temporal.stored_jobs import StoredJob, read_job

_log = structlog.stdlib.get_logger(__name__)

_AT_ONCE: Final = 5
"""Jobs looked at side by side: callers of the RPC service come first."""

_MOST_NAMED: Final = 100

_LONGEST_REASON: Final = 300


class Pass(BaseModel):
    """What a pass over all jobs did and saw; of each kind at most the first 100 jobs are named."""

    looked_at: int = 0
    realigned: int = 0
    scheduler_ids: list[str] = []
    """Of those realigned."""
    runs_waiting: int = 0
    """Runs that wait for the one before."""
    runs_dropped: int = 0
    """Runs that came due while as many waited as Temporal keeps (1,000 for a job), since the jobs were made."""
    runs_missed_catchup: int = 0
    """Occurrences too old to be made up for, since the jobs were made; Temporal may count one again."""
    dropped_jobs: Annotated[list[str], Field(alias="losers")] = []
    """The scheduler_ids of jobs with dropped runs; the alias is its name in the results of earlier passes."""
    failed: int = 0
    """Jobs that are not kept at their start_time, because they are broken or could not be asked for."""
    failures: dict[str, str] = {}
    """Why, by the id of the schedule."""


class _NotKept(Exception):
    """Why a job is not kept at its start_time."""


class AllJobs:
    """Looks after jobs through the worker's own client."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._told: dict[str, Losses] = {}
        """What the log has of each job, so that a loss is one line and not one an hour."""
        self._told_failures: dict[str, str] = {}

    @activity.defn
    async def look_after(self) -> Pass:
        """Move every job whose next run would not be at its start_time, and add up what Temporal lost.

        Changes nothing where nothing is to be changed, so it may run at any time and any number of times. A job that
        cannot be looked after is told of and keeps no other one from it; a pass that could do nothing at all fails,
        and one whose list of jobs breaks off does so after it did what it could.
        """
        try:
            return await self._pass()
        except ApplicationError as failure:
            _log.error("pass over all jobs failed", reason=failure.message, attempt=activity.info().attempt)
            raise

    async def _pass(self) -> Pass:
        done = Pass()
        told: dict[str, Losses] = {}
        failures: dict[str, str] = {}
        out_of_reach = 0

        async def look_at(schedule_id: str) -> None:
            nonlocal out_of_reach
            try:
                await self._look_after(schedule_id, done, told)
            except Exception as error:  # whatever it is, the other jobs have nothing to do with it
                failures[schedule_id] = _reason(error)
                out_of_reach += isinstance(error, RPCError)
            done.looked_at += 1
            activity.heartbeat(done.looked_at)

        broken_off = await for_each_job(self._client, _AT_ONCE, look_at)
        self._tell(failures)
        done.failed = len(failures)
        done.failures = dict(list(failures.items())[:_MOST_NAMED])
        self._told = told
        _measure(done)
        if broken_off is not None:
            raise ApplicationError(f"the list of jobs broke off after {done.looked_at}: {_reason(broken_off)}")
        if 0 < out_of_reach == done.looked_at:
            schedule_id, reason = next(iter(failures.items()))
            raise ApplicationError(f"none of {out_of_reach} jobs could be reached; {schedule_id!r}: {reason}")
        return done

    async def _look_after(self, schedule_id: str, done: Pass, told: dict[str, Losses]) -> None:
        """Look after one job; raises whatever keeps it from that."""
        try:
            job = await read_job(self._client, schedule_id)
            if job is None:
                return
            told[schedule_id] = job.losses
            self._add(done, job)
            if job.broken:
                raise _NotKept(job.broken)
            first_run = _first_run(job)
            if first_run is None:
                return
            # A change made meanwhile wins; the next pass looks at what it left.
            offset = phase(first_run, job.request.every)
            await StoredJob(self._client, job.request.scheduler_id).move(job, offset, first_run)
        except RPCError as error:
            if error.status == RPCStatusCode.NOT_FOUND:  # removed since it was listed
                return
            raise
        _log.info("job realigned", scheduler_id=job.request.scheduler_id, first_run=first_run.isoformat())
        done.realigned += 1
        done.scheduler_ids = [*done.scheduler_ids, job.request.scheduler_id][:_MOST_NAMED]

    def _add(self, done: Pass, job: ScheduledJob) -> None:
        losses, scheduler_id = job.losses, job.request.scheduler_id
        done.runs_waiting += losses.waiting
        done.runs_dropped += losses.dropped
        done.runs_missed_catchup += losses.missed_catchup
        if losses.dropped:
            done.dropped_jobs = [*done.dropped_jobs, scheduler_id][:_MOST_NAMED]
        known = self._told.get(job.schedule_id, Losses())
        if losses.dropped > known.dropped:
            _log.error(
                "runs dropped: too many waited for the one before",
                scheduler_id=scheduler_id,
                dropped=losses.dropped,
                waiting=losses.waiting,
            )
        if losses.missed_catchup > known.missed_catchup:
            _log.warning(
                "occurrences too old to be made up for; Temporal may count one again",
                scheduler_id=scheduler_id,
                missed_catchup=losses.missed_catchup,
            )

    def _tell(self, failures: dict[str, str]) -> None:
        for schedule_id, reason in failures.items():
            if self._told_failures.get(schedule_id) != reason:
                _log.error("job not kept at its start_time", scheduler_id=schedule_id, reason=reason)
        self._told_failures = failures


def _first_run(job: ScheduledJob) -> datetime | None:
    """Return the next run of a job that has to be moved now."""
    try:
        return job.realigned(datetime.now(UTC))
    except ZoneInfoNotFoundError:
        zone = job.request.timezone
        reason = f"this worker does not know its time zone {zone!r}: bring the machine's tzdata up to date"
        raise _NotKept(reason) from None


def _reason(error: Exception) -> str:
    """Return one sentence; errors that nobody foresaw go with their type."""
    foreseen = isinstance(error, (_NotKept, BrokenJob))
    text = str(error) if foreseen else f"{type(error).__name__}: {error}"
    return text if len(text) <= _LONGEST_REASON else f"{text[: _LONGEST_REASON - 1]}…"


def _measure(done: Pass) -> None:
    """Show the sums of a pass as metrics; of one job each would be too many series, the log and Temporal have those."""
    meter = activity.metric_meter()
    for name, value, description in (
        ("jobs", done.looked_at, "Jobs that stand in Temporal"),
        ("jobs_not_kept", done.failed, "Jobs that are broken or could not be asked for, not kept at their start_time"),
        ("runs_waiting", done.runs_waiting, "Runs that wait for the one before"),
        ("runs_dropped", done.runs_dropped, "Runs dropped because too many waited, since the jobs were made"),
        ("runs_missed_catchup", done.runs_missed_catchup, "Occurrences too old to be made up for; may count one twice"),
    ):
        meter.create_gauge(f"backup_scheduler_{name}", description).set(value)
