"""The RPC methods as requests to Temporal."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from temporalio.client import Client

from backup_scheduler.contract.errors import BrokenJob, InvalidArguments, JobNotFound
from backup_scheduler.contract.moments import in_utc
from backup_scheduler.jobs.description import Description, describe_broken_job, describe_job, describe_preview
from backup_scheduler.jobs.filters import ListJobs
from backup_scheduler.jobs.from_schedule import ScheduledJob, without_workers
from backup_scheduler.jobs.listed import ListedJob
from backup_scheduler.jobs.notes import UNKNOWN, By
from backup_scheduler.jobs.pauses import PauseJob, PauseJobs, ResumeJobs
from backup_scheduler.jobs.terms import BackupJob, Preview
from backup_scheduler.jobs.windows import next_windows
from backup_scheduler.runs.reports import RunReport
from backup_scheduler.settings import Settings
from backup_scheduler.temporal.stored_jobs import StoredJob
from backup_scheduler.temporal.task_queues import has_workers
from rpc_service.gateway.bulk import Bulk
from rpc_service.gateway.changes import Changes, found, intact, refuse_reserved
from rpc_service.gateway.checkup import CheckUp, check_up
from rpc_service.gateway.faults import answering
from rpc_service.gateway.listing import LIST_DEADLINE, all_jobs
from rpc_service.gateway.pages import read_page
from rpc_service.gateway.previews import preview
from rpc_service.gateway.reports import give_report
from rpc_service.gateway.runs import Runs


def _now() -> datetime:
    return datetime.now(UTC)


class ScheduleGateway:
    """Carries out the RPC methods; each returns the description of its reply.

    Every change is confirmed by a description of the schedule before it is answered: a description shows a change as
    soon as its call has returned (docs/temporal-facts.md#describe-is-right). `get_all` and `list_page` alone read a
    list, which lags; what this gateway has changed lately they describe.

    Within DEADLINE (get_all, list_page: LIST_DEADLINE) every method may raise TemporalUnavailable, TemporalOverloaded,
    TemporalTimeout, AccessRefused and NamespaceNotFound (backup_scheduler/contract/errors.py). Each method names its
    other errors.
    """

    def __init__(
        self,
        client: Client,
        settings: Settings,
        clock: Callable[[], datetime] = _now,
        list_deadline: float = LIST_DEADLINE,
        stored_job: Callable[[Client, str], StoredJob] = StoredJob,
    ) -> None:
        self._client = client
        self._settings = settings
        self._clock = clock
        self._list_deadline = list_deadline
        self._stored_job = stored_job
        self._changes = Changes(client, settings, clock, stored_job)
        self.runs = Runs(client, settings, clock, self._changes, stored_job)
        self._bulk = Bulk(client, settings, clock, self._changes, list_deadline)

    def use(self, client: Client) -> None:
        """Make all further requests with another client."""
        self._client = client
        self._changes.use(client)
        self.runs.use(client)
        self._bulk.use(client)

    async def add(self, job: BackupJob, request_id: str, by: By = UNKNOWN, *, redelivered: bool = False) -> Description:
        """Make a job.

        A redelivered request finds its own job; if that was removed since, the description has no next run.
        Raises InvalidArguments, JobExists, SearchAttributesMissing, and JobNotFound if a schedule that is not a job has
        the id.
        """
        refuse_reserved(job.scheduler_id)
        async with self._changes.alone(job.scheduler_id) as stored:
            alignment = self._changes.align(self._clock(), job)
            current = await self._changes.create(stored, alignment, request_id, by, redelivered=redelivered)
            if current is None:
                return describe_job(alignment.request, self._settings.zone, next_run=None)
            if current.came_too_late and current.request.job() == job:
                current = await self._changes.update(stored, job, request_id, by, is_retry=True)
            return self._describe(current)

    async def modify(
        self, job: BackupJob, request_id: str, by: By = UNKNOWN, *, redelivered: bool = False
    ) -> Description:
        """Replace the terms of a job and align it anew; a paused job stays paused.

        A redelivered request finds its own change. The description shows the current job: another process may have
        changed it since. Raises InvalidArguments, JobNotFound, and BrokenJob if the terms cannot be read.
        """
        async with self._changes.alone(job.scheduler_id) as stored:
            return self._describe(await self._changes.update(stored, job, request_id, by, is_retry=redelivered))

    async def pause(
        self,
        scheduler_id: str,
        how: PauseJob | None = None,
        request_id: str = "",
        by: By = UNKNOWN,
        *,
        redelivered: bool = False,
    ) -> Description:
        """Start no more runs; runs under way go on.

        A reason or an end replaces those that a paused job has. Raises InvalidArguments, JobNotFound and BrokenJob.
        """
        by, until = (by.because(how.reason), self._end(how.until, redelivered=redelivered)) if how else (by, None)
        async with self._changes.alone(scheduler_id) as stored:
            if by.reason is None and until is None:
                return self._describe(await self._changes.hold(stored, by, request_id, is_retry=redelivered))
            return self._describe(await self._changes.pause(stored, by, until, request_id, is_retry=redelivered))

    async def resume(self, scheduler_id: str, by: By = UNKNOWN) -> Description:
        """Start runs again; runs that came due during the pause are not made up for.

        Raises JobNotFound and BrokenJob.
        """
        async with self._changes.alone(scheduler_id) as stored:
            return self._describe(await self._changes.resume(stored, by))

    async def remove(
        self, scheduler_id: str, request_id: str, by: By = UNKNOWN, *, redelivered: bool = False
    ) -> Description:
        """Delete the schedule of a job; a backup under way goes on to its end.

        A redelivered request may have deleted it before: then there are no terms to describe, and a job that was added
        since stays. Raises JobNotFound, also in that case.
        """
        current: ScheduledJob | None = None
        try:
            async with self._changes.alone(scheduler_id) as stored:
                try:
                    current = await found(stored)
                    description = describe_job(current.request, self._settings.zone, next_run=None)
                except BrokenJob:
                    description = describe_broken_job(scheduler_id)
                if redelivered and await stored.was_deleted_by(request_id):
                    raise JobNotFound(scheduler_id, removed_before=True)
                await stored.delete(request_id, by)
                if current is not None:
                    await self._changes.cancel_timer_of(current)
                return description
        except JobNotFound as missing:
            if missing.removed_before:
                raise
            raise JobNotFound(scheduler_id, perhaps_removed=redelivered) from None

    async def get(self, scheduler_id: str) -> Description:
        """Describe a job. Raises JobNotFound and BrokenJob."""
        async with answering(self._client, scheduler_id):
            job = await intact(self._stored_job(self._client, scheduler_id))
            # Another task queue than the service's may be right: jobs keep theirs, and its workers may be there still.
            if job.task_queue != self._settings.task_queue and not await has_workers(self._client, job.task_queue):
                raise BrokenJob(scheduler_id, without_workers(job.task_queue))
            return self._describe(job)

    async def get_all(self) -> list[Description]:
        """Describe every job, ordered by scheduler_id, as Temporal's list shows it.

        Of a broken job only the id is sure, so its other values are None; `get` names the fault, and alone finds some
        (ListedJob.read). Raises ListTimeout.
        """
        described = {}
        for job in await all_jobs(self._client, self._list_deadline, self._changes.lately(), self._clock()):
            if isinstance(job, BrokenJob):
                described[job.scheduler_id] = describe_broken_job(job.scheduler_id)
            else:
                described[job.request.scheduler_id] = self._describe(job)
        return [described[scheduler_id] for scheduler_id in sorted(described)]

    async def check_up(self, wanted: CheckUp, strangers: int | None = None) -> dict[str, Any]:
        """Check all that jobs need; `strangers` are consumers of the queue of calls that are not of this service.

        Raises none of the errors above: they are among what is found.
        """
        return await check_up(self._client, self._settings, self._clock(), strangers, checks=wanted.checks)

    async def preview(self, asked: Preview) -> Description:
        """Describe the next windows of a job with these terms; nothing is changed.

        Without a scheduler_id nothing is asked of Temporal. Raises InvalidArguments as `add` does; JobNotFound if a
        schedule that is not a job has the id, and BrokenJob.
        """
        if asked.scheduler_id is not None:
            refuse_reserved(asked.scheduler_id)
        now = self._clock()
        request = self._changes.align(now, asked.job()).request
        if asked.scheduler_id is None:
            return describe_preview(next_windows(request, now, asked.count), request.zone)
        async with answering(self._client, asked.scheduler_id):
            return await preview(self._stored_job(self._client, asked.scheduler_id), request, asked.count, now)

    async def list_page(self, wanted: ListJobs) -> Description:
        """Describe a page of the wanted jobs, in the order of Temporal's list. Raises InvalidArguments, ListTimeout."""
        now, lately = self._clock(), self._changes.lately()
        page = await read_page(self._client, wanted, lately, now, self._list_deadline)
        jobs = [job.describe(self._settings.zone, now) for job in page.jobs]
        return {"jobs": jobs, "count": page.count, "next": page.next}

    async def pause_all(
        self, asked: PauseJobs, request_id: str, by: By = UNKNOWN, *, redelivered: bool = False
    ) -> Description:
        """Pause all jobs that fit; return a receipt. Raises InvalidArguments and ListTimeout."""
        until = self._end(asked.until, redelivered=redelivered)
        return await self._bulk.pause(asked, until, request_id, by.because(asked.reason), redelivered=redelivered)

    async def resume_all(
        self, asked: ResumeJobs, request_id: str, by: By = UNKNOWN, *, redelivered: bool = False
    ) -> Description:
        """Resume all jobs that fit and were paused by `pause_all`; return a receipt. Raises ListTimeout."""
        return await self._bulk.resume(asked, request_id, by, redelivered=redelivered)

    def _end(self, until: datetime | None, *, redelivered: bool) -> datetime | None:
        """Return the end of a pause in UTC. Raises InvalidArguments if it did not lie ahead of the first delivery."""
        if until is None:
            return None
        moment = in_utc(until, self._settings.zone)
        if moment <= self._clock() and not redelivered:
            rule = PauseJob.model_fields["until"].description
            raise InvalidArguments([f"until must be {rule}, not {str(until)!r}"])
        return moment

    async def report_run(self, report: RunReport, request_id: str) -> dict[str, Any]:
        """Give a run the report of its backup service. Raises RunNotFound, ReportRefused and ReportTimeout."""
        async with answering(self._client):
            return await give_report(self._client, report, request_id)

    def _describe(self, job: ScheduledJob | ListedJob) -> Description:
        return describe_job(job.request, self._settings.zone, job.next_run(self._clock()))
