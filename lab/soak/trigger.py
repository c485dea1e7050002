"""Runs started by Temporal's trigger, each confirmed: Temporal may lose a trigger, and its caller has to repeat it."""

import asyncio
import time
from typing import Final

from temporalio.client import Client, ScheduleDescription, ScheduleOverlapPolicy
from temporalio.service import RPCError, RPCStatusCode

from backup_scheduler.jobs.names import schedule_id
from lab.soak.job import Job

BETWEEN: Final = 1.1
"""Seconds between two triggers of one job (docs/temporal-facts.md#workflow-ids-name-the-second)."""

_PATIENCE = 2.0
"""Seconds in which a trigger has to show in the description."""

_PAUSE = 0.2
_LONGEST_OUTAGE = 120
"""Seconds after which Temporal counts as gone for good."""


class Triggers:
    """Asks Temporal for runs, past the RPC service, as an operator does."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def run(self, job: Job, *, may_wait: bool) -> bool:
        """Run the job once; return False when it could not be triggered now.

        `may_wait` lets the run wait for the one before. Such a run gets lost when its job is paused or removed
        (docs/api.md#pause, docs/api.md#remove_job), so only jobs that stay take one.
        """
        handle = self._client.get_schedule_handle(schedule_id(job.scheduler_id))
        await self.settle(job)
        before = await self._described(job)
        if before is None or (not may_wait and (before.info.running_actions or _waiting(before))):
            return False
        if _taken(before) != job.taken:  # a start that is under way, or one that was not confirmed in time
            return False
        await asyncio.sleep(BETWEEN)
        try:
            await handle.trigger(overlap=ScheduleOverlapPolicy.BUFFER_ALL)
        except (RPCError, RuntimeError) as error:
            if isinstance(error, RPCError) and error.status == RPCStatusCode.NOT_FOUND:
                return False
        deadline = time.monotonic() + _PATIENCE
        while True:
            now = await self._described(job)
            # While a run is being started it counts neither as taken nor as waiting.
            if now is not None and (may_wait or not _waiting(now)) and _count(job, now):
                return True
            if now is None or time.monotonic() > deadline:
                job.unconfirmed += 1
                return False
            await asyncio.sleep(_PAUSE)

    async def settle(self, job: Job) -> None:
        """Count runs that Temporal confirmed too late."""
        now = await self._described(job)
        if now is not None:
            job.unconfirmed = max(0, job.unconfirmed - _count(job, now))

    async def _described(self, job: Job) -> ScheduleDescription | None:
        """Describe the schedule, waiting for Temporal where it is down; None when there is none."""
        handle = self._client.get_schedule_handle(schedule_id(job.scheduler_id))
        async with asyncio.timeout(_LONGEST_OUTAGE):
            while True:
                try:
                    return await handle.describe()
                except (RPCError, RuntimeError) as error:
                    if isinstance(error, RPCError) and error.status == RPCStatusCode.NOT_FOUND:
                        return None
                await asyncio.sleep(_PAUSE)


def _waiting(description: ScheduleDescription) -> int:
    return int(description.raw_description.info.buffer_size)


def _count(job: Job, now: ScheduleDescription) -> int:
    return job.count(now.info.created_at, _taken(now))


def _taken(description: ScheduleDescription) -> int:
    return description.info.num_actions + _waiting(description)
