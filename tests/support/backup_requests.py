"""Requests and tasks of backups."""

from datetime import date
from typing import Any

from backup_scheduler.jobs.request import BackupRequest
from backup_scheduler.runs.task import BackupTask


def a_request(**changes: Any) -> BackupRequest:
    terms: dict[str, Any] = {
        "scheduler_id": "job-1",
        "policy_name": "nightly",
        "days": 1,
        "start_time": "02:00",
        "duration": 1,
        "misfire_grace_time": 3600,
        "timezone": "UTC",
        "anchor": date(2026, 1, 1),
    }
    return BackupRequest(**(terms | changes))


def a_task(occurrence: str = "backup-job-1-2026-01-01T02:00:00Z", **changes: Any) -> BackupTask:
    return BackupTask(request=a_request(**changes), occurrence=occurrence)
