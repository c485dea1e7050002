"""Pauses and resumptions of many jobs at once, each with a receipt of what was changed."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from temporalio.client import Client

from backup_scheduler.contract.errors import SchedulerError
from backup_scheduler.contract.methods import PAUSE_ALL, RESUME_ALL
from backup_scheduler.contract.moments import shown
from backup_scheduler.jobs.description import Description
from backup_scheduler.jobs.filters import JobFilter
from backup_scheduler.jobs.from_schedule import ScheduledJob
from backup_scheduler.jobs.notes import By, SwitchNote, is_of
from backup_scheduler.jobs.overview import JobOverview
from backup_scheduler.jobs.pauses import PauseJobs, ResumeJobs, ResumeRequest
from backup_scheduler.jobs.to_schedule import short_request_id
from backup_scheduler.settings import Settings
from backup_scheduler.temporal.stored_jobs import StoredJob
from backup_scheduler.temporal.switches import switch_if
from rpc_service.gateway.changes import Changes
from rpc_service.gateway.faults import answering
from rpc_service.gateway.pages import read_all
from rpc_service.gateway.timers import start_timer

_SECONDS_FOR_EACH: Final = 0.1
"""Bound of the time for the changes, for each job: a busy server needs less than half of it."""

_CHANGED_AT_ONCE: Final = 10

_MARGIN: Final = 10.0
"""Seconds before the end of a pause in which no job is paused any more: at its end all of them are in the list."""

_LASTING: Final = frozenset({"policy_name", "prefix"})
"""Filters that fit a job after it was paused or resumed, if they fitted before."""

_BROKEN: Final = "the job is broken: get_job says more"


class Bulk:
    """Changes of all jobs that fit a filter."""

    def __init__(
        self,
        client: Client,
        settings: Settings,
        clock: Callable[[], datetime],
        changes: Changes,
        list_deadline: float,
    ) -> None:
        self._client = client
        self._settings = settings
        self._clock = clock
        self._changes = changes
        self._list_deadline = list_deadline

    def use(self, client: Client) -> None:
        """Make all further requests with another client."""
        self._client = client

    async def pause(
        self, asked: PauseJobs, until: datetime | None, request_id: str, by: By, *, redelivered: bool
    ) -> Description:
        """Pause the jobs that are not paused, unless `until` is near."""
        now = self._clock()
        note = SwitchNote(True, PAUSE_ALL, now, by.reason, until, short_request_id(request_id), by.caller)
        receipt = _Receipt(await self._wanted(asked.wanted, note, redelivered=redelivered))
        to_change = receipt.choose(lambda job: not job.paused or is_of(job.note, note.id))
        if asked.dry_run:
            receipt.changed = [job.scheduler_id for job in to_change]
            return receipt.describe() | {"dry_run": True, "timer": None}
        timer, request = None, ResumeRequest(pause_id=note.id or "", until=until or now)
        if until is not None and to_change:
            async with answering(self._client):
                timer = await start_timer(self._client, request, self._settings.task_queue, note)

        def is_near_its_end() -> bool:
            return until is not None and (until - self._clock()).total_seconds() < _MARGIN

        async def change(stored: StoredJob) -> None:
            ours: list[ScheduledJob] = []

            def is_to_pause(job: ScheduledJob) -> bool:
                if job.paused and is_of(job.note, note.id):  # this call was delivered again, and overtaken by that
                    ours.append(job)
                if not job.paused and until is not None and is_near_its_end():
                    raise _TooLate(
                        f"the pause ends at {shown(until, self._settings.zone)}, which is too soon to begin it"
                    )
                return not job.paused

            made = await switch_if(stored, note, request_id, is_to_pause, is_retry=redelivered)
            (receipt.changed if made or ours else receipt.already).append(stored.scheduler_id)

        await self._each(to_change, change, receipt)
        if until is not None and timer is not None and is_near_its_end():  # it may end before all are in the list
            later = request.model_copy(update={"until": max(until, self._clock()) + timedelta(seconds=_MARGIN)})
            async with answering(self._client):
                await start_timer(self._client, later, self._settings.task_queue, note, anew=True)
        if not receipt.changed and not receipt.failed:
            # Others paused them all meanwhile. The timer stays: this call, delivered again, may have paused some.
            timer = None
        return receipt.describe() | {"dry_run": False, "timer": timer}

    async def resume(self, asked: ResumeJobs, request_id: str, by: By, *, redelivered: bool) -> Description:
        """Resume the jobs that pause_jobs paused."""
        resumed_by = short_request_id(request_id)
        note = SwitchNote(False, RESUME_ALL, self._clock(), by.reason, id=resumed_by, caller=by.caller)
        receipt = _Receipt(await self._wanted(asked.wanted, note, redelivered=redelivered))

        async def change(stored: StoredJob) -> None:
            left: list[ScheduledJob] = []

            def is_ours(job: ScheduledJob) -> bool:
                if job.paused and not _is_of_many(job.note):
                    left.append(job)
                return job.paused and not left

            made = await switch_if(stored, note, request_id, is_ours, is_retry=redelivered)
            into = receipt.changed if made else receipt.left if left else receipt.already
            into.append(stored.scheduler_id)

        to_change = receipt.choose(lambda job: job.paused or is_of(job.note, note.id))
        await self._each(to_change, change, receipt)
        return receipt.describe()

    async def _wanted(self, wanted: JobFilter, note: SwitchNote, *, redelivered: bool) -> list[JobOverview]:
        """Read the wanted jobs; those that the first delivery changed, too, though the filter may not fit them now."""
        now, lasting = self._clock(), wanted
        if redelivered:
            lasting = JobFilter(**{name: value for name, value in wanted.given().items() if name in _LASTING})
        jobs = await read_all(self._client, lasting, self._changes.lately(), now, self._list_deadline)
        return [job for job in jobs if lasting is wanted or job.fits(wanted, now) or is_of(job.note, note.id)]

    async def _each(
        self,
        jobs: Sequence[JobOverview],
        change: Callable[[StoredJob], Coroutine[Any, Any, None]],
        receipt: "_Receipt",
    ) -> None:
        """Change each job, some at once; one that fails, or is not reached in time, does not stop the others."""
        places = asyncio.Semaphore(_CHANGED_AT_ONCE)
        waiting = {job.scheduler_id for job in jobs}

        async def change_one(scheduler_id: str) -> None:
            async with places:
                try:
                    async with self._changes.alone(scheduler_id) as stored:
                        await change(stored)
                except SchedulerError as error:
                    receipt.failed[scheduler_id] = str(error)
                waiting.discard(scheduler_id)

        seconds = self._list_deadline + _SECONDS_FOR_EACH * len(jobs)
        try:
            async with asyncio.timeout(seconds), asyncio.TaskGroup() as group:
                for job in jobs:
                    group.create_task(change_one(job.scheduler_id))
        except TimeoutError:
            receipt.failed |= dict.fromkeys(waiting, f"not confirmed within {seconds:g} s")


class _TooLate(SchedulerError):
    """A pause would end before it is sure to be seen."""


class _Receipt:
    """What became of each job."""

    def __init__(self, jobs: Sequence[JobOverview]) -> None:
        self.sound = [job for job in jobs if job.request is not None]
        self.failed = {job.scheduler_id: _BROKEN for job in jobs if job.request is None}
        self.changed: list[str] = []
        self.already: list[str] = []
        self.left: list[str] = []

    def choose(self, is_to_change: Callable[[JobOverview], bool]) -> list[JobOverview]:
        """Return the jobs to change; the others are so already."""
        self.already = [job.scheduler_id for job in self.sound if not is_to_change(job)]
        return [job for job in self.sound if is_to_change(job)]

    def describe(self) -> Description:
        """Describe it (docs/api.md#pause_jobs)."""
        return {
            "changed": sorted(self.changed),
            "already": sorted(self.already),
            "left": sorted(self.left),
            "failed": dict(sorted(self.failed.items())),
        }


def _is_of_many(text: str) -> bool:
    note = SwitchNote.read(text)
    return note is not None and note.paused and note.by == PAUSE_ALL
