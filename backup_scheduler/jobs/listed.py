"""From an entry of Temporal's list of schedules to a job, without a description of its schedule."""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Self

from pydantic import ValidationError
from temporalio.api.schedule.v1 import ScheduleListEntry

from backup_scheduler.jobs.from_schedule import changed_times, coming, decoded, latest_start, moments
from backup_scheduler.jobs.names import BACKUP_WORKFLOW, TERMS, schedule_id
from backup_scheduler.jobs.open_windows import resumed_within
from backup_scheduler.jobs.recent_runs import RecentRun, recent_runs
from backup_scheduler.jobs.request import BackupRequest
from backup_scheduler.jobs.to_schedule import LONG_TERMS, MADE_FOR, digest


@dataclass(frozen=True)
class ListedJob:
    """A job as the list of schedules has it; the list lags (docs/temporal-facts.md#lists-lag)."""

    request: BackupRequest
    paused: bool
    note: str
    """What people see beside it, such as why it is paused."""
    starts: list[datetime]
    """The next runs that Temporal foresees, jitter included; some may be past."""
    runs: list[RecentRun]
    """The latest runs, at most 5, the last one at the end."""

    @classmethod
    def read(cls, entry: ScheduleListEntry, now: datetime) -> Self | None:
        """Read the job of an entry; None if only a description of the schedule tells what it is.

        That is so for a job whose terms are too long for a list or were not written there, and where the entry does
        not fit its terms: also if there is no next run within an interval, though the job is not paused. And of a job
        that was resumed within its open window it may lack the next run. An overlap
        policy, a catch-up window or terms that were changed by other means than RPC are in no list.
        """
        request = _request_in(entry)
        info = entry.info
        if request is None or info.workflow_type.name != BACKUP_WORKFLOW:
            return None
        if schedule_id(request.scheduler_id) != entry.schedule_id or any(changed_times(info.spec, request)):
            return None
        job = cls(request, info.paused, info.notes, moments(info.future_action_times), recent_runs(info.recent_actions))
        if not job.paused and resumed_within(info.spec, job.note, now):
            return None
        next_run = job.next_run(now)
        if not job.paused and (next_run is None or next_run > latest_start(now, request)):
            return None
        return job

    def next_run(self, now: datetime) -> datetime | None:
        """Return the start of the next run, as ScheduledJob.next_run does."""
        return None if self.paused else coming(self.starts, now)


def _request_in(entry: ScheduleListEntry) -> BackupRequest | None:
    terms = decoded(entry.search_attributes.indexed_fields.get(TERMS.name), str)
    made_for = decoded(entry.memo.fields.get(MADE_FOR), str)
    long_terms = decoded(entry.memo.fields.get(LONG_TERMS), str)
    if long_terms is not None and digest(long_terms) == terms:  # else a modify has written others
        terms = long_terms
    if terms is None or made_for is None:
        return None
    try:
        fields = {**json.loads(terms), "scheduler_id": made_for}
        return BackupRequest.model_validate(fields, strict=False)  # JSON has the day as a text
    except (ValueError, TypeError, ValidationError):  # a digest, or what somebody else has written
        return None
