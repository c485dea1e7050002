"""The nameko service `scheduler`: start it with `backup-scheduler-rpc` or `nameko run rpc_service.service`.

The methods take all arguments and check them themselves: nameko raises at a caller whose call does not fit a signature.
The arguments are those of the model in each method, by position or by name.
"""

from typing import Any

from backup_scheduler.contract.arguments import Arguments, JobId
from backup_scheduler.contract.methods import SERVICE
from backup_scheduler.contract.replies import Reply
from backup_scheduler.jobs.filters import ListJobs
from backup_scheduler.jobs.pauses import PauseJob, PauseJobs, ResumeJobs
from backup_scheduler.jobs.terms import BackupJob, Preview
from backup_scheduler.runs.arguments import CancelRun, JobRuns, RunId, RunJob
from backup_scheduler.runs.reports import RunReport
from rpc_service.calls import Call, Calls
from rpc_service.entrypoint import rpc
from rpc_service.gateway.checkup import CheckUp
from rpc_service.presence import strangers


class SchedulerService:
    """Backup jobs, each a Temporal Schedule."""

    name = SERVICE
    call: Call = Calls()

    @rpc
    def add_scheduler_start_backup_job_by_interval(self, /, *args: Any, **kwargs: Any) -> Reply:
        """Make a job: (scheduler_id, policy_name, days, start_time, duration, misfire_grace_time, **url_kwargs)."""
        return self.call.answer(
            BackupJob,
            args,
            kwargs,
            lambda jobs, job: jobs.add(job, self.call.request_id(job), self.call.by, redelivered=self.call.redelivered),
        )

    @rpc
    def modify_start_backup_job_by_interval(self, /, *args: Any, **kwargs: Any) -> Reply:
        """Replace a job's terms; the arguments are those of add. A paused job stays paused."""
        return self.call.answer(
            BackupJob,
            args,
            kwargs,
            lambda jobs, job: jobs.modify(
                job, self.call.request_id(job), self.call.by, redelivered=self.call.redelivered
            ),
        )

    @rpc
    def pause_job(self, /, *args: Any, **kwargs: Any) -> Reply:
        """Start no more runs of a job: (scheduler_id, reason, until). Runs under way go on."""
        return self.call.answer(
            PauseJob,
            args,
            kwargs,
            lambda jobs, how: jobs.pause(
                how.scheduler_id, how, self.call.request_id(how), self.call.by, redelivered=self.call.redelivered
            ),
        )

    @rpc
    def resume_job(self, /, *args: Any, **kwargs: Any) -> Reply:
        """Start runs of a paused job again: (scheduler_id)."""
        return self.call.answer(JobId, args, kwargs, lambda jobs, job: jobs.resume(job.scheduler_id, self.call.by))

    @rpc
    def remove_job(self, /, *args: Any, **kwargs: Any) -> Reply:
        """Remove a job: (scheduler_id). A backup under way is left to finish."""
        return self.call.answer(
            JobId,
            args,
            kwargs,
            lambda jobs, job: jobs.remove(
                job.scheduler_id, self.call.request_id(job), self.call.by, redelivered=self.call.redelivered
            ),
        )

    @rpc
    def get_job(self, /, *args: Any, **kwargs: Any) -> Reply:
        """Describe a job: (scheduler_id)."""
        return self.call.answer(JobId, args, kwargs, lambda jobs, job: jobs.get(job.scheduler_id))

    @rpc
    def get_jobs(self, /, *args: Any, **kwargs: Any) -> Reply:
        """Describe every job: ()."""
        return self.call.answer(Arguments, args, kwargs, lambda jobs, _: jobs.get_all())

    @rpc
    def run_job(self, /, *args: Any, **kwargs: Any) -> Reply:
        """Start a run, also of a paused job: (scheduler_id, at=None, reason=None)."""
        return self.call.answer(
            RunJob,
            args,
            kwargs,
            lambda jobs, wanted: jobs.runs.start(
                wanted, self.call.why(wanted, wanted.reason), redelivered=self.call.redelivered
            ),
        )

    @rpc
    def get_job_runs(self, /, *args: Any, **kwargs: Any) -> Reply:
        """List runs of a job: (scheduler_id, limit=20, before=None, outcome=None)."""
        return self.call.answer(JobRuns, args, kwargs, lambda jobs, wanted: jobs.runs.page(wanted))

    @rpc
    def get_run(self, /, *args: Any, **kwargs: Any) -> Reply:
        """Describe a run: (run_id)."""
        return self.call.answer(RunId, args, kwargs, lambda jobs, wanted: jobs.runs.get(wanted))

    @rpc
    def cancel_run(self, /, *args: Any, **kwargs: Any) -> Reply:
        """End a run without its backup: (run_id, reason=None)."""
        return self.call.answer(CancelRun, args, kwargs, lambda jobs, wanted: jobs.runs.cancel(wanted, self.call.by))

    @rpc
    def check_scheduler(self, /, *args: Any, **kwargs: Any) -> Reply:
        """Check all that jobs need in Temporal: (checks=True)."""
        return self.call.answer(CheckUp, args, kwargs, lambda jobs, wanted: jobs.check_up(wanted, strangers()))

    @rpc
    def preview(self, /, *args: Any, **kwargs: Any) -> Reply:
        """Describe the next windows of a job, and change nothing.

        (policy_name, days, start_time, duration, misfire_grace_time, count=10, scheduler_id=None, **url_kwargs)
        """
        return self.call.answer(Preview, args, kwargs, lambda jobs, asked: jobs.preview(asked))

    @rpc
    def list_jobs(self, /, *args: Any, **kwargs: Any) -> Reply:
        """Describe a page of jobs: (policy_name, paused, last_outcome, overdue, prefix, limit, after)."""
        return self.call.answer(ListJobs, args, kwargs, lambda jobs, wanted: jobs.list_page(wanted))

    @rpc
    def pause_jobs(self, /, *args: Any, **kwargs: Any) -> Reply:
        """Pause all jobs that fit a filter of list_jobs: (filter, reason, until, dry_run, all)."""
        return self.call.answer(
            PauseJobs,
            args,
            kwargs,
            lambda jobs, asked: jobs.pause_all(
                asked, self.call.request_id(asked), self.call.by, redelivered=self.call.redelivered
            ),
        )

    @rpc
    def resume_jobs(self, /, *args: Any, **kwargs: Any) -> Reply:
        """Resume the jobs that pause_jobs paused and that fit a filter of list_jobs: (filter, all)."""
        return self.call.answer(
            ResumeJobs,
            args,
            kwargs,
            lambda jobs, asked: jobs.resume_all(
                asked, self.call.request_id(asked), self.call.by, redelivered=self.call.redelivered
            ),
        )

    @rpc
    def report_run(self, /, *args: Any, **kwargs: Any) -> Reply:
        """Say how the backup of a run is: (run_id, outcome, message, files, bytes, snapshot_id, progress)."""
        return self.call.answer(
            RunReport, args, kwargs, lambda jobs, report: jobs.report_run(report, self.call.request_id(report))
        )
