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
RUN: Final = "run_job"
GET_RUNS: Final = "get_job_runs"
GET_RUN: Final = "get_run"
CANCEL_RUN: Final = "cancel_run"
CHECK: Final = "check_scheduler"
PREVIEW: Final = "preview"
LIST: Final = "list_jobs"
PAUSE_ALL: Final = "pause_jobs"
RESUME_ALL: Final = "resume_jobs"
REPORT: Final = "report_run"

METHODS: Final = (
    *(ADD, MODIFY, PAUSE, RESUME, REMOVE, GET, GET_ALL),
    *(RUN, GET_RUNS, GET_RUN, CANCEL_RUN, REPORT, LIST, PAUSE_ALL, RESUME_ALL, PREVIEW, CHECK),
)
"""Every method of the service."""
