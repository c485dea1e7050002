"""The states of jobs in Temporal itself, read past the mapping that the service reads them with."""

import asyncio
from collections.abc import Iterable

from temporalio.api.workflowservice.v1 import DescribeScheduleRequest
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from lab.parts.answers import JobState
from lab.parts.schedules import StoredJob, UnfitSchedule, stored_job

_AT_ONCE = 10
"""Questions to Temporal in flight."""

_LOOKS = 5
"""Looks at a schedule that does not fit; amid a change a description shows new terms with old search attributes
(docs/temporal-facts.md#describe-is-right)."""

_PAUSE = 0.2


async def read_job(client: Client, scheduler_id: str) -> StoredJob | None:
    """Read a job with a short id from its schedule; None when there is none. Raises UnfitSchedule."""
    for _ in range(_LOOKS - 1):
        try:
            return await _look(client, scheduler_id)
        except UnfitSchedule:
            await asyncio.sleep(_PAUSE)
    return await _look(client, scheduler_id)


async def _look(client: Client, scheduler_id: str) -> StoredJob | None:
    request = DescribeScheduleRequest(namespace=client.namespace, schedule_id=scheduler_id)
    try:
        described = await client.workflow_service.describe_schedule(request, retry=True)
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            return None
        raise
    return stored_job(scheduler_id, described)


async def stored_states(client: Client, ids: Iterable[str]) -> dict[str, JobState]:
    """Read the states of all these jobs; those that have no schedule are left out. Raises UnfitSchedule."""
    places = asyncio.Semaphore(_AT_ONCE)

    async def read(scheduler_id: str) -> tuple[str, StoredJob | None]:
        async with places:
            return scheduler_id, await read_job(client, scheduler_id)

    found = await asyncio.gather(*map(read, ids))
    return {scheduler_id: job.state for scheduler_id, job in found if job is not None}
