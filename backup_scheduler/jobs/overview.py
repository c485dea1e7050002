"""A job as a list tells of it: its terms, whether it is paused and why, and what became of its last run."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from temporalio.api.schedule.v1 import ScheduleListEntry

from backup_scheduler.contract.moments import shown
from backup_scheduler.jobs.description import Description, describe_broken_job, describe_job
from backup_scheduler.jobs.filters import JobFilter
from backup_scheduler.jobs.from_schedule import ScheduledJob, decoded
from backup_scheduler.jobs.listed import ListedJob
from backup_scheduler.jobs.names import POLICY_NAME, bounded
from backup_scheduler.jobs.notes import SwitchNote
from backup_scheduler.jobs.recent_runs import RUNNING, WITH_BACKUP, RecentRun, recent_runs
from backup_scheduler.jobs.request import BackupRequest
from backup_scheduler.jobs.timing import last_due

_STARTS_WITHIN: Final = timedelta(minutes=5)
"""Time after its window that a busy server may take to start a run, before the run counts as overdue."""


@dataclass(frozen=True)
class JobOverview:
    """A job, or what a list shows of a broken one."""

    scheduler_id: str
    request: BackupRequest | None
    """None if the job is broken."""
    next_run: datetime | None
    policy: str | None
    """The policy_name, bounded."""
    paused: bool | None
    note: str
    runs: Sequence[RecentRun]
    """The latest runs, the last one at the end."""

    @classmethod
    def of(cls, job: ListedJob | ScheduledJob, now: datetime) -> Self:
        """Take over what was read of a job."""
        request, policy = job.request, bounded(job.request.policy_name)
        return cls(request.scheduler_id, request, job.next_run(now), policy, job.paused, job.note, job.runs)

    @classmethod
    def of_broken(cls, scheduler_id: str, entry: ScheduleListEntry | None) -> Self:
        """Take over what its entry, if it has one, shows of a broken job."""
        if entry is None:
            return cls(scheduler_id, None, None, None, None, "", ())
        info = entry.info
        policy = decoded(entry.search_attributes.indexed_fields.get(POLICY_NAME.name), str)
        return cls(scheduler_id, None, None, policy, info.paused, info.notes, recent_runs(info.recent_actions))

    @property
    def last_run(self) -> RecentRun | None:
        """The latest run that has started."""
        return self.runs[-1] if self.runs else None

    def with_outcome(self, outcome: str | None) -> Self:
        """Return the same with what became of the last run; None changes nothing."""
        if outcome is None or not self.runs:
            return self
        return replace(self, runs=[*self.runs[:-1], replace(self.runs[-1], outcome=outcome)])

    def overdue(self, now: datetime) -> bool | None:
        """Return whether the last window that is over brought no backup, and none is under way (docs/api.md#overdue).

        None if that is not known: the job is broken, or this machine does not know its time zone.
        """
        request = self.request
        if request is None:
            return None
        try:
            days = (request.anchor, request.days, request.wall_time, request.zone)
        except ZoneInfoNotFoundError:
            return None
        opened = last_due(*days, now - request.window - _STARTS_WITHIN)
        if opened is None or self.paused:
            return False
        since = [run for run in self.runs if run.started_at >= opened]
        if since:
            return not any(run.outcome in (*WITH_BACKUP, RUNNING) for run in since)
        switched = SwitchNote.read(self.note)  # it may have been paused when it came due
        return switched is None or switched.at < opened

    def fits(self, wanted: JobFilter, now: datetime) -> bool:
        """Return whether the job is one of those wanted."""
        facts = {
            "policy_name": wanted.policy_name is not None and self.policy == bounded(wanted.policy_name),
            "paused": self.paused == wanted.paused,
            "last_outcome": self.last_run is not None and self.last_run.outcome == wanted.last_outcome,
            "overdue": self.overdue(now) == wanted.overdue,
            "prefix": self.scheduler_id.startswith(wanted.prefix or ""),
        }
        return all(facts[name] for name in wanted.given())

    def describe(self, zone: ZoneInfo, now: datetime) -> Description:
        """Describe the job (docs/api.md#list_jobs)."""
        if self.request is None:
            described = describe_broken_job(self.scheduler_id) | {"days": None}
        else:
            described = describe_job(self.request, zone, self.next_run) | {"days": self.request.days}
        last = self.last_run
        return described | {
            "paused": self.paused,
            **self._pause(zone),
            "last_run": last and shown(last.started_at, zone),
            "last_outcome": last and last.outcome,
            "overdue": self.overdue(now),
        }

    def _pause(self, zone: ZoneInfo) -> Description:
        note = SwitchNote.read(self.note) if self.paused else None
        if note is None or not note.paused:  # a person paused it, and wrote what they liked
            why = (self.note or None) if self.paused else None
            return {"paused_since": None, "paused_until": None, "paused_by": None, "paused_why": why}
        return {
            "paused_since": shown(note.at, zone),
            "paused_until": note.until and shown(note.until, zone),
            "paused_by": note.whom,
            "paused_why": note.reason,
        }
