"""The pass over all jobs: keeps them at their wall-clock start_time, and reports runs that Temporal has dropped."""

import asyncio
from datetime import UTC, datetime

import structlog
from pydantic import BaseModel
from temporalio import activity
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from backup_scheduler.scheduled_jobs import ALL_JOBS, Losses, ScheduledJob
from backup_scheduler.schedules import Aim, schedule_for, search_attributes
from backup_scheduler.temporal import describe_schedule, replace_schedule

_log = structlog.stdlib.get_logger(__name__)

_AT_ONCE = 5
"""Jobs looked at side by side: callers of the RPC service come first."""

_MOST_NAMED = 100


class Pass(BaseModel):
    """What a pass over all jobs did and saw; at most the first 100 jobs are named."""

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
    losers: list[str] = []
    """The scheduler_ids of jobs with runs that were dropped."""


class AllJobs:
    """Looks after jobs through the worker's own client."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._told: dict[str, Losses] = {}
        """What the log has of each job, so that a loss is one line and not one an hour."""

    @activity.defn
    async def look_after(self) -> Pass:
        """Aim every job anew whose next run would not be at its start_time, and add up what Temporal lost.

        Changes nothing where nothing is to be changed, so it may run at any time and any number of times.
        """
        done = Pass()
        told: dict[str, Losses] = {}
        places = asyncio.Semaphore(_AT_ONCE)

        async def look_at(schedule_id: str) -> None:
            async with places:
                job = await self._read(schedule_id)
                aim = await self._realign(job) if job else None
            done.looked_at += 1
            activity.heartbeat(done.looked_at)
            if job is not None:
                told[schedule_id] = job.losses
                self._add(done, job)
            if aim is not None:
                done.realigned += 1
                done.scheduler_ids = [*done.scheduler_ids, aim.request.scheduler_id][:_MOST_NAMED]

        async with asyncio.TaskGroup() as group:
            async for entry in await self._client.list_schedules(ALL_JOBS):
                group.create_task(look_at(entry.id))
        self._told = told
        _measure(done)
        return done

    async def _read(self, schedule_id: str) -> ScheduledJob | None:
        try:
            return ScheduledJob.read(schedule_id, await describe_schedule(self._client, schedule_id))
        except RPCError as error:
            if error.status == RPCStatusCode.NOT_FOUND:  # removed since it was listed
                return None
            raise

    def _add(self, done: Pass, job: ScheduledJob) -> None:
        losses, scheduler_id = job.losses, job.request.scheduler_id
        done.runs_waiting += losses.waiting
        done.runs_dropped += losses.dropped
        done.runs_missed_catchup += losses.missed_catchup
        if losses.dropped:
            done.losers = [*done.losers, scheduler_id][:_MOST_NAMED]
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

    async def _realign(self, job: ScheduledJob) -> Aim | None:
        aim = job.realigned(datetime.now(UTC))
        if aim is None:
            return None
        schedule = schedule_for(aim, job.task_queue, changed_by=job.changed_by)
        attributes = search_attributes(aim.request)
        try:
            # A change made meanwhile wins; the next pass looks at what it left.
            await replace_schedule(self._client, job.schedule_id, job.told, schedule, attributes)
        except RPCError as error:
            if error.status == RPCStatusCode.NOT_FOUND:  # removed since it was described
                return None
            raise
        _log.info("job realigned", scheduler_id=aim.request.scheduler_id, first_run=aim.first_run.isoformat())
        return aim


def _measure(done: Pass) -> None:
    """Show the sums of a pass as metrics; of one job each would be too many series, the log and Temporal have those."""
    meter = activity.metric_meter()
    for name, value, description in (
        ("jobs", done.looked_at, "Jobs that stand in Temporal"),
        ("runs_waiting", done.runs_waiting, "Runs that wait for the one before"),
        ("runs_dropped", done.runs_dropped, "Runs dropped because too many waited, since the jobs were made"),
        ("runs_missed_catchup", done.runs_missed_catchup, "Occurrences too old to be made up for; may count one twice"),
    ):
        meter.create_gauge(f"backup_scheduler_{name}", description).set(value)
