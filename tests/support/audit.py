"""What stands in Temporal itself, whatever callers were told."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from temporalio.client import Client, ScheduleActionStartWorkflow
from temporalio.service import RPCError, RPCStatusCode

from backup_scheduler.jobs.request import BackupRequest
from tests.support.callers import Terms

_AT_ONCE = 10


@dataclass(frozen=True)
class Standing:
    """A job as its schedule carries it."""

    terms: Terms
    paused: bool


async def standing(temporal: Client, scheduler_id: str) -> Standing | None:
    """Describe the job's schedule; None when there is none."""
    try:
        description = await temporal.get_schedule_handle(scheduler_id).describe()
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            return None
        raise
    action = description.schedule.action
    assert isinstance(action, ScheduleActionStartWorkflow)
    [request] = await description.data_converter.decode(action.args, [BackupRequest])
    assert isinstance(request, BackupRequest)
    terms = (
        request.policy_name,
        request.days,
        request.start_time,
        request.duration,
        request.misfire_grace_time,
    )
    [interval] = description.schedule.spec.intervals
    assert interval.every == request.every
    assert description.schedule.policy.catchup_window == request.catch_up_window
    return Standing(terms, description.schedule.state.paused)


async def all_standing(temporal: Client, ids: Iterable[str]) -> dict[str, Standing]:
    """Describe the schedules of all these jobs; those that have none are left out."""
    places = asyncio.Semaphore(_AT_ONCE)

    async def ask(scheduler_id: str) -> tuple[str, Standing | None]:
        async with places:
            return scheduler_id, await standing(temporal, scheduler_id)

    found = await asyncio.gather(*map(ask, ids))
    return {scheduler_id: each for scheduler_id, each in found if each is not None}


async def times_made(temporal: Client, scheduler_id: str) -> int:
    """Count how often a schedule of this id was made; Temporal keeps the removed ones as closed workflows."""
    handle = f"temporal-sys-scheduler:{scheduler_id}"
    query = f'TemporalNamespaceDivision = "TemporalScheduler" AND WorkflowId = "{handle}"'
    firsts: set[Any] = set()
    async with asyncio.timeout(60):
        while not firsts:  # Temporal's list lags
            firsts = {run.raw_info.first_run_id or run.run_id async for run in temporal.list_workflows(query)}
    return len(firsts)
