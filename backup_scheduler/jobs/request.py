"""The request of a run: the terms of its job, with zone and first day."""

from datetime import date
from typing import Self
from zoneinfo import ZoneInfo

from pydantic import ConfigDict

from backup_scheduler.jobs.terms import BackupJob


class BackupRequest(BackupJob):
    """The one argument of BackupWorkflow: the terms of a job, with the zone and first day that give its right times.

    The action of the schedule and the history of each run hold it, readable in the Web UI.
    """

    model_config = ConfigDict(extra="ignore")  # a newer RPC service may talk to an older worker

    timezone: str
    """IANA name of the zone of start_time; a job keeps the zone of its last add or modify (docs/api.md#time-zone).

    Any name is accepted here: a run needs no zone, and machines know different ones.
    """
    anchor: date
    """Local date of the first run; runs fall on every `days`-th day from it."""

    @classmethod
    def of(cls, job: BackupJob, timezone: str, anchor: date) -> Self:
        """Add a zone and a first day to the terms of a job."""
        return cls(**job.model_dump(), timezone=timezone, anchor=anchor)

    def job(self) -> BackupJob:
        """Return the terms as the caller gave them."""
        return BackupJob(**self.model_dump(include=set(BackupJob.model_fields)))

    @property
    def summary(self) -> str:
        """What a run of the job does, in one line for people.

        Temporal takes 400 bytes (docs/temporal-facts.md#summaries-have-400-bytes); two names of up to 200 characters of
        4 bytes each could be longer.
        """
        return f"Backup {_short(self.policy_name)} for {_short(self.scheduler_id)}"

    @property
    def zone(self) -> ZoneInfo:
        """The zone of start_time. Raises ZoneInfoNotFoundError if this machine does not know it."""
        return ZoneInfo(self.timezone)


def _short(text: str) -> str:
    return text if len(text) <= 40 else f"{text[:39]}…"
