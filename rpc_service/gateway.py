"""Schedules and their errors: what the RPC methods ask of Temporal."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from itertools import count
from typing import Any, Final
from weakref import WeakValueDictionary

from temporalio.client import (
    Client,
    ScheduleAlreadyRunningError,
    ScheduleHandle,
)
from temporalio.service import RPCError

from backup_scheduler.backups import check_carriage
from backup_scheduler.errors import BrokenJob, InvalidArguments, JobExists, JobNotFound, SearchAttributesMissing
from backup_scheduler.jobs import BackupJob
from backup_scheduler.names import SEARCH_ATTRIBUTES, is_reserved, schedule_id
from backup_scheduler.replies import describe_broken_job, describe_job
from backup_scheduler.scheduled_jobs import ScheduledJob
from backup_scheduler.schedules import CALL, Aim, mark_of, memo_for, schedule_for, search_attributes
from backup_scheduler.settings import Settings
from backup_scheduler.temporal import (
    delete_schedule,
    describe_schedule,
    had_memo,
    register_search_attributes,
    replace_schedule,
    was_deleted_by,
)
from rpc_service.faults import answering, is_missing, is_new_namespace, may_pass
from rpc_service.listing import LIST_DEADLINE, all_jobs

_NEWS_TRAVEL: Final = 0.2
"""Seconds between two attempts to use search attributes just registered: servers hear of them up to 10 s later."""

Description = dict[str, Any]


def _now() -> datetime:
    return datetime.now(UTC)


class ScheduleGateway:
    """Carries out the six methods of the contract, and get_jobs; every method returns what success describes.

    They raise JobNotFound, JobExists, TemporalUnavailable and TemporalTimeout, the last two within DEADLINE.
    Every change is confirmed by describe, which is right straight after a call, before it is answered.
    """

    def __init__(
        self,
        client: Client,
        settings: Settings,
        clock: Callable[[], datetime] = _now,
        list_deadline: float = LIST_DEADLINE,
    ) -> None:
        self._client = client
        self._settings = settings
        self._clock = clock
        self._list_deadline = list_deadline
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def add(self, job: BackupJob, call: str, *, again: bool = False) -> Description:
        """Create the job's schedule.

        `call` identifies the request: delivered again, it finds its own schedule, or that it was removed since.
        """
        if is_reserved(job.scheduler_id):
            raise InvalidArguments([f"scheduler_id must not be {job.scheduler_id!r}: the system keeps it for itself"])
        async with self._alone(job.scheduler_id) as handle:
            aim = self._aim(self._clock(), job)
            made = again and await had_memo(self._client, handle.id, CALL, call)
            while True:
                mine = not made and await self._create_unless_taken(aim, call)
                try:
                    standing = await self._describe(handle, job.scheduler_id)
                except BrokenJob:
                    raise JobExists(job.scheduler_id) from None
                except RPCError as error:
                    if not is_missing(error):
                        raise
                    if mine or made:  # made, and removed by another call
                        return describe_job(aim.request, self._settings.zone, next_run=None)
                else:
                    break
            if not mine and not standing.was_made_by(call):
                raise JobExists(job.scheduler_id)
            if standing.came_too_late and standing.request.job() == job:
                standing = await self._update(handle, job, call, again=True)
            return self._reply(standing)

    async def modify(self, job: BackupJob, call: str, *, again: bool = False) -> Description:
        """Replace the job's terms and compute its first run anew; a paused job stays paused.

        `call` identifies the request: delivered again, it finds its own change. The description is of the job as it
        stands then; another process may have changed it once more.
        """
        async with self._alone(job.scheduler_id) as handle:
            return self._reply(await self._update(handle, job, call, again=again))

    async def pause(self, scheduler_id: str) -> Description:
        """Let nothing start any more; runs under way go on."""
        return await self._switch(scheduler_id, paused=True)

    async def resume(self, scheduler_id: str) -> Description:
        """Let runs start again; what came due meanwhile is not made up for."""
        return await self._switch(scheduler_id, paused=False)

    async def remove(self, scheduler_id: str, call: str, *, again: bool = False) -> Description:
        """Delete the job's schedule; a backup under way is left to finish.

        `call` identifies the request. Delivered again, it may find that it has done so itself: then it has no terms to
        describe, and leaves a job alone that was added since.
        """
        try:
            async with self._alone(scheduler_id) as handle:
                try:
                    standing = await self._describe(handle, scheduler_id)
                    description = describe_job(standing.request, self._settings.zone, next_run=None)
                except BrokenJob:
                    description = describe_broken_job(scheduler_id)
                if again and await was_deleted_by(self._client, handle.id, mark_of(call)):
                    raise JobNotFound(scheduler_id, removed_before=True)
                await delete_schedule(self._client, handle.id, mark_of(call))
                return description
        except JobNotFound as missing:
            if missing.removed_before:
                raise
            raise JobNotFound(scheduler_id, perhaps_removed=again) from None

    async def get(self, scheduler_id: str) -> Description:
        """Describe the job."""
        async with answering(self._client, scheduler_id):
            return self._reply(await self._whole(self._handle(scheduler_id), scheduler_id))

    async def get_all(self) -> list[Description]:
        """Describe every job, ordered by scheduler_id.

        Of a broken one only the id is told, as nothing else of it is sure; get says what is wrong with it.
        """
        standing, unreadable = await all_jobs(self._client, self._list_deadline)
        described = {fault.scheduler_id: describe_broken_job(fault.scheduler_id) for fault in unreadable}
        for job in standing:
            scheduler_id = job.request.scheduler_id
            described[scheduler_id] = describe_broken_job(scheduler_id) if job.broken else self._reply(job)
        return [described[scheduler_id] for scheduler_id in sorted(described)]

    async def _switch(self, scheduler_id: str, *, paused: bool) -> Description:
        async with self._alone(scheduler_id) as handle:
            while (standing := await self._whole(handle, scheduler_id)).paused != paused:
                if paused:
                    await handle.pause(note=f"paused by pause_job at {self._clock():%Y-%m-%d %H:%M:%S} UTC")
                else:
                    await handle.unpause(note=f"resumed by resume_job at {self._clock():%Y-%m-%d %H:%M:%S} UTC")
            return self._reply(standing)

    async def _create_unless_taken(self, aim: Aim, call: str) -> bool:
        try:
            await self._create(aim, call)
        except ScheduleAlreadyRunningError:
            return False
        return True

    async def _create(self, aim: Aim, call: str) -> None:
        request = aim.request
        create = partial(
            self._client.create_schedule,
            schedule_id(request.scheduler_id),
            schedule_for(aim, self._settings.task_queue, call),
            memo=memo_for(request, call),
            search_attributes=search_attributes(request),
        )
        while True:
            try:
                await create()
            except RPCError as error:
                if not is_new_namespace(error):
                    raise
                try:
                    await register_search_attributes(self._client)
                except RPCError as refusal:
                    if may_pass(refusal):
                        raise
                    names = [key.name for key in SEARCH_ATTRIBUTES]
                    raise SearchAttributesMissing(names, self._client.namespace) from refusal
                await asyncio.sleep(_NEWS_TRAVEL)
            else:
                return

    async def _update(self, handle: ScheduleHandle, job: BackupJob, call: str, *, again: bool = False) -> ScheduledJob:
        standing = await self._describe(handle, job.scheduler_id)
        if not again:
            # A caller that uses its correlation ids more than once has made the same change before, and others since.
            names = (f"{call} {number}" if number else call for number in count())
            call = next(name for name in names if not standing.was_changed_by(name))
        made = standing.created_at
        now = self._clock()
        while True:
            if standing.was_changed_by(call):
                if not (standing.came_too_late and standing.request.job() == job):
                    return standing
                now = standing.in_force_since
            aim = self._aim(now, job)
            schedule = schedule_for(aim, self._settings.task_queue, call, standing.changed_by)
            attributes = search_attributes(aim.request)
            await replace_schedule(self._client, handle.id, standing.told, schedule, attributes)
            standing = await self._describe(handle, job.scheduler_id)
            if standing.created_at != made and not standing.was_changed_by(call):
                # The job was removed and another has its id now. Temporal counts the changes of each from one on, so
                # that it may have taken the update for one of the new job; then that is what the call has changed.
                raise JobNotFound(job.scheduler_id)

    async def _describe(self, handle: ScheduleHandle, scheduler_id: str) -> ScheduledJob:
        standing = ScheduledJob.read(handle.id, await describe_schedule(self._client, handle.id))
        if standing is None or standing.request.scheduler_id != scheduler_id:
            raise JobNotFound(scheduler_id)
        return standing

    async def _whole(self, handle: ScheduleHandle, scheduler_id: str) -> ScheduledJob:
        standing = await self._describe(handle, scheduler_id)
        if standing.broken:
            raise BrokenJob(scheduler_id, standing.broken)
        return standing

    def _aim(self, now: datetime, job: BackupJob) -> Aim:
        aim = Aim.at(now, job, self._settings.timezone)
        check_carriage(aim.request)
        return aim

    def _reply(self, standing: ScheduledJob) -> Description:
        return describe_job(standing.request, self._settings.zone, standing.next_run(self._clock()))

    def _handle(self, scheduler_id: str) -> ScheduleHandle:
        return self._client.get_schedule_handle(schedule_id(scheduler_id))

    @asynccontextmanager
    async def _alone(self, scheduler_id: str) -> AsyncIterator[ScheduleHandle]:
        """Change one schedule at a time: control calls that come close together get lost (Temporal fact)."""
        lock = self._locks.setdefault(scheduler_id, asyncio.Lock())
        async with answering(self._client, scheduler_id), lock:
            yield self._handle(scheduler_id)
