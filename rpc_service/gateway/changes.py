"""Changes of jobs: one at a time for each job, each confirmed by a description before it is answered."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from itertools import count
from typing import Final
from weakref import WeakValueDictionary

from temporalio.client import Client, ScheduleAlreadyRunningError
from temporalio.service import RPCError

from backup_scheduler.contract.errors import BrokenJob, JobExists, JobNotFound, SearchAttributesMissing
from backup_scheduler.jobs.from_schedule import ScheduledJob
from backup_scheduler.jobs.names import SEARCH_ATTRIBUTES
from backup_scheduler.jobs.terms import BackupJob
from backup_scheduler.jobs.to_schedule import Alignment, memo_for, schedule_for, search_attributes
from backup_scheduler.runs.task import check_carriage
from backup_scheduler.settings import Settings
from backup_scheduler.temporal.namespace import register_search_attributes
from backup_scheduler.temporal.stored_jobs import StoredJob
from rpc_service.gateway.faults import answering, is_missing, is_new_namespace, may_pass

_NEWS_TRAVEL: Final = 0.2
"""Seconds between two attempts to use search attributes just registered: servers hear of them up to 10 s later
(docs/temporal-facts.md#search-attributes-come-late)."""


async def found(stored: StoredJob) -> ScheduledJob:
    """Read a job.

    Raises JobNotFound if the schedule is not a job, BrokenJob if its terms cannot be read, and RPCError if there is no
    schedule; `answering` turns that into JobNotFound.
    """
    job = await stored.read()
    if job is None:
        raise JobNotFound(stored.scheduler_id)
    return job


async def intact(stored: StoredJob) -> ScheduledJob:
    """Read a job as `found` does; raises BrokenJob also if the schedule does not follow the terms."""
    job = await found(stored)
    if job.broken:
        raise BrokenJob(stored.scheduler_id, job.broken)
    return job


class Changes:
    """Makes changes of jobs; each job has a lock, because Temporal loses changes that come close together.

    See docs/temporal-facts.md#control-calls-get-lost.
    """

    def __init__(
        self,
        client: Client,
        settings: Settings,
        clock: Callable[[], datetime],
        stored_job: Callable[[Client, str], StoredJob],
    ) -> None:
        self._client = client
        self._settings = settings
        self._clock = clock
        self._stored_job = stored_job
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    @asynccontextmanager
    async def alone(self, scheduler_id: str) -> AsyncIterator[StoredJob]:
        """Hold the lock of a job. The wait for the lock counts; errors and deadline are those of `answering`."""
        lock = self._locks.setdefault(scheduler_id, asyncio.Lock())
        async with answering(self._client, scheduler_id), lock:
            yield self._stored_job(self._client, scheduler_id)

    def align(self, now: datetime, job: BackupJob) -> Alignment:
        """Align a job with the wall clock of the service. Raises InvalidArguments for terms that no run could read."""
        alignment = Alignment.at(now, job, self._settings.timezone)
        check_carriage(alignment.request)
        return alignment

    async def create(
        self, stored: StoredJob, alignment: Alignment, request_id: str, *, redelivered: bool
    ) -> ScheduledJob | None:
        """Create the schedule of a job, and confirm it.

        A redelivered request finds its own schedule. None if the job was removed since this request made it. Raises
        JobExists if another request made the job, JobNotFound if the schedule of this id is not a job, and
        SearchAttributesMissing.
        """
        made_before = redelivered and await stored.was_made_by(request_id)
        while True:
            made_now = not made_before and await self._create_unless_taken(stored, alignment, request_id)
            try:
                current = await found(stored)
            except BrokenJob:
                raise JobExists(stored.scheduler_id) from None
            except RPCError as error:
                if not is_missing(error):
                    raise
                if made_now or made_before:
                    return None
            else:
                break
        if not made_now and not current.was_made_by(request_id):
            raise JobExists(stored.scheduler_id)
        return current

    async def _create_unless_taken(self, stored: StoredJob, alignment: Alignment, request_id: str) -> bool:
        schedule = schedule_for(alignment, self._settings.task_queue, request_id)
        memo, attributes = memo_for(alignment.request, request_id), search_attributes(alignment.request)
        while True:
            try:
                await stored.create(schedule, memo, attributes)
            except ScheduleAlreadyRunningError:
                return False
            except RPCError as error:
                if not is_new_namespace(error):
                    raise
                await self._register_search_attributes()
                await asyncio.sleep(_NEWS_TRAVEL)
            else:
                return True

    async def _register_search_attributes(self) -> None:
        try:
            await register_search_attributes(self._client)
        except RPCError as refusal:
            if may_pass(refusal):
                raise
            names = [key.name for key in SEARCH_ATTRIBUTES]
            raise SearchAttributesMissing(names, self._client.namespace) from refusal

    async def update(self, stored: StoredJob, job: BackupJob, request_id: str, *, is_retry: bool) -> ScheduledJob:
        """Give the schedule of a job new terms, and repeat that until Temporal has them; a paused job stays paused.

        A retry does not repeat a change that this request made before. If the terms came into force after their first
        run was due, they are aligned anew. Raises JobNotFound, BrokenJob and InvalidArguments.
        """
        current = await found(stored)
        if not is_retry:
            request_id = _unused(request_id, current)
        created_at = current.created_at
        now = self._clock()
        while True:
            if current.was_changed_by(request_id):
                if not (current.came_too_late and current.request.job() == job):
                    return current
                now = current.in_force_since
            alignment = self.align(now, job)
            schedule = schedule_for(alignment, self._settings.task_queue, request_id, current.changed_by)
            await stored.replace(current, schedule, search_attributes(alignment.request))
            current = await found(stored)
            if current.created_at != created_at and not current.was_changed_by(request_id):
                # The job was removed, and another one has its id now. Temporal may have made the update of the new job
                # (docs/temporal-facts.md#conflict-tokens-start-anew); then the request has changed that one.
                raise JobNotFound(stored.scheduler_id)

    async def switch(self, stored: StoredJob, *, paused: bool) -> ScheduledJob:
        """Pause or unpause a job, and repeat that until Temporal shows it. Raises JobNotFound and BrokenJob."""
        while (current := await intact(stored)).paused != paused:
            if paused:
                await stored.pause(f"paused by pause_job at {self._clock():%Y-%m-%d %H:%M:%S} UTC")
            else:
                await stored.unpause(f"resumed by resume_job at {self._clock():%Y-%m-%d %H:%M:%S} UTC")
        return current


def _unused(request_id: str, current: ScheduledJob) -> str:
    """Return the request_id, with a number if the caller has used it for a change of this job before."""
    numbered = (f"{request_id} {number}" if number else request_id for number in count())
    return next(each for each in numbered if not current.was_changed_by(each))
