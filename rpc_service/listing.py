"""Every job at once: which there are, and how each stands."""

import asyncio
from typing import Final

from temporalio.client import Client
from temporalio.service import RPCError

from backup_scheduler.errors import BrokenJob, ListTimeout, SchedulerError
from backup_scheduler.scheduled_jobs import ALL_JOBS, ScheduledJob
from backup_scheduler.temporal import describe_schedule
from rpc_service.faults import answering, is_missing, is_new_namespace

LIST_DEADLINE: Final = 60.0
"""Seconds that describing all jobs may take: twice what 10,000 of them take on a development server of two cores."""

_DESCRIBED_AT_ONCE: Final = 20
"""describe calls in flight for one list; more do not make a server faster."""


async def all_jobs(client: Client, seconds: float = LIST_DEADLINE) -> tuple[list[ScheduledJob], list[BrokenJob]]:
    """Return every job as it stands, and every one whose schedule cannot be read.

    The list says which schedules there are; each is described, because the list lags behind (Temporal fact). Raises
    ListTimeout when all of it takes longer than `seconds`, and earlier what one request to Temporal alone raises.
    """
    places = asyncio.Semaphore(_DESCRIBED_AT_ONCE)
    broken = []

    async def describe(schedule_id: str) -> ScheduledJob | None:
        async with places, answering(client):
            try:
                return ScheduledJob.read(schedule_id, await describe_schedule(client, schedule_id))
            except BrokenJob as fault:
                broken.append(fault)
            except RPCError as error:
                if not is_missing(error):  # else removed since it was listed
                    raise
        return None

    try:
        async with asyncio.timeout(seconds), asyncio.TaskGroup() as group:
            tasks = [group.create_task(describe(schedule_id)) for schedule_id in await _schedule_ids(client)]
    except* SchedulerError as faults:
        raise faults.exceptions[0] from None
    except* TimeoutError:
        raise ListTimeout(seconds) from None
    return [job for task in tasks if (job := task.result()) is not None], broken


async def _schedule_ids(client: Client) -> list[str]:
    listed = await client.list_schedules(ALL_JOBS)
    schedule_ids: list[str] = []
    more = True
    while more:
        async with answering(client):
            try:
                await listed.fetch_next_page()
            except RPCError as error:
                if is_new_namespace(error):
                    return []
                raise
        schedule_ids += [entry.id for entry in listed.current_page or []]
        more = bool(listed.next_page_token)
    return schedule_ids
