"""The pass over all jobs: keeps them at their wall-clock start_time, and reports runs that Temporal has dropped."""

import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Annotated, Final
from zoneinfo import ZoneInfoNotFoundError

import structlog
from pydantic import BaseModel, Field
from temporalio import activity
from temporalio.client import Client
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode

from activities.resume_jobs import end_pause
from backup_scheduler.contract.errors import BrokenJob
from backup_scheduler.jobs.from_schedule import Losses, ScheduledJob, without_workers
from backup_scheduler.jobs.names import runs_queue
from backup_scheduler.jobs.notes import SwitchNote
from backup_scheduler.jobs.timing import phase
from backup_scheduler.temporal.lists import for_each_job
from backup_scheduler.temporal.schedule_engine import is_on_new_engine, on_old_engine
from backup_scheduler.temporal.stored_jobs import StoredJob, read_job
from backup_scheduler.temporal.task_queues import has_workers

_log = structlog.stdlib.get_logger(__name__)

_CONCURRENT_JOBS: Final = 5
"""Jobs that a pass checks at the same time. Few: callers of the RPC service come first."""

_ENDS_WITHIN: Final = timedelta(minutes=5)
"""Time after the end of a pause within which its timer resumes the jobs."""

_MOST_NAMED: Final = 100

_LONGEST_REASON: Final = 300


class Pass(BaseModel):
    """Result of a pass over all jobs. Each list or dict names at most the first 100 jobs."""

    looked_at: int = 0
    realigned: int = 0
    scheduler_ids: list[str] = []
    """The jobs that were realigned."""
    runs_waiting: int = 0
    """Runs that wait for the run before."""
    runs_dropped: int = 0
    """Runs that came due when 1,000 runs of their job waited already, since the jobs were made
    (docs/temporal-facts.md#a-thousand-runs-wait)."""
    runs_missed_catchup: int = 0
    """Occurrences too old to be made up for, since the jobs were made. Temporal may count one more than once
    (docs/temporal-facts.md#missed-catch-up-counts-twice)."""
    dropped_jobs: Annotated[list[str], Field(alias="losers")] = []
    """The scheduler_ids of jobs with dropped runs; the alias is its name in the results of earlier passes."""
    failed: int = 0
    """Jobs that the pass could not keep at their start_time: broken jobs, and jobs that it could not read."""
    failures: dict[str, str] = {}
    """Reason of each failure, by schedule id."""
    on_new_engine: int = 0
    """Jobs whose schedules are on the server's newer engine (CHASM), which loses runs that have a jitter."""
    new_engine_jobs: list[str] = []
    """Their scheduler_ids."""

    def count(self, scheduler_id: str, losses: Losses) -> None:
        """Add the losses of a job."""
        self.runs_waiting += losses.waiting
        self.runs_dropped += losses.dropped
        self.runs_missed_catchup += losses.missed_catchup
        if losses.dropped:
            self.dropped_jobs = [*self.dropped_jobs, scheduler_id][:_MOST_NAMED]


class _NotKept(Exception):
    """A job is not kept at its start_time; the text is the reason."""


class AllJobs:
    """Keeps jobs at their start_time, through the worker's own client."""

    def __init__(self) -> None:
        self._logged_losses: dict[str, Losses] = {}
        """Losses that the log has, by schedule id: a loss is one line, not one line an hour."""
        self._logged_failures: dict[str, str] = {}
        self._logged_new_engine: set[str] = set()

    @property
    def _client(self) -> Client:
        """The worker's client of this moment: the worker gets another one when its settings are renewed."""
        return activity.client()

    @activity.defn
    async def look_after(self) -> Pass:
        """Move each job whose next run would not be at its start_time, and add up the runs that Temporal lost.

        Changes only jobs that have to move, so it may run at any time and any number of times. A job that fails is
        reported, and the other jobs go on. The pass itself fails when it could reach none of the jobs, or, after its
        work, when the list of jobs broke off.
        """
        try:
            return await self._pass()
        except ApplicationError as failure:
            _log.error("pass over all jobs failed", reason=failure.message, attempt=activity.info().attempt)
            raise

    async def _pass(self) -> Pass:
        result = Pass()
        losses: dict[str, Losses] = {}
        failures: dict[str, str] = {}
        unreached = 0
        seen: dict[str, str] = {}
        clock = _clock_of_temporal()

        async def check(schedule_id: str) -> None:
            nonlocal unreached
            try:
                await self._look_after(schedule_id, result, losses, seen, clock)
            except Exception as error:  # any fault of one job must not stop the others
                failures[schedule_id] = _reason(error)
                unreached += isinstance(error, RPCError)
            result.looked_at += 1
            activity.heartbeat(result.looked_at)

        broken_off = await for_each_job(self._client, _CONCURRENT_JOBS, check)
        self._log_failures(failures)
        result.failed = len(failures)
        result.failures = dict(list(failures.items())[:_MOST_NAMED])
        self._logged_losses = losses
        if broken_off is None:
            await self._look_for_new_engine(result, seen)
        _set_gauges(result)
        if broken_off is not None:
            raise ApplicationError(f"the list of jobs broke off after {result.looked_at}: {_reason(broken_off)}")
        if 0 < unreached == result.looked_at:
            schedule_id, reason = next(iter(failures.items()))
            raise ApplicationError(f"none of {unreached} jobs could be reached; {schedule_id!r}: {reason}")
        return result

    async def _look_for_new_engine(self, result: Pass, seen: dict[str, str]) -> None:
        """Name those of the seen jobs that are on the newer engine."""
        try:
            suspects = seen.keys() - await on_old_engine(self._client)
            found = {seen[each] for each in sorted(suspects) if await is_on_new_engine(self._client, each)}
        except RPCError as error:
            _log.warning("it is not known which engine has the schedules", reason=_reason(error))
            return
        if new := found - self._logged_new_engine:
            _log.error(
                "jobs on the server's newer schedule engine, which loses runs: switch it off, remove and add them",
                jobs=len(found),
                scheduler_ids=sorted(new)[:_MOST_NAMED],
            )
        self._logged_new_engine = found
        result.on_new_engine = len(found)
        result.new_engine_jobs = sorted(found)[:_MOST_NAMED]

    async def _look_after(
        self,
        schedule_id: str,
        result: Pass,
        losses: dict[str, Losses],
        seen: dict[str, str],
        clock: Callable[[], datetime],
    ) -> None:
        """Check one job and move it where needed. Raises _NotKept, BrokenJob or any error of the client."""
        try:
            job = await read_job(self._client, schedule_id)
            if job is None:
                return
            seen[schedule_id] = job.request.scheduler_id
            losses[schedule_id] = job.losses
            result.count(job.request.scheduler_id, job.losses)
            self._log_losses(job)
            if job.broken:
                raise _NotKept(job.broken)
            await self._end_pause(job, clock())
            await self._realign(job, result, clock())
        except RPCError as error:
            if error.status == RPCStatusCode.NOT_FOUND:  # removed since it was listed
                return
            raise
        if not await self._has_workers(job.task_queue):
            raise _NotKept(without_workers(job.task_queue))

    async def _end_pause(self, job: ScheduledJob, now: datetime) -> None:
        """Resume a job whose pause should be over: its timer ended before the pause was made, or is lost."""
        note = SwitchNote.read(job.note)
        if not job.paused or note is None or note.until is None or note.id is None or now < note.until + _ENDS_WITHIN:
            return
        stored = StoredJob(self._client, job.request.scheduler_id)
        if await end_pause(stored, note.id, f"overdue end of {note.id}"):
            _log.warning("job resumed long after the end of its pause", scheduler_id=job.request.scheduler_id)

    async def _realign(self, job: ScheduledJob, result: Pass, now: datetime) -> None:
        """Move a job to its start_time where that is needed."""
        first_run = _first_run(job, now)
        if first_run is None:
            return
        # A change made meanwhile wins; the next pass checks its result.
        offset = phase(first_run, job.request.every)
        await StoredJob(self._client, job.request.scheduler_id).move(job, offset, first_run)
        _log.info("job realigned", scheduler_id=job.request.scheduler_id, first_run=first_run.isoformat())
        result.realigned += 1
        result.scheduler_ids = [*result.scheduler_ids, job.request.scheduler_id][:_MOST_NAMED]

    async def _has_workers(self, task_queue: str) -> bool:
        """Return whether a worker takes runs from a task queue; those of this pass have one, its own."""
        return task_queue == runs_queue(activity.info().task_queue) or await has_workers(self._client, task_queue)

    def _log_losses(self, job: ScheduledJob) -> None:
        losses, scheduler_id = job.losses, job.request.scheduler_id
        known = self._logged_losses.get(job.schedule_id, Losses())
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

    def _log_failures(self, failures: dict[str, str]) -> None:
        for schedule_id, reason in failures.items():
            if self._logged_failures.get(schedule_id) != reason:
                _log.error("job not kept at its start_time", scheduler_id=schedule_id, reason=reason)
        self._logged_failures = failures


def _clock_of_temporal() -> Callable[[], datetime]:
    """Return Temporal's clock: this machine's may be wrong, and a job that moves at a wrong moment may lose a run."""
    started, began = activity.info().started_time, time.monotonic()
    return lambda: started + timedelta(seconds=time.monotonic() - began)


def _first_run(job: ScheduledJob, now: datetime) -> datetime | None:
    """Return the new first run of a job that has to move at this moment; None when it need not move."""
    try:
        return job.realigned(now)
    except ZoneInfoNotFoundError:
        zone = job.request.timezone
        reason = f"this worker does not know its time zone {zone!r}: bring the machine's tzdata up to date"
        raise _NotKept(reason) from None


def _reason(error: Exception) -> str:
    """Return the error as one sentence; an unexpected error has its type before it."""
    is_expected = isinstance(error, (_NotKept, BrokenJob))
    text = str(error) if is_expected else f"{type(error).__name__}: {error}"
    return text if len(text) <= _LONGEST_REASON else f"{text[: _LONGEST_REASON - 1]}…"


def _set_gauges(result: Pass) -> None:
    """Set the metrics to the sums of a pass. Series for each job would be too many; the log and Temporal name jobs."""
    meter = activity.metric_meter()
    for name, value, description in (
        ("jobs", result.looked_at, "Jobs that stand in Temporal"),
        (
            "jobs_not_kept",
            result.failed,
            "Jobs that are broken or could not be asked for, not kept at their start_time",
        ),
        ("jobs_on_new_engine", result.on_new_engine, "Jobs on the server's newer schedule engine, which loses runs"),
        ("runs_waiting", result.runs_waiting, "Runs that wait for the one before"),
        ("runs_dropped", result.runs_dropped, "Runs dropped because too many waited, since the jobs were made"),
        (
            "runs_missed_catchup",
            result.runs_missed_catchup,
            "Occurrences too old to be made up for; may count one twice",
        ),
    ):
        meter.create_gauge(f"backup_scheduler_{name}", description).set(value)
