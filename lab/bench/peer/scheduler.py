"""The peer's APScheduler: jobs in SQLite, a pool of threads."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.jobstores.sqlalchemy import SQLAlchemyJobStore
from apscheduler.schedulers.background import BackgroundScheduler

from lab.bench.peer.backup import JOB_FUNCTION


def make_scheduler(database: Path, threads: int) -> BackgroundScheduler:
    """Return a scheduler that is not started yet; it makes as many backups at once as it has threads."""
    return BackgroundScheduler(
        jobstores={"default": SQLAlchemyJobStore(url=f"sqlite:///{database}")},
        executors={"default": ThreadPoolExecutor(threads)},
        timezone=UTC,
    )


def terms(job: dict[str, Any], first_run: datetime) -> dict[str, Any]:
    """Return APScheduler's arguments for a job with the terms of the RPC methods."""
    kwargs = {name: job[name] for name in job if name not in ("scheduler_id", "days", "misfire_grace_time")}
    return {
        "func": JOB_FUNCTION,
        "trigger": "interval",
        "days": job["days"],
        "start_date": first_run,
        "jitter": job["duration"] * 3600 or None,
        "id": job["scheduler_id"],
        "kwargs": kwargs,
        "misfire_grace_time": job["misfire_grace_time"],
    }


def seed(database: Path, jobs: list[dict[str, Any]], due: datetime) -> None:
    """Put jobs into a database that no scheduler uses yet; all are due at the same moment.

    That moment has to lie ahead also afterwards: a scheduler that shuts down gives away the jobs that are due.
    """
    scheduler = make_scheduler(database, threads=1)
    scheduler.start(paused=True)
    for job in jobs:
        scheduler.add_job(**terms(job, due))
    scheduler.shutdown()
