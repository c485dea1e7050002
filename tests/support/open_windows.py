"""Jobs whose windows open soon, and whose times in them come soon."""

import asyncio
from datetime import UTC, datetime, timedelta
from itertools import count

from temporalio.client import Client

from backup_scheduler.jobs.names import schedule_id
from backup_scheduler.jobs.request import BackupRequest
from backup_scheduler.jobs.timing import phase
from backup_scheduler.jobs.to_schedule import Alignment, memo_for, schedule_attributes, schedule_for
from backup_scheduler.temporal.stored_jobs import read_job
from tests.support.gateway_jobs import a_job

_AT_ONCE = 50

_OPENS_IN = timedelta(seconds=22)
_TO_PREPARE = timedelta(seconds=6)
"""What a test needs to pause the jobs before their windows open."""
_SOONEST, _LATEST = timedelta(seconds=8), timedelta(seconds=40)


async def jobs_that_start_soon(
    temporal: Client, number: int, policy: str, task_queue: str
) -> tuple[datetime, dict[str, datetime]]:
    """Make jobs with a window of an hour; return when the windows open, and when the run of each job starts.

    A job's time in its window follows from its id, so many are made, and those with later times are removed.
    """
    opens = (datetime.now(UTC) + _OPENS_IN).replace(microsecond=0)

    async def made(scheduler_id: str) -> datetime | None:
        """Make a job and return its time, or None if that is not soon."""
        terms = a_job(scheduler_id, f"{opens:%H:%M}", policy).model_copy(update={"duration": 1})
        request = BackupRequest.of(terms, "UTC", opens.date())
        schedule = schedule_for(Alignment(request, opens), task_queue)
        schedule.spec.intervals[0].offset = phase(opens, request.every)  # to the second
        memo, attributes = memo_for(request, "one"), schedule_attributes(request)
        name = schedule_id(scheduler_id)
        handle = await temporal.create_schedule(name, schedule, memo=memo, search_attributes=attributes)
        job = await read_job(temporal, name)
        start = job and job.next_run(datetime.now(UTC))
        if start and _SOONEST <= start - opens <= _LATEST:
            return start
        await handle.delete()
        return None

    found: dict[str, datetime] = {}
    for turn in count():
        names = [f"{policy}-{opens:%H%M%S}-{turn}-{each}" for each in range(_AT_ONCE)]
        starts = zip(names, await asyncio.gather(*map(made, names)), strict=True)
        found |= {name: start for name, start in starts if start}
        if datetime.now(UTC) > opens - _TO_PREPARE:  # on a busy machine
            await asyncio.gather(*(temporal.get_schedule_handle(schedule_id(name)).delete() for name in found))
            return await jobs_that_start_soon(temporal, number, policy, task_queue)
        if len(found) >= number:
            return opens, found
    raise AssertionError
