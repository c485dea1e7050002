"""The argument of the activities that make a backup."""

from pydantic import BaseModel
from temporalio.contrib.pydantic import pydantic_data_converter

from backup_scheduler.contract.errors import InvalidArguments
from backup_scheduler.jobs.request import BackupRequest


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
