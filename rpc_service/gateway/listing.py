"""All jobs at once, for get_jobs."""

import asyncio
from collections.abc import Set
from datetime import datetime
from functools import partial
from typing import Final

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


async def all_jobs(
    client: Client, seconds: float, to_describe: Set[str], now: datetime
) -> tuple[list[ListedJob | ScheduledJob], list[BrokenJob]]:
    """Read all jobs; the second list has an error for each broken job.

    Jobs are read from the list of schedules. Described are `to_describe`, the ids of schedules that this process has
    changed so lately that the list may not show it (docs/temporal-facts.md#lists-lag), and those that the list leaves
    unclear. Raises ListTimeout if all of it takes longer than `seconds`, and the errors of `answering` for a single
    request.
    """
    jobs: list[ListedJob | ScheduledJob] = []
    broken: list[BrokenJob] = []
    places = asyncio.Semaphore(_DESCRIBED_AT_ONCE)

    async def describe(schedule_id: str) -> None:
        async with places, answering(client):
            try:
                job = await read_job(client, schedule_id)
            except BrokenJob as fault:
                broken.append(fault)
            except RPCError as error:
                if not is_missing(error):  # else removed since it was listed
                    raise
            else:
                if job is not None and job.broken:
                    broken.append(BrokenJob(job.request.scheduler_id, job.broken))
                elif job is not None:
                    jobs.append(job)

    async def read() -> None:
        async with asyncio.TaskGroup() as group:
            for schedule_id in to_describe:
                group.create_task(describe(schedule_id))
            async for page in pages_of_jobs(client, partial(answering, client)):
                for entry in page:
                    if entry.schedule_id in to_describe:
                        continue
                    if job := ListedJob.read(entry, now):
                        jobs.append(job)
                    else:
                        group.create_task(describe(entry.schedule_id))

    try:
        async with asyncio.timeout(seconds):
            await read()
    except TimeoutError:
        raise ListTimeout(seconds) from None
    except ExceptionGroup as group:  # not except*: before Python 3.11.4 it would wrap the error that is raised here
        expected, unexpected = group.split((SchedulerError, RPCError))
        if expected is None or unexpected is not None:
            raise
        error = expected.exceptions[0]
        if not (isinstance(error, RPCError) and lacks_search_attributes(error)):
            raise error from None
    return jobs, broken
