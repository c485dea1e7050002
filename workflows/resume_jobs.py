"""The end of a pause: waits for it, and resumes the jobs that were paused until then."""

import asyncio
from datetime import timedelta
from typing import Final

from temporalio import workflow
from temporalio.common import RetryPolicy

with workflow.unsafe.imports_passed_through():
    from activities.resume_jobs import JobResumer
    from backup_scheduler.jobs import names
    from backup_scheduler.jobs.pauses import ResumeReport, ResumeRequest

RESUME_RETRIES: Final = RetryPolicy(maximum_interval=timedelta(minutes=1))
"""Until it is done: jobs that stay paused make no backups."""


@workflow.defn(name=names.RESUME_WORKFLOW)
class ResumeJobsWorkflow:
    """Resumes jobs at the end of their pause, unless they were resumed or paused anew before.

    It is cancelled when there is nothing left to resume.
    """

    @workflow.run
    async def run(self, request: ResumeRequest) -> ResumeReport:
        """Wait for the end, and resume the jobs; the result names them."""
        what = "the job" if request.scheduler_id is not None else "the jobs of the pause"
        workflow.set_current_details(f"**waiting**: resumes {what} at {request.until:%Y-%m-%d %H:%M:%S} UTC")
        try:
            await workflow.sleep(max(request.until - workflow.now(), timedelta(0)), summary="until the pause ends")
        except asyncio.CancelledError:
            workflow.set_current_details("**cancelled**: the job was resumed, paused anew or removed before")
            raise
        report = await workflow.execute_activity_method(
            JobResumer.resume_jobs,
            request,
            task_queue=names.housekeeping_queue(workflow.info().task_queue),
            start_to_close_timeout=timedelta(minutes=50),
            heartbeat_timeout=timedelta(seconds=60),
            retry_policy=RESUME_RETRIES,
        )
        workflow.set_current_details(f"**done**: {report.resumed} resumed, {len(report.failures)} not")
        return report
