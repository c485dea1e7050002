"""Results of runs: outcomes, reports of engines, and what a run returns."""

from datetime import datetime
from enum import StrEnum

from pydantic import BaseModel, Field, JsonValue

from backup_scheduler.texts import CleanText


class Outcome(StrEnum):
    """How a run ended."""

    COMPLETED = "completed"
    """The backup was made."""
    COMPLETED_WITH_WARNINGS = "completed with warnings"
    """A backup was made, but not of everything: restic could not read some files; or an http answer broke off."""
    MISSED = "missed"
    """The run was picked up too late, nothing was backed up; it fails."""
    FAILED = "failed"
    """No backup was made."""


class HttpAnswer(BaseModel):
    """What the backup target answered."""

    status: int
    """HTTP status code, 200 to 399."""
    body: JsonValue = None
    """Parsed JSON where the target says that it is, else text; cut at 64 KiB."""
    truncated: bool = False
    """The answer was longer than 64 KiB, or broke off: the rest was not read, and JSON is kept as text."""


class BackupReport(BaseModel):
    """What an engine (http or restic) did; counts are of this run, sizes in bytes, None where it cannot know."""

    outcome: Outcome
    message: CleanText
    """One sentence for the person who looks at the run."""
    warnings: list[CleanText] = Field(default_factory=list)
    """What could not be backed up, at most the first 20 complaints."""
    snapshot_id: CleanText | None = None
    """restic's id of the snapshot, as `restic snapshots` lists it."""
    files: int | None = None
    """Files read."""
    bytes_processed: int | None = None
    """Size of the files read."""
    bytes_added: int | None = None
    """What the repository grew by, before compression."""
    repository: str | None = None
    """Where the snapshot is, as restic writes it, without user name and password."""
    answer: HttpAnswer | None = None


class BackupResult(BackupReport):
    """What a run of BackupWorkflow returns, or, when it failed, the details of its failure. Times are UTC."""

    scheduler_id: str
    policy_name: str
    scheduled_time: datetime
    """Nominal time of the occurrence: the beginning of its window."""
    started_at: datetime
    """When a worker picked the run up."""
    finished_at: datetime
