"""The times at which runs start by themselves, jitter included."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from temporalio.api.workflowservice.v1 import ListScheduleMatchingTimesRequest
from temporalio.client import Client

from backup_scheduler.jobs.from_schedule import ScheduledJob, moments
from backup_scheduler.jobs.notes import SwitchNote

STARTS_WITHIN: Final = timedelta(seconds=30)
"""Longest time until a run starts that is due or asked for and does not wait: a killed server needs 10 s."""

_SECOND: Final = timedelta(seconds=1)


async def starts_between(client: Client, schedule_id: str, begin: datetime, end: datetime) -> Sequence[datetime]:
    """Return the starts of the occurrences of a time; at most 1,000. Raises RPCError.

    See docs/temporal-facts.md#moments-ahead-are-listed.
    """
    request = ListScheduleMatchingTimesRequest(namespace=client.namespace, schedule_id=schedule_id)
    request.start_time.FromDatetime(begin)
    request.end_time.FromDatetime(end)
    listed = await client.workflow_service.list_schedule_matching_times(request, retry=True)
    return moments(listed.start_time)


async def starts_in_window(client: Client, schedule_id: str, opens: datetime, window: timedelta) -> Sequence[datetime]:
    """Return the start of the occurrence with this nominal time; none if the schedule begins later. Raises RPCError."""
    return await starts_between(client, schedule_id, opens - _SECOND, opens + window + _SECOND)


async def own_time(client: Client, job: ScheduledJob, nominal: datetime, now: datetime) -> datetime | None:
    """Return when the run of an occurrence starts by itself; None if it does not, or should have long ago.

    Temporal may be about to start a run whose time is past. The job must not be `broken`. Raises RPCError.
    """
    if start := job.starts_ahead(now, ()).get(nominal):
        return start
    window, lately = job.request.window, now - STARTS_WITHIN
    if job.paused or job.nominal(nominal) != nominal or not nominal <= now or nominal + window < lately:
        return None
    starts = await starts_in_window(client, job.schedule_id, nominal, window)
    start = next((each for each in starts if job.nominal(each) == nominal), None)
    if start is None or start < lately:
        return None
    switched = SwitchNote.read(job.note)
    may_have_been_paused = switched is not None and start <= min(now, switched.at)
    return None if may_have_been_paused else start
