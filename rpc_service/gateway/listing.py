"""All jobs at once, for get_jobs."""

import asyncio
from functools import partial
from typing import Final

from temporalio.client import Client
from temporalio.service import RPCError

from backup_scheduler.contract.errors import BrokenJob, ListTimeout, SchedulerError
from backup_scheduler.jobs.from_schedule import ScheduledJob
from backup_scheduler.temporal.lists import for_each_job
from backup_scheduler.temporal.stored_jobs import read_job
from rpc_service.gateway.faults import answering, is_missing, is_new_namespace

LIST_DEADLINE: Final = 60.0
"""Seconds in which all jobs are described: twice the time of 10,000 jobs on a development server with two cores."""

_DESCRIBED_AT_ONCE: Final = 20
"""Describe calls in flight for one list; more do not make a server faster."""


async def all_jobs(client: Client, seconds: float) -> tuple[list[ScheduledJob], list[BrokenJob]]:
    """Read all jobs; the second list has an error for each job whose terms cannot be read.

    The list of schedules gives only their ids, and each schedule is described, because the list lags
    (docs/temporal-facts.md#lists-lag). Raises ListTimeout if all of it takes longer than `seconds`, and the errors of
    `answering` for a single request.
    """
    jobs: list[ScheduledJob] = []
    broken: list[BrokenJob] = []

    async def read(schedule_id: str) -> None:
        async with answering(client):
            try:
                job = await read_job(client, schedule_id)
            except BrokenJob as fault:
                broken.append(fault)
            except RPCError as error:
                if not is_missing(error):  # else removed since it was listed
                    raise
            else:
                if job is not None:
                    jobs.append(job)

    try:
        async with asyncio.timeout(seconds):
            error = await for_each_job(client, _DESCRIBED_AT_ONCE, read, partial(answering, client))
    except TimeoutError:
        raise ListTimeout(seconds) from None
    except ExceptionGroup as group:  # not except*: before Python 3.11.4 it would wrap the error that is raised here
        expected, unexpected = group.split(SchedulerError)
        if expected is None or unexpected is not None:
            raise
        raise expected.exceptions[0] from None
    if error is not None and not is_new_namespace(error):
        raise error
    return jobs, broken
