"""Changes of jobs: one at a time for each job, each confirmed by a description before it is answered."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Set
from contextlib import asynccontextmanager
from datetime import datetime
from functools import partial
from typing import Final
from weakref import WeakValueDictionary

from temporalio.client import Client, ScheduleAlreadyRunningError
from temporalio.service import RPCError

from backup_scheduler.contract.errors import (
    BrokenJob,
    InvalidArguments,
    JobExists,
    JobNotFound,
    SearchAttributesMissing,
)
from backup_scheduler.contract.methods import PAUSE, RESUME
from backup_scheduler.jobs.from_schedule import ScheduledJob
from backup_scheduler.jobs.listed import ListedJob
from backup_scheduler.jobs.names import SEARCH_ATTRIBUTES, is_reserved
from backup_scheduler.jobs.notes import By, SwitchNote, fitting, is_of
from backup_scheduler.jobs.pauses import ResumeRequest
from backup_scheduler.jobs.terms import BackupJob
from backup_scheduler.jobs.to_schedule import (
    Alignment,
    memo_for,
    schedule_attributes,
    schedule_for,
    short_request_id,
)
from backup_scheduler.runs.task import check_carriage
from backup_scheduler.settings import Settings
from backup_scheduler.temporal.client import is_refusal
from backup_scheduler.temporal.namespace import register_search_attributes
from backup_scheduler.temporal.stored_jobs import StoredJob
from backup_scheduler.temporal.switches import switch_if
from rpc_service.gateway.faults import answering, is_missing, lacks_search_attributes, may_pass
from rpc_service.gateway.timers import cancel_timer, start_timer

_NEWS_TRAVEL: Final = 0.2
"""Seconds between two attempts to use search attributes just registered: servers hear of them up to 10 s later
(docs/temporal-facts.md#search-attributes-come-late)."""

_LISTS_LAG: Final = 5.0
"""Seconds after which a list shows a change; 1.2 on a busy cluster (docs/temporal-facts.md#lists-lag)."""


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


def refuse_reserved(scheduler_id: str) -> None:
    """Raise InvalidArguments for an id that no job can have."""
    if is_reserved(scheduler_id):
        raise InvalidArguments([f"scheduler_id must not be {scheduler_id!r}: the system keeps it for itself"])


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
        self._lately: dict[str, float] = {}
        """Ids of schedules, each with the time of its last change; the latest comes last."""

    def use(self, client: Client) -> None:
        """Make all further changes with another client."""
        self._client = client

    @asynccontextmanager
    async def alone(self, scheduler_id: str) -> AsyncIterator[StoredJob]:
        """Hold the lock of a job. The wait for the lock counts; errors and deadline are those of `answering`."""
        lock = self._locks.setdefault(scheduler_id, asyncio.Lock())
        async with answering(self._client, scheduler_id), lock:
            stored = self._stored_job(self._client, scheduler_id)
            try:
                yield stored
            finally:
                self.lately()  # forgets, so that it stays small
                self._lately.pop(stored.schedule_id, None)
                self._lately[stored.schedule_id] = time.monotonic()

    def lately(self) -> Set[str]:
        """Return the ids of the schedules that a list may show as they were before a change made here.

        The one that was changed last comes last.
        """
        while self._lately and next(iter(self._lately.values())) < time.monotonic() - _LISTS_LAG:
            del self._lately[next(iter(self._lately))]
        return dict.fromkeys(self._lately).keys()

    def align(self, now: datetime, job: BackupJob) -> Alignment:
        """Align a job with the wall clock of the service. Raises InvalidArguments for terms that no run could read."""
        alignment = Alignment.at(now, job, self._settings.timezone)
        check_carriage(alignment.request)
        return alignment

    async def create(
        self, stored: StoredJob, alignment: Alignment, request_id: str, by: By, *, redelivered: bool
    ) -> ScheduledJob | None:
        """Create the schedule of a job, and confirm it.

        A redelivered request finds its own schedule. None if the job was removed since this request made it. Raises
        JobExists if another request made the job, JobNotFound if the schedule of this id is not a job, and
        SearchAttributesMissing.
        """
        made_before = redelivered and await stored.was_made_by(request_id)
        while True:
            made_now = not made_before and await self._create_unless_taken(stored, alignment, request_id, by)
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

    async def _create_unless_taken(self, stored: StoredJob, alignment: Alignment, request_id: str, by: By) -> bool:
        given = by.terms(self._clock())
        schedule = schedule_for(alignment, self._settings.task_queue, request_id, given=given)
        memo, attributes = memo_for(alignment.request, request_id), schedule_attributes(alignment.request)
        try:
            await self._with_attributes(lambda: stored.create(schedule, memo, attributes))
        except ScheduleAlreadyRunningError:
            return False
        return True

    async def _with_attributes(self, change: Callable[[], Awaitable[None]]) -> None:
        """Make a change; where the namespace lacks search attributes, register them first.

        An older release may have made the jobs of a namespace that lacks one.
        """
        while True:
            try:
                return await change()
            except RPCError as error:
                if not lacks_search_attributes(error):
                    raise
            await self._register_search_attributes()
            await asyncio.sleep(_NEWS_TRAVEL)

    async def _register_search_attributes(self) -> None:
        try:
            await register_search_attributes(self._client)
        except RPCError as refusal:
            if may_pass(refusal):
                raise
            names = [key.name for key in SEARCH_ATTRIBUTES]
            raise SearchAttributesMissing(
                names, self._client.namespace, for_want_of_a_right=is_refusal(refusal)
            ) from refusal

    async def update(
        self, stored: StoredJob, job: BackupJob, request_id: str, by: By, *, is_retry: bool
    ) -> ScheduledJob:
        """Give the schedule of a job new terms, and repeat that until Temporal has them; a paused job stays paused.

        A retry does not repeat a change that this request made before. If the terms came into force after their first
        run was due, they are aligned anew. Raises JobNotFound, BrokenJob, InvalidArguments and SearchAttributesMissing.
        """
        current = await found(stored)
        if not is_retry:
            request_id = current.unused(request_id)
        created_at = current.created_at
        now = self._clock()
        while True:
            if current.was_changed_by(request_id):
                if not (current.came_too_late and current.request.job() == job):
                    return current
                now = current.in_force_since
            alignment = self.align(now, job)
            schedule = schedule_for(
                alignment, self._settings.task_queue, request_id, current.changed_by, by.terms(self._clock())
            )
            attributes = schedule_attributes(alignment.request)
            await self._with_attributes(partial(stored.replace, current, schedule, attributes))
            current = await found(stored)
            if current.created_at != created_at and not current.was_changed_by(request_id):
                # The job was removed, and another one has its id now. Temporal may have made the update of the new job
                # (docs/temporal-facts.md#conflict-tokens-start-anew); then the request has changed that one.
                raise JobNotFound(stored.scheduler_id)

    async def pause(
        self, stored: StoredJob, by: By, until: datetime | None, request_id: str, *, is_retry: bool
    ) -> ScheduledJob:
        """Pause a job with a reason and an end, also one that is paused, and repeat that until Temporal has it.

        A retry does not do again what this request did before. A pause that has ended begins no more. Raises
        JobNotFound and BrokenJob.
        """

        def has_ended() -> bool:
            return until is not None and until <= self._clock()

        seen = await intact(stored)
        pause_id = short_request_id(request_id) if until else None
        note = SwitchNote(True, PAUSE, self._clock(), by.reason, until, pause_id, by.caller)
        timer = None
        if until is not None and note.id is not None:  # first: no job may be left paused without its end
            timer = ResumeRequest(pause_id=note.id, until=until, scheduler_id=stored.scheduler_id)
            await start_timer(self._client, timer, self._settings.task_queue, note)
        job = await switch_if(stored, note, request_id, lambda _: not has_ended(), is_retry=is_retry)
        if timer is not None and has_ended():  # perhaps before the job was paused: then the timer found nothing
            await start_timer(self._client, timer, self._settings.task_queue, note, anew=True)
        if job and is_of(job.note, note.id):  # else the job has the pause of a later call, which goes on
            await self.cancel_timer_of(seen, but=note.id)
        return job or seen

    async def cancel_timer_of(self, seen: ListedJob | ScheduledJob, but: str | None = None) -> None:
        """Cancel the end of the pause that a job had, unless it is that of other jobs, too, or has the id `but`."""
        note = SwitchNote.read(seen.note)
        if note is not None and note.by == PAUSE and note.id not in (None, but):
            await cancel_timer(self._client, note.id or "")

    async def hold(self, stored: StoredJob, by: By, request_id: str, *, is_retry: bool) -> ScheduledJob:
        """Pause a job without a reason or an end of its own; the pause of a paused job stays as it is.

        Raises JobNotFound and BrokenJob.
        """
        note = SwitchNote(True, PAUSE, self._clock(), by.reason, caller=by.caller)
        while True:
            made = await switch_if(stored, note, request_id, lambda job: not job.paused, is_retry=is_retry)
            if made:
                return made
            # Only after a request that writes is it sure that a description is not of an earlier state
            # (docs/temporal-facts.md#a-node-that-is-cut-off-shows-the-past).
            await stored.touch()
            seen = await intact(stored)
            if seen.paused:
                return seen

    async def resume(self, stored: StoredJob, by: By) -> ScheduledJob:
        """Resume a job, also one that is not paused, and repeat that until Temporal shows it.

        Raises JobNotFound, and BrokenJob, which a job whose policies or argument alone were edited is found to be only
        after it was resumed (StoredJob.look).
        """
        seen: ListedJob | ScheduledJob = await stored.look(self._clock()) or await intact(stored)
        before = seen
        while True:
            note = SwitchNote(False, RESUME, self._clock(), by.reason, caller=by.caller).text()
            await stored.unpause(note if seen.paused else fitting(seen.note))
            seen = current = await intact(stored)
            if not current.paused:
                await self.cancel_timer_of(before)
                return current
