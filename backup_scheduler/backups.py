"""What goes into a run of BackupWorkflow and what comes out of it."""

from datetime import date, datetime
from enum import StrEnum
from typing import Self
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, JsonValue
from temporalio.contrib.pydantic import pydantic_data_converter

from backup_scheduler.errors import InvalidArguments
from backup_scheduler.jobs import BackupJob
from backup_scheduler.texts import CleanText


class BackupRequest(BackupJob):
    """The one argument of BackupWorkflow: a job's terms, with what is needed to know its right times for ever.

    It stands in the schedule's action and in the history of each run, readable in the Web UI.
    """

    model_config = ConfigDict(extra="ignore")  # a newer RPC service may talk to an older worker

    timezone: str
    """IANA name of the zone whose clock start_time is read on; a job keeps the zone it was made with (contract).

    Any name can be read: a run needs no zone, and machines know different ones.
    """
    anchor: date
    """Local date of the first run; runs fall on every `days`-th day from it."""

    @classmethod
    def of(cls, job: BackupJob, timezone: str, anchor: date) -> Self:
        """Bind a job's terms to a zone and a first day."""
        return cls(**job.model_dump(), timezone=timezone, anchor=anchor)

    def job(self) -> BackupJob:
        """Return the terms as the caller gave them."""
        return BackupJob(**self.model_dump(include=set(BackupJob.model_fields)))

    @property
    def zone(self) -> ZoneInfo:
        """The zone whose clock start_time is read on; raises ZoneInfoNotFoundError where this machine has none such."""
        return ZoneInfo(self.timezone)


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


class PreviousBackup(BaseModel):
    """What the next run has to know of the last backup of its job; fields as in BackupReport and BackupResult."""

    policy_name: str
    snapshot_id: str | None = None
    repository: str | None = None
    files: int | None = None
    bytes_processed: int | None = None


class BackupTask(BaseModel):
    """The argument of the activities that make a backup."""

    request: BackupRequest
    occurrence: str
    """Names the occurrence: the same for every attempt, and no other occurrence has it."""
    previous: PreviousBackup | None = None
    """The job's last backup; None before the first one."""


def check_carriage(request: BackupRequest) -> None:
    """Carry a request to Temporal, a run and an activity, and back, as it goes there; raises InvalidArguments.

    A schedule whose request cannot be read back would be a job without terms. The rules of the arguments keep well
    inside of what can be carried; this holds what they leave open.
    """
    converter = pydantic_data_converter.payload_converter
    task = BackupTask(request=request, occurrence="")
    try:
        back = converter.from_payload(converter.to_payload(task), BackupTask)
    except Exception as error:  # pydantic has several for it
        raise InvalidArguments(
            [f"the arguments cannot be carried to a backup and back ({type(error).__name__})"]
        ) from None
    if back != task:
        raise InvalidArguments(["the arguments do not come back from Temporal as they were given"])
