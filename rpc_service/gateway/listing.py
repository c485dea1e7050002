"""Every job at once, for get_jobs."""

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
"""Seconds for describing all jobs: twice the time for 10,000 jobs on a development server with two cores."""

_DESCRIBED_AT_ONCE: Final = 20
"""Describe calls in flight for one list; more do not make a server faster."""


async def all_jobs(client: Client, seconds: float = LIST_DEADLINE) -> tuple[list[ScheduledJob], list[BrokenJob]]:
    """Read every job, and name every job whose schedule cannot be read.

    The list only names the schedules; each one is described, because the list lags behind (Temporal fact). Raises
    ListTimeout when all of it takes longer than `seconds`, and earlier what one request to Temporal alone raises.
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
    except* SchedulerError as faults:
        raise faults.exceptions[0] from None
    except* TimeoutError:
        raise ListTimeout(seconds) from None
    if error is not None and not is_new_namespace(error):
        raise error
    return jobs, broken
