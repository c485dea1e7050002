"""The reply of every RPC call: a dict of exactly three keys (contract)."""

from datetime import datetime
from typing import Any, Literal, TypedDict
from zoneinfo import ZoneInfo

from backup_scheduler.backups import BackupRequest

OK = 200


class Reply(TypedDict):
    """`description` is a job (or a list of jobs) on success and one sentence on failure."""

    status: Literal["success", "fail"]
    description: dict[str, Any] | list[dict[str, Any]] | str
    code: int


def success(description: dict[str, Any] | list[dict[str, Any]]) -> Reply:
    """Return the reply of a call that did what it was asked."""
    return {"status": "success", "description": description, "code": OK}


def fail(code: int, sentence: str) -> Reply:
    """Return the reply of a call that did not, and why."""
    return {"status": "fail", "description": sentence, "code": code}


def describe_job(request: BackupRequest, zone: ZoneInfo, next_run: datetime | None) -> dict[str, Any]:
    """Return what success describes (contract); a paused or removed job has no next run."""
    return {
        "job_id": request.scheduler_id,
        "func": "start_backup",
        "args": [],
        "kwargs": {
            "policy_name": request.policy_name,
            "duration": request.duration,
            "start_time": request.start_time,
            **request.url_kwargs,
        },
        "misfire_grace_time": request.misfire_grace_time,
        "next_run_time": next_run and next_run.astimezone(zone).strftime("%Y-%m-%d %H:%M:%S"),
    }


def describe_broken_job(scheduler_id: str) -> dict[str, Any]:
    """Return what is known of a job whose schedule does not hold its terms: the same keys, and its id alone."""
    return {
        "job_id": scheduler_id,
        "func": "start_backup",
        "args": [],
        "kwargs": {"policy_name": None, "duration": None, "start_time": None},
        "misfire_grace_time": None,
        "next_run_time": None,
    }
