"""All jobs in Temporal: the list of their schedules, and work on each of them."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import Final

from temporalio.api.schedule.v1 import ScheduleListEntry
from temporalio.api.workflowservice.v1 import CountSchedulesRequest, ListSchedulesRequest, ListSchedulesResponse
from temporalio.client import Client
from temporalio.service import RPCError

from backup_scheduler.jobs.filters import JobFilter
from backup_scheduler.jobs.names import POLICY_NAME, SCHEDULER_ID, bounded, sure_beginning
from backup_scheduler.temporal.queries import equals, is_exact, starts_with

PAGE: Final = 1000
"""Most entries of one answer."""

ALL_JOBS: Final = f"{SCHEDULER_ID.name} IS NOT NULL"
"""Visibility query for the schedules of jobs."""


def query_of(wanted: JobFilter) -> str:
    """Return the visibility query for the schedules of the wanted jobs; it finds more where `answers_exactly` says no.

    Conditions that Temporal knows nothing of are left out.
    """
    conditions = [ALL_JOBS]
    if wanted.policy_name is not None:
        conditions.append(equals(POLICY_NAME.name, bounded(wanted.policy_name)))
    if wanted.paused is not None:
        conditions.append(f"TemporalSchedulePaused={str(wanted.paused).lower()}")
    if wanted.prefix is not None:
        conditions.append(starts_with(SCHEDULER_ID.name, sure_beginning(wanted.prefix)))
    return " AND ".join(conditions)


def answers_exactly(wanted: JobFilter) -> bool:
    """Return whether the query finds the wanted jobs and no others."""
    texts = [text for text in (wanted.policy_name, wanted.prefix) if text is not None]
    by_temporal = wanted.last_outcome is None and wanted.overdue is None and all(map(is_exact, texts))
    return by_temporal and (wanted.prefix is None or sure_beginning(wanted.prefix) == wanted.prefix)


async def page_of_jobs(
    client: Client, query: str = ALL_JOBS, token: bytes = b"", size: int = PAGE
) -> ListSchedulesResponse:
    """List some schedules of jobs, and the token of the next ones. Raises RPCError.

    The list lags (docs/temporal-facts.md#lists-lag): a schedule may be gone, and a new one may be missing.
    """
    request = ListSchedulesRequest(
        namespace=client.namespace, query=query, maximum_page_size=size, next_page_token=token
    )
    return await client.workflow_service.list_schedules(request, retry=True)


async def count_jobs(client: Client, query: str) -> int:
    """Count the schedules that a query finds. Raises RPCError."""
    request = CountSchedulesRequest(namespace=client.namespace, query=query)
    return (await client.workflow_service.count_schedules(request, retry=True)).count


async def pages_of_jobs(
    client: Client, asking: Callable[[], AbstractAsyncContextManager[None]] = nullcontext
) -> AsyncIterator[Sequence[ScheduleListEntry]]:
    """List the schedules of all jobs; each page is requested within `asking`. Raises RPCError."""
    token = b""
    while True:
        async with asking():
            page = await page_of_jobs(client, token=token)
        yield page.schedules
        token = page.next_page_token
        if not token:
            return


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
