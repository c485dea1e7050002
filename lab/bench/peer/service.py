"""The peer's RPC methods: the same names, arguments and replies as ours."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from apscheduler.job import Job
from apscheduler.jobstores.base import ConflictingIdError, JobLookupError
from nameko.extensions import DependencyProvider
from nameko.rpc import rpc

from lab.bench.peer.scheduler import make_scheduler, terms

NAME = "peer"

Reply = dict[str, Any]


class Scheduling(DependencyProvider):  # type: ignore[misc]  # nameko has no type information
    """The one scheduler of the process."""

    def setup(self) -> None:
        """Make the scheduler."""
        config = self.container.config
        self.scheduler = make_scheduler(Path(config["DATABASE"]), config["THREADS"])

    def start(self) -> None:
        """Begin to start jobs."""
        self.scheduler.start()

    def stop(self) -> None:
        """Start nothing any more."""
        self.scheduler.shutdown(wait=False)

    def get_dependency(self, worker_ctx: Any) -> Any:
        """Return the scheduler."""
        return self.scheduler


class PeerService:
    """Backup jobs, each a row in SQLite."""

    name = NAME
    scheduler = Scheduling()

    @rpc  # type: ignore[untyped-decorator]  # nameko has no type information
    def add_scheduler_start_backup_job_by_interval(self, **job: Any) -> Reply:
        """Insert a job."""
        try:
            return _success(self.scheduler.add_job(**terms(job, _first_run(job["start_time"]))))
        except ConflictingIdError as error:
            return _fail(409, error)

    @rpc  # type: ignore[untyped-decorator]  # nameko has no type information
    def modify_start_backup_job_by_interval(self, **job: Any) -> Reply:
        """Replace a job's terms."""
        changed = terms(job, _first_run(job["start_time"]))
        scheduler_id = changed.pop("id")
        trigger = {name: changed.pop(name) for name in ("trigger", "days", "start_date", "jitter")}
        try:
            self.scheduler.modify_job(scheduler_id, **changed)
            return _success(self.scheduler.reschedule_job(scheduler_id, **trigger))
        except JobLookupError as error:
            return _fail(404, error)

    @rpc  # type: ignore[untyped-decorator]  # nameko has no type information
    def pause_job(self, scheduler_id: str) -> Reply:
        """Take a job's next run away."""
        try:
            return _success(self.scheduler.pause_job(scheduler_id))
        except JobLookupError as error:
            return _fail(404, error)

    @rpc  # type: ignore[untyped-decorator]  # nameko has no type information
    def resume_job(self, scheduler_id: str) -> Reply:
        """Compute a job's next run anew."""
        try:
            return _success(self.scheduler.resume_job(scheduler_id))
        except JobLookupError as error:
            return _fail(404, error)

    @rpc  # type: ignore[untyped-decorator]  # nameko has no type information
    def remove_job(self, scheduler_id: str) -> Reply:
        """Delete a job's row."""
        job = self.scheduler.get_job(scheduler_id)
        if job is None:
            return _fail(404, JobLookupError(scheduler_id))
        self.scheduler.remove_job(scheduler_id)
        return _success(job)

    @rpc  # type: ignore[untyped-decorator]  # nameko has no type information
    def get_job(self, scheduler_id: str) -> Reply:
        """Read a job's row."""
        job = self.scheduler.get_job(scheduler_id)
        return _fail(404, JobLookupError(scheduler_id)) if job is None else _success(job)

    @rpc  # type: ignore[untyped-decorator]  # nameko has no type information
    def get_jobs(self) -> Reply:
        """Read all rows."""
        jobs = [_describe(job) for job in self.scheduler.get_jobs()]
        return {"status": "success", "description": jobs, "code": 200}


def service_named(name: str) -> type:
    """Return the service under another name, so that several can share a broker."""
    return type(PeerService.__name__, (PeerService,), {"name": name})


def _first_run(start_time: str) -> datetime:
    now = datetime.now(UTC)
    hour, minute = map(int, start_time.split(":"))
    start = now.replace(hour=hour, minute=minute, second=0, microsecond=0)
    return start if start > now else start + timedelta(days=1)


def _describe(job: Job) -> dict[str, Any]:
    next_run = job.next_run_time
    return {
        "job_id": job.id,
        "func": "start_backup",
        "args": [],
        "kwargs": job.kwargs,
        "misfire_grace_time": job.misfire_grace_time,
        "next_run_time": next_run and next_run.strftime("%Y-%m-%d %H:%M:%S"),
    }


def _success(job: Job) -> Reply:
    return {"status": "success", "description": _describe(job), "code": 200}


def _fail(code: int, error: Exception) -> Reply:
    return {"status": "fail", "description": str(error), "code": code}
