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
    """Do some work for the schedule id of every job, for at most `at_once` of them side by side.

    The list lags behind (Temporal fact): a schedule may be gone, and one just made may be missing. Each request for a
    page of it is made within `asking`. Returns the error that broke the list off, after the work on what came before;
    what `work` raises ends everything, in an ExceptionGroup.
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
