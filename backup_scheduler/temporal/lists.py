"""All jobs in Temporal: the list of their schedules, and work on each of them."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import Final

from temporalio.api.schedule.v1 import ScheduleListEntry
from temporalio.api.workflowservice.v1 import ListSchedulesRequest
from temporalio.client import Client
from temporalio.service import RPCError

from backup_scheduler.jobs.names import SCHEDULER_ID

_PAGE: Final = 1000
"""Entries of one answer."""

ALL_JOBS: Final = f"{SCHEDULER_ID.name} IS NOT NULL"
"""Visibility query for the schedules of jobs."""


async def pages_of_jobs(
    client: Client, asking: Callable[[], AbstractAsyncContextManager[None]] = nullcontext
) -> AsyncIterator[Sequence[ScheduleListEntry]]:
    """List the schedules of jobs; each page is requested within `asking`. Raises RPCError.

    The list lags (docs/temporal-facts.md#lists-lag): a schedule may be gone, and a new one may be missing.
    """
    request = ListSchedulesRequest(namespace=client.namespace, query=ALL_JOBS, maximum_page_size=_PAGE)
    while True:
        async with asking():
            page = await client.workflow_service.list_schedules(request, retry=True)
        yield page.schedules
        if not page.next_page_token:
            return
        request.next_page_token = page.next_page_token


async def for_each_job(client: Client, at_once: int, work: Callable[[str], Awaitable[None]]) -> RPCError | None:
    """Call `work` with the schedule id of every job, for at most `at_once` jobs at a time.

    An RPCError of the list ends it; it is returned after the work on the schedules that were listed. Every error of
    `work` ends all work and is raised in an ExceptionGroup.
    """
    places = asyncio.Semaphore(at_once)

    async def take_place(schedule_id: str) -> None:
        async with places:
            await work(schedule_id)

    async with asyncio.TaskGroup() as group:
        try:
            async for page in pages_of_jobs(client):
                for entry in page:
                    group.create_task(take_place(entry.schedule_id))
        except RPCError as error:
            return error
    return None
