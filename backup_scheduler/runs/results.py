"""Results of runs: outcomes, reports of engines, and the results of whole runs."""

from datetime import datetime
from enum import StrEnum

from pydantic import BaseModel, Field, JsonValue

from backup_scheduler.texts import CleanText


class Outcome(StrEnum):
    """The end of a run: with or without a backup."""

    COMPLETED = "completed"
    """The backup was made."""
    COMPLETED_WITH_WARNINGS = "completed with warnings"
    """A backup was made, but there is a doubt, such as files that restic could not read, a snapshot that shrank, or an
    http answer that broke off."""
    MISSED = "missed"
    """No backup was made: a worker picked the run up too late. The run fails."""
    FAILED = "failed"
    """No backup was made, for any other reason. The run fails."""


class HttpAnswer(BaseModel):
    """The answer of an http target."""

    status: int
    """HTTP status code, 200 to 399."""
    body: JsonValue = None
    """Parsed JSON if the target declares it as JSON, else text; cut at 64 KiB."""
    truncated: bool = False
    """The answer was longer than 64 KiB, or broke off: the rest was not read, and JSON is kept as text."""


class BackupReport(BaseModel):
    """The report of an engine. Counts are of this run, sizes are in bytes; None if the engine cannot know."""

    outcome: Outcome
    message: CleanText
    """One sentence for people who look at the run."""
    warnings: list[CleanText] = Field(default_factory=list)
    """Doubts about the backup, such as files that could not be read: the first 20 at most."""
    snapshot_id: CleanText | None = None
    """restic's id of the snapshot, as `restic snapshots` lists it."""
    files: int | None = None
    """Files read."""
    bytes_processed: int | None = None
    """Size of the files read."""
    bytes_added: int | None = None
    """Growth of the repository, before compression."""
    repository: str | None = None
    """Location of the repository, as restic writes it, without user name and password."""
    answer: HttpAnswer | None = None


class BegunBackup(BackupReport):
    """The report on a backup that a service has begun. The history of the run keeps it, so it holds no secret."""

    ended: bool = False
    """The answer told the end of the backup already; then the report is complete."""
    status_url: str | None = None
    """The URL of the status as the service named it, without query and credentials."""
    status_fields: dict[str, str] = Field(default_factory=dict)
    """The fields of the policy's own status_url."""
    first_pause: float | None = None
    """Seconds to wait before the first look at the status, if the service asked for it."""


class BackupResult(BackupReport):
    """The result of a run of BackupWorkflow; for a failed run, the details of its failure. Times are UTC."""

    scheduler_id: str
    policy_name: str
    scheduled_time: datetime
    """Nominal time of the occurrence: the beginning of its window."""
    started_at: datetime
    """Moment at which a worker picked the run up."""
    finished_at: datetime
