"""The description of a job in a reply (docs/api.md#a-job)."""

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from backup_scheduler.contract.moments import shown
from backup_scheduler.jobs.terms import BackupJob

Description = dict[str, Any]


def describe_job(job: BackupJob, zone: ZoneInfo, next_run: datetime | None) -> Description:
    """Describe a job; a paused or removed job has no next run."""
    return {
        "job_id": job.scheduler_id,
        "func": "start_backup",
        "args": [],
        "kwargs": {
            "policy_name": job.policy_name,
            "duration": job.duration,
            "start_time": job.start_time,
            **job.url_kwargs,
        },
        "misfire_grace_time": job.misfire_grace_time,
        "next_run_time": next_run and shown(next_run, zone),
    }


def describe_broken_job(scheduler_id: str) -> Description:
    """Describe a broken job with the same keys: the id is known, the terms and the next run are None."""
    return {
        "job_id": scheduler_id,
        "func": "start_backup",
        "args": [],
        "kwargs": {"policy_name": None, "duration": None, "start_time": None},
        "misfire_grace_time": None,
        "next_run_time": None,
    }
