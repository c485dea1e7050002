"""Keeps jobs in zones with daylight saving at their wall-clock start_time."""

import asyncio
from datetime import UTC, datetime

import structlog
from pydantic import BaseModel
from temporalio import activity
from temporalio.client import Client, ScheduleActionStartWorkflow
from temporalio.service import RPCError, RPCStatusCode

from backup_scheduler.schedules import ALL_JOBS, Aim, ScheduledJob, schedule_for, search_attributes
from backup_scheduler.temporal import replace_schedule

_log = structlog.stdlib.get_logger(__name__)

_AT_ONCE = 5
"""Jobs looked at side by side: callers of the RPC service come first."""

_MOST_NAMED = 100


class Realignment(BaseModel):
    """What a pass over all jobs did."""

    looked_at: int = 0
    realigned: int = 0
    scheduler_ids: list[str] = []
    """Of those realigned, at most the first 100."""


class WallClock:
    """Realigns jobs through the worker's own client."""

    def __init__(self, client: Client) -> None:
        self._client = client

    @activity.defn
    async def realign_jobs(self) -> Realignment:
        """Aim every job anew whose next run would not be at its start_time.

        Changes nothing where nothing is to be changed, so it may run at any time and any number of times.
        """
        done = Realignment()
        places = asyncio.Semaphore(_AT_ONCE)

        async def look_at(schedule_id: str) -> None:
            async with places:
                aim = await self._realign(schedule_id)
                done.looked_at += 1
                activity.heartbeat(done.looked_at)
                if aim is not None:
                    done.realigned += 1
                    done.scheduler_ids = [*done.scheduler_ids, aim.request.scheduler_id][:_MOST_NAMED]

        async with asyncio.TaskGroup() as group:
            async for entry in await self._client.list_schedules(ALL_JOBS):
                group.create_task(look_at(entry.id))
        return done

    async def _realign(self, schedule_id: str) -> Aim | None:
        handle = self._client.get_schedule_handle(schedule_id)
        try:
            job = ScheduledJob.read(await handle.describe())
            aim = job.realigned(datetime.now(UTC)) if job else None
            if job is None or aim is None:
                return None
            action = job.schedule.action
            assert isinstance(action, ScheduleActionStartWorkflow)  # noqa: S101  # read() would have returned None
            schedule = schedule_for(aim, action.task_queue, job.schedule.state)
            # A change made meanwhile wins; the next pass looks at what it left.
            await replace_schedule(self._client, job.description, schedule, search_attributes(aim.request))
        except RPCError as error:
            if error.status == RPCStatusCode.NOT_FOUND:  # removed since it was listed
                return None
            raise
        _log.info("job realigned", scheduler_id=aim.request.scheduler_id, first_run=aim.first_run.isoformat())
        return aim
