"""The activity that resumes the jobs of a pause when it ends."""

from datetime import UTC, datetime
from typing import Final

import structlog
from temporalio import activity
from temporalio.service import RPCError, RPCStatusCode

from backup_scheduler.contract.errors import BrokenJob, JobNotFound
from backup_scheduler.jobs.filters import JobFilter
from backup_scheduler.jobs.from_schedule import ScheduledJob, job_of_memo
from backup_scheduler.jobs.notes import SwitchNote, is_of
from backup_scheduler.jobs.pauses import ResumeReport, ResumeRequest
from backup_scheduler.temporal.lists import page_of_jobs, query_of
from backup_scheduler.temporal.stored_jobs import StoredJob
from backup_scheduler.temporal.switches import switch_if

_log = structlog.stdlib.get_logger(__name__)

_MOST_NAMED: Final = 100


async def end_pause(stored: StoredJob, pause_id: str, request_id: str) -> ScheduledJob | None:
    """Resume a job if it is still paused by this pause; None if it is not. Raises as `switch_if` does."""

    def is_paused(job: ScheduledJob) -> bool:
        return job.paused and is_of(job.note, pause_id)

    note = SwitchNote(False, "the end of its pause", datetime.now(UTC))
    return await switch_if(stored, note, request_id, is_paused, is_retry=True)


class JobResumer:
    """Resumes jobs through the worker's own client."""

    @activity.defn
    async def resume_jobs(self, request: ResumeRequest) -> ResumeReport:
        """Resume each job that this pause keeps paused, one after another; a job that fails does not stop the others.

        Another attempt goes on with the report of the one before. Raises RPCError, at the end, if Temporal could not be
        asked for a job.
        """
        before = activity.info().heartbeat_details
        end = _End(request, ResumeReport.model_validate(before[0]) if before else ResumeReport())
        if request.scheduler_id is not None:
            await end.resume(request.scheduler_id)
        else:
            while await end.resume_listed():  # places in the list may shift while it is read
                pass
        if end.unreached is not None:
            raise end.unreached
        return end.report


class _End:
    """The end of a pause, and what came of it so far."""

    def __init__(self, request: ResumeRequest, report: ResumeReport) -> None:
        self._request = request
        self.report = report
        self.unreached: RPCError | None = None
        self._resumed = {*report.scheduler_ids}

    async def resume_listed(self) -> bool:
        """Resume the jobs that the list has; return whether there was one."""
        token, resumed = b"", 0
        while True:
            page = await page_of_jobs(activity.client(), query_of(JobFilter(paused=True)), token)
            for entry in page.schedules:
                scheduler_id = job_of_memo(entry.schedule_id, entry.memo)
                if scheduler_id is None or scheduler_id in self._resumed:  # the list may lag
                    continue
                if is_of(entry.info.notes, self._request.pause_id):
                    resumed += await self.resume(scheduler_id)
            token = page.next_page_token
            if not token:
                return resumed > 0

    async def resume(self, scheduler_id: str) -> bool:
        """Resume a job if the pause still holds; return whether it did."""
        activity.heartbeat(self.report)
        pause_id = self._request.pause_id
        try:
            job = await end_pause(StoredJob(activity.client(), scheduler_id), pause_id, f"end of {pause_id}")
        except JobNotFound:
            return False
        except BrokenJob as broken:
            _log.error("job not resumed at the end of its pause", scheduler_id=scheduler_id, reason=str(broken))
            self.report.failures = dict([*self.report.failures.items(), (scheduler_id, str(broken))][:_MOST_NAMED])
            return False
        except RPCError as error:
            if error.status != RPCStatusCode.NOT_FOUND:  # else removed since
                self.unreached = error
            return False
        if job is None:
            return False
        _log.info("job resumed at the end of its pause", scheduler_id=scheduler_id)
        self._resumed.add(scheduler_id)
        self.report.resumed += 1
        self.report.scheduler_ids = [*self.report.scheduler_ids, scheduler_id][:_MOST_NAMED]
        return True
