"""The descriptions of replies: of a job (docs/api.md#a-job), and of its next windows (docs/api.md#preview)."""

from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

from backup_scheduler.contract.moments import shown
from backup_scheduler.jobs.terms import BackupJob
from backup_scheduler.jobs.windows import Window, clock_changes

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


def describe_preview(windows: Sequence[Window], zone: ZoneInfo, *, paused: bool = False) -> Description:
    """Describe windows in a row, and the clock changes from the first opening to the last end.

    No run of a paused job starts.
    """
    return {
        "timezone": zone.key,
        "paused": paused,
        "windows": [
            {
                "opens": shown(window.opens, zone),
                "closes": shown(window.closes, zone),
                "starts": None if paused or window.starts is None else shown(window.starts, zone),
            }
            for window in windows
        ],
        "clock_changes": [
            {
                "at": shown(change.at, zone),
                "from": _offset(change.before),
                "to": _offset(change.after),
            }
            for change in clock_changes(zone, windows[0].opens, windows[-1].closes)
        ],
    }


def _offset(offset: timedelta) -> str:
    """Return a UTC offset as ISO 8601 writes it, such as +01:00."""
    return datetime.min.replace(tzinfo=timezone(offset)).isoformat(timespec="minutes")[-6:]
