"""The states of jobs in Temporal itself, read past the mapping that the service reads them with."""

import asyncio
from collections.abc import Iterable

from temporalio.client import Client, ScheduleActionStartWorkflow
from temporalio.service import RPCError, RPCStatusCode

from backup_scheduler.jobs.names import schedule_id
from backup_scheduler.jobs.request import BackupRequest
from lab.parts.answers import JobState, State, Terms

_AT_ONCE = 10
"""Questions to Temporal in flight."""


class UnfitSchedule(Exception):
    """A schedule whose times do not follow from the terms of its job."""


async def stored_state(client: Client, scheduler_id: str) -> State:
    """Read a job from its schedule; None when there is none. Raises UnfitSchedule."""
    try:
        description = await client.get_schedule_handle(schedule_id(scheduler_id)).describe()
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            return None
        raise
    schedule = description.schedule
    if not isinstance(schedule.action, ScheduleActionStartWorkflow):
        raise UnfitSchedule(f"{scheduler_id}: its schedule starts no workflow")
    [request] = await description.data_converter.decode(schedule.action.args, [BackupRequest])
    intervals = [interval.every for interval in schedule.spec.intervals]
    if intervals != [request.every] or schedule.policy.catchup_window != request.catch_up_window:
        raise UnfitSchedule(f"{scheduler_id}: every {intervals}, catch-up window {schedule.policy.catchup_window}")
    return JobState(Terms.of(request), schedule.state.paused)


async def stored_states(client: Client, ids: Iterable[str]) -> dict[str, JobState]:
    """Read all these jobs; those that have no schedule are left out. Raises UnfitSchedule."""
    places = asyncio.Semaphore(_AT_ONCE)

    async def read(scheduler_id: str) -> tuple[str, State]:
        async with places:
            return scheduler_id, await stored_state(client, scheduler_id)

    found = await asyncio.gather(*map(read, ids))
    return {scheduler_id: state for scheduler_id, state in found if state is not None}
