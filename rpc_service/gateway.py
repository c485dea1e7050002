"""Schedules and their errors: what the RPC methods ask of Temporal."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final
from weakref import WeakValueDictionary

from temporalio.api.errordetails.v1 import NamespaceNotFoundFailure
from temporalio.client import (
    Client,
    ScheduleAlreadyRunningError,
    ScheduleHandle,
)
from temporalio.service import RetryConfig, RPCError, RPCStatusCode

from backup_scheduler.errors import (
    JobExists,
    JobNotFound,
    NamespaceNotFound,
    SchedulerError,
    TemporalOverloaded,
    TemporalTimeout,
    TemporalUnavailable,
)
from backup_scheduler.jobs import BackupJob
from backup_scheduler.names import schedule_id
from backup_scheduler.replies import describe_job
from backup_scheduler.scheduled_jobs import ALL_JOBS, ScheduledJob
from backup_scheduler.schedules import Aim, memo_for, schedule_for, search_attributes
from backup_scheduler.settings import Settings
from backup_scheduler.temporal import describe_schedule, register_search_attributes, replace_schedule

DEADLINE: Final = 4.5
"""Seconds that a call may wait for Temporal: the only bound, as nameko never tells that a caller gave up."""

RETRIES: Final = RetryConfig(max_elapsed_time_millis=3000)
"""Ends the client's own retries before DEADLINE does: of a server that is down a caller hears 503, not 504."""

_NEWS_TRAVEL: Final = 0.2
"""Seconds between two attempts to use search attributes just registered: servers hear of them up to 10 s later."""

_DESCRIBED_AT_ONCE: Final = 20
"""describe calls in flight for one get_jobs; more do not make a server faster."""

_CONNECTION_BROKE: Final = "transport error"
"""What the client says, with the status UNKNOWN, when the server dies while it answers."""

_TIMED_OUT: Final = "Timeout expired"
"""What the client says, with the status CANCELLED, when it gives up; a server that stops cancels calls, too."""

Description = dict[str, Any]


def _now() -> datetime:
    return datetime.now(UTC)


class ScheduleGateway:
    """Carries out the six methods of the contract, and get_jobs; every method returns what success describes.

    They raise JobNotFound, JobExists, TemporalUnavailable and TemporalTimeout, the last two within DEADLINE.
    Every change is confirmed by describe, which is right straight after a call, before it is answered.
    """

    def __init__(self, client: Client, settings: Settings, clock: Callable[[], datetime] = _now) -> None:
        self._client = client
        self._settings = settings
        self._clock = clock
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def add(self, job: BackupJob, call: str) -> Description:
        """Create the job's schedule. `call` identifies the request: delivered again, it finds its own schedule."""
        async with self._alone(job.scheduler_id) as handle:
            aim = Aim.at(self._clock(), job, self._settings.timezone)
            while True:
                mine = await self._create_unless_taken(aim, call)
                try:
                    standing = await self._describe(handle, job.scheduler_id)
                except RPCError as error:
                    if not _is_missing(error):
                        raise
                    if mine:  # made, and removed by another call
                        return describe_job(aim.request, self._settings.zone, next_run=None)
                else:
                    break
            if not mine and not standing.was_made_by(call):
                raise JobExists(job.scheduler_id)
            if standing.came_too_late and standing.request.job() == job:
                standing = await self._update(handle, job, call)
            return self._reply(standing)

    async def modify(self, job: BackupJob, call: str) -> Description:
        """Replace the job's terms and compute its first run anew; a paused job stays paused.

        `call` identifies the request: delivered again, it finds its own change. The description is of the job as it
        stands then; another process may have changed it once more.
        """
        async with self._alone(job.scheduler_id) as handle:
            return self._reply(await self._update(handle, job, call))

    async def pause(self, scheduler_id: str) -> Description:
        """Let nothing start any more; runs under way go on."""
        return await self._switch(scheduler_id, paused=True)

    async def resume(self, scheduler_id: str) -> Description:
        """Let runs start again; what came due meanwhile is not made up for."""
        return await self._switch(scheduler_id, paused=False)

    async def remove(self, scheduler_id: str, *, again: bool = False) -> Description:
        """Delete the job's schedule; a backup under way is left to finish.

        Delivered again, the request may find that it has done so itself, and no terms that it could describe.
        """
        try:
            async with self._alone(scheduler_id) as handle:
                standing = await self._describe(handle, scheduler_id)
                await handle.delete()
                return describe_job(standing.request, self._settings.zone, next_run=None)
        except JobNotFound:
            raise JobNotFound(scheduler_id, perhaps_removed=again) from None

    async def get(self, scheduler_id: str) -> Description:
        """Describe the job."""
        async with self._answering(scheduler_id):
            return self._reply(await self._describe(self._handle(scheduler_id), scheduler_id))

    async def get_all(self) -> list[Description]:
        """Describe every job, ordered by scheduler_id.

        The list says which schedules there are; each is described, because the list lags behind (Temporal fact).
        """
        async with self._answering():
            try:
                entries = [entry.id async for entry in await self._client.list_schedules(ALL_JOBS)]
            except RPCError as error:
                if _is_new_namespace(error):
                    return []
                raise
        places = asyncio.Semaphore(_DESCRIBED_AT_ONCE)

        async def describe(entry_id: str) -> ScheduledJob | None:
            async with places, self._answering():
                try:
                    return ScheduledJob.read(entry_id, await describe_schedule(self._client, entry_id))
                except RPCError as error:
                    if _is_missing(error):  # removed since it was listed
                        return None
                    raise

        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(describe(entry_id)) for entry_id in entries]
        except* SchedulerError as faults:
            raise faults.exceptions[0] from None
        jobs = [job for task in tasks if (job := task.result()) is not None]
        return [self._reply(job) for job in sorted(jobs, key=lambda job: job.request.scheduler_id)]

    async def _switch(self, scheduler_id: str, *, paused: bool) -> Description:
        async with self._alone(scheduler_id) as handle:
            while (standing := await self._describe(handle, scheduler_id)).paused != paused:
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
                if not _is_new_namespace(error):
                    raise
                await register_search_attributes(self._client)
                await asyncio.sleep(_NEWS_TRAVEL)
            else:
                return

    async def _update(self, handle: ScheduleHandle, job: BackupJob, call: str) -> ScheduledJob:
        standing = await self._describe(handle, job.scheduler_id)
        made = standing.created_at
        now = self._clock()
        while True:
            if standing.was_changed_by(call):
                if not (standing.came_too_late and standing.request.job() == job):
                    return standing
                now = standing.in_force_since
            aim = Aim.at(now, job, self._settings.timezone)
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

    def _reply(self, standing: ScheduledJob) -> Description:
        return describe_job(standing.request, self._settings.zone, standing.next_run(self._clock()))

    def _handle(self, scheduler_id: str) -> ScheduleHandle:
        return self._client.get_schedule_handle(schedule_id(scheduler_id))

    @asynccontextmanager
    async def _alone(self, scheduler_id: str) -> AsyncIterator[ScheduleHandle]:
        """Change one schedule at a time: control calls that come close together get lost (Temporal fact)."""
        lock = self._locks.setdefault(scheduler_id, asyncio.Lock())
        async with self._answering(scheduler_id), lock:
            yield self._handle(scheduler_id)

    @asynccontextmanager
    async def _answering(self, scheduler_id: str = "") -> AsyncIterator[None]:
        """Turn Temporal's errors into ours, in the one place; bounded by DEADLINE."""
        try:
            async with asyncio.timeout(DEADLINE):
                yield
        except TimeoutError:
            raise TemporalTimeout(DEADLINE) from None
        except RPCError as error:
            if error.status == RPCStatusCode.NOT_FOUND:
                if not _is_missing(error):
                    raise NamespaceNotFound(self._client.namespace) from error
                raise JobNotFound(scheduler_id) from error
            if error.status == RPCStatusCode.UNAVAILABLE or error.message == _CONNECTION_BROKE:
                raise TemporalUnavailable from error
            if error.status == RPCStatusCode.CANCELLED and error.message != _TIMED_OUT:
                raise TemporalUnavailable from error
            if error.status == RPCStatusCode.RESOURCE_EXHAUSTED:
                raise TemporalOverloaded from error
            if error.status in (RPCStatusCode.CANCELLED, RPCStatusCode.DEADLINE_EXCEEDED):
                raise TemporalTimeout(DEADLINE) from error
            raise
        except RuntimeError as error:
            if "client connect" not in str(error):
                raise
            raise TemporalUnavailable from error  # what a lazy client raises instead of an RPCError


def _is_missing(error: RPCError) -> bool:
    """Tell whether the schedule is not there, though its namespace is."""
    return error.status == RPCStatusCode.NOT_FOUND and not any(
        detail.Is(NamespaceNotFoundFailure.DESCRIPTOR) for detail in error.grpc_status.details
    )


def _is_new_namespace(error: RPCError) -> bool:
    """Tell whether our search attributes are not registered yet, so that no job can be there."""
    texts = ("no mapping defined for search attribute", "invalid search attribute")
    return error.status == RPCStatusCode.INVALID_ARGUMENT and any(text in error.message for text in texts)
