"""Jobs to measure with, and jobs that are all due at one moment."""

import asyncio
import time
import uuid
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from temporalio.api.workflowservice.v1 import DescribeScheduleRequest, DescribeScheduleResponse
from temporalio.client import Client

from backup_scheduler.jobs.names import schedule_id
from backup_scheduler.jobs.request import BackupRequest
from backup_scheduler.jobs.terms import BackupJob
from backup_scheduler.jobs.to_schedule import Alignment, memo_for, schedule_attributes, schedule_for
from backup_scheduler.settings import Settings

POLICY = "bench"
QUEUE: str = Settings.model_fields["task_queue"].default
"""Task queue of our services as they are shipped. Settings are not read for each job: ours does not do that either."""
_AT_ONCE = 20
"""Schedules made at once; more do not make a server faster."""


def arguments(scheduler_id: str, *, start_time: str = "02:01", duration: int = 1) -> dict[str, Any]:
    """Return the arguments of an add by RPC; `job` is passed on to the backup target."""
    return {
        "scheduler_id": scheduler_id,
        "policy_name": POLICY,
        "days": 1,
        "start_time": start_time,
        "duration": duration,
        "misfire_grace_time": 3600,
        "job": scheduler_id,
    }


def alignment(scheduler_id: str, first_run: datetime | None = None, *, start_time: str = "02:01") -> Alignment:
    """Return a job's alignment to its start_time, or to a moment of any second; RPC knows only minutes."""
    if first_run is None:
        job = BackupJob.from_call((), arguments(scheduler_id, start_time=start_time))
        return Alignment.at(datetime.now(UTC), job, "UTC")
    given = arguments(scheduler_id, start_time=f"{first_run:%H:%M}", duration=0)
    return Alignment(BackupRequest.of(BackupJob.from_call((), given), "UTC", first_run.date()), first_run)


async def describe(client: Client, scheduler_id: str) -> DescribeScheduleResponse:
    """Ask for the schedule of a job; the answer is Temporal's own message."""
    request = DescribeScheduleRequest(namespace=client.namespace, schedule_id=schedule_id(scheduler_id))
    return await client.workflow_service.describe_schedule(request, retry=True)


async def create(client: Client, where: Alignment) -> None:
    """Make the schedule of a job and describe it, as the RPC service does before it answers an add."""
    request, request_id = where.request, str(uuid.uuid4())
    await client.create_schedule(
        schedule_id(request.scheduler_id),
        schedule_for(where, QUEUE, request_id),
        memo=memo_for(request, request_id),
        search_attributes=schedule_attributes(request),
    )
    await describe(client, request.scheduler_id)


Make = Callable[[Client, Alignment], Awaitable[None]]
"""Makes the schedule of a job."""


async def create_all(client: Client, alignments: list[Alignment], make: Make = create) -> None:
    """Make many jobs."""
    places = asyncio.Semaphore(_AT_ONCE)

    async def one(where: Alignment) -> None:
        async with places:
            await make(client, where)

    await asyncio.gather(*map(one, alignments))


def moment_in(seconds: float) -> datetime:
    """Return a whole second ahead, with no full hour in between, at which a pass over all jobs would begin.

    That pass would move jobs whose moment is not at a full minute, as no job by RPC is.
    """
    now = time.time()
    if now // 3600 != (now + seconds + 2) // 3600:
        time.sleep(3600 - now % 3600 + 5)
        now = time.time()
    return datetime.fromtimestamp(int(now + seconds) + 1, UTC)


def sleep_until(moment: datetime, before: timedelta = timedelta(0)) -> None:
    """Sleep until a moment less the time `before`."""
    time.sleep(max(0.0, (moment - before - datetime.now(UTC)).total_seconds()))
