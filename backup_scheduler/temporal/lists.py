"""All jobs in Temporal: the list of their schedules, and work on each of them."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import Final

from temporalio.client import Client
from temporalio.service import RPCError

from backup_scheduler.jobs.names import SCHEDULER_ID

ALL_JOBS: Final = f"{SCHEDULER_ID.name} IS NOT NULL"
"""Visibility query for the schedules of jobs."""


async def for_each_job(
    client: Client,
    at_once: int,
    work: Callable[[str], Awaitable[None]],
    asking: Callable[[], AbstractAsyncContextManager[None]] = nullcontext,
) -> RPCError | None:
    """Call `work` with the schedule id of every job, for at most `at_once` jobs at a time.

    The list lags (docs/temporal-facts.md#lists-lag): a schedule may be gone, and a new one may be missing. Each page of
    the list is requested within `asking`. An RPCError of such a request ends the list; it is returned after the work on
    the schedules that were listed. Any other error, and every error of `work`, ends all work and is raised in an
    ExceptionGroup.
    """
    places = asyncio.Semaphore(at_once)

    async def take_place(schedule_id: str) -> None:
        async with places:
            await work(schedule_id)

    listed = await client.list_schedules(ALL_JOBS)
    async with asyncio.TaskGroup() as group:
        more = True
        while more:
            try:
                async with asking():
                    await listed.fetch_next_page()
            except RPCError as error:
                return error
            for entry in listed.current_page or []:
                group.create_task(take_place(entry.id))
            more = bool(listed.next_page_token)
    return None
