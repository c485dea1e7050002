"""The arguments of the activities that make a backup."""

from datetime import timedelta

from pydantic import BaseModel
from temporalio.contrib.pydantic import pydantic_data_converter

from backup_scheduler.contract.errors import InvalidArguments
from backup_scheduler.jobs.request import BackupRequest
from backup_scheduler.runs.results import BegunBackup


class PreviousBackup(BaseModel):
    """The last backup of a job, as far as the next run needs it; fields as in BackupReport and BackupResult."""

    policy_name: str
    snapshot_id: str | None = None
    repository: str | None = None
    files: int | None = None
    bytes_processed: int | None = None


class BackupTask(BaseModel):
    """The argument of the activities that make a backup."""

    request: BackupRequest
    occurrence: str
    """Name of the occurrence: the same for every attempt, different for every other occurrence."""
    previous: PreviousBackup | None = None
    """The job's last backup; None before the first one."""


class PollTask(BackupTask):
    """The argument of the activity that waits for the end of a backup which a service has begun."""

    begun: BegunBackup
    limit: timedelta
    """Time in which the backup has to end, from the moment at which the activity is asked for."""


def check_carriage(request: BackupRequest) -> None:
    """Encode a request as the argument of an activity and read it back. Raises InvalidArguments if it is not the same.

    A schedule whose request cannot be read back would be a job without terms. The rules of the arguments stay well
    within the limits of Temporal's converter; this catches what they leave open.
    """
    converter = pydantic_data_converter.payload_converter
    task = BackupTask(request=request, occurrence="")
    try:
        returned = converter.from_payload(converter.to_payload(task), BackupTask)
    except Exception as error:  # pydantic has several types for it
        raise InvalidArguments(
            [f"the arguments cannot be carried to a backup and back ({type(error).__name__})"]
        ) from None
    if returned != task:
        raise InvalidArguments(["the arguments do not come back from Temporal as they were given"])
