"""Jobs read from Temporal's list of schedules, and those described of which it does not tell enough."""

import asyncio
from collections.abc import AsyncIterator, Collection, Sequence, Set
from contextlib import asynccontextmanager
from datetime import datetime
from functools import partial
from typing import Final

from temporalio.api.schedule.v1 import ScheduleListEntry
from temporalio.client import Client
from temporalio.service import RPCError

from backup_scheduler.contract.errors import BrokenJob, ListTimeout, SchedulerError
from backup_scheduler.jobs.from_schedule import ScheduledJob
from backup_scheduler.jobs.listed import ListedJob
from backup_scheduler.temporal.lists import pages_of_jobs
from backup_scheduler.temporal.stored_jobs import read_job
from rpc_service.gateway.faults import answering, is_missing, lacks_search_attributes

LIST_DEADLINE: Final = 60.0
"""Seconds in which all jobs are read: enough to describe 10,000 of them on a development server with two cores."""

_DESCRIBED_AT_ONCE: Final = 20
"""Describe calls in flight for one list; more do not make a server faster."""

Found = ListedJob | ScheduledJob | BrokenJob
"""A job of a list; the error of a broken one."""


async def all_jobs(client: Client, seconds: float, to_describe: Set[str], now: datetime) -> list[Found]:
    """Read all jobs.

    Jobs are read from the list of schedules. Described are `to_describe`, the ids of schedules that this process has
    changed so lately that the list may not show it (docs/temporal-facts.md#lists-lag), and those that the list leaves
    unclear. Raises ListTimeout if all of it takes longer than `seconds`, and the errors of `answering` for a single
    request.
    """
    async with within(seconds):
        found = [*(await described(client, to_describe)).values()]
        try:
            async for page in pages_of_jobs(client, partial(answering, client)):
                entries = [entry for entry in page if entry.schedule_id not in to_describe]
                found += (await jobs_in(client, entries, to_describe, now)).values()
        except RPCError as error:
            if not lacks_search_attributes(error):
                raise
        return found


async def jobs_in(
    client: Client, entries: Sequence[ScheduleListEntry], to_describe: Set[str], now: datetime
) -> dict[str, Found]:
    """Read the jobs of some entries, by schedule id and in their order; see `all_jobs`."""
    read = {
        entry.schedule_id: None if entry.schedule_id in to_describe else ListedJob.read(entry, now) for entry in entries
    }
    more = await described(client, [schedule_id for schedule_id, job in read.items() if job is None])
    jobs = {schedule_id: job or more.get(schedule_id) for schedule_id, job in read.items()}
    return {schedule_id: job for schedule_id, job in jobs.items() if job is not None}


async def described(client: Client, schedule_ids: Collection[str]) -> dict[str, Found]:
    """Read jobs by a description of each schedule, by schedule id; what is no job, or gone, is left out."""
    jobs: dict[str, Found] = {}
    places = asyncio.Semaphore(_DESCRIBED_AT_ONCE)

    async def describe(schedule_id: str) -> None:
        async with places, answering(client):
            try:
                job = await read_job(client, schedule_id)
            except BrokenJob as fault:
                jobs[schedule_id] = fault
            except RPCError as error:
                if not is_missing(error):  # else removed since it was listed
                    raise
            else:
                if job is not None:
                    broken = job.broken
                    jobs[schedule_id] = BrokenJob(job.request.scheduler_id, broken) if broken else job

    async with asyncio.TaskGroup() as group:
        for schedule_id in schedule_ids:
            group.create_task(describe(schedule_id))
    return jobs


@asynccontextmanager
async def within(seconds: float) -> AsyncIterator[None]:
    """Bound the time of a list. Raises ListTimeout, and the first expected error of its requests."""
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError:
        raise ListTimeout(seconds) from None
    except ExceptionGroup as group:  # not except*: before Python 3.11.4 it would wrap the error that is raised here
        expected, unexpected = group.split((SchedulerError, RPCError))
        if expected is None or unexpected is not None:
            raise
        error: Exception = expected
        while isinstance(error, ExceptionGroup):
            error = error.exceptions[0]
        raise error from None
