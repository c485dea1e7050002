"""The names by which callers reach the service (docs/api.md#every-call)."""

from typing import Final

SERVICE: Final = "scheduler"
"""Name of the nameko service."""

ADD: Final = "add_scheduler_start_backup_job_by_interval"
MODIFY: Final = "modify_start_backup_job_by_interval"
PAUSE: Final = "pause_job"
RESUME: Final = "resume_job"
REMOVE: Final = "remove_job"
GET: Final = "get_job"
GET_ALL: Final = "get_jobs"

METHODS: Final = (ADD, MODIFY, PAUSE, RESUME, REMOVE, GET, GET_ALL)
"""Every method of the service."""
