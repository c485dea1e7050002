"""The judge of answers that change nothing: descriptions of runs, windows and check-ups. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from lab.parts.answers import JobState, Reply, Terms
from lab.soak.job import Job, Trigger
from lab.soak.target import LATER

WINDOWS: Final = 3
"""Windows that a preview is asked for."""

_CLOCK: Final = timedelta(seconds=1)
"""Clocks are shown to the second."""

OPEN: Final = ("waiting", "running")
"""Outcomes of a run that has not ended."""

_KEYS: Final = {
    *("run_id", "job_id", "policy_name", "started_by", "reason", "scheduled_at", "started_at", "closed_at", "outcome"),
    *("message", "attempt", "waits_for", "progress", "snapshot_id", "files", "bytes", "answer"),
}

CANCELLED: Final = "cancelled"

GOOD: Final = frozenset({"completed", "completed with warnings"})
"""Outcomes of a run that made a backup."""


@dataclass(frozen=True)
class End:
    """What was done to end a run."""

    outcome: str
    """Its outcome then."""
    values: Mapping[str, Any]
    """More of its description then, by key."""
    reason: str = ""
    """The reason given to cancel_run."""
    may_complete: bool = False
    """Its backup may be made before it is cancelled."""

    @property
    def outcomes(self) -> frozenset[str]:
        """The outcomes that the run may have once it has ended."""
        return frozenset({self.outcome}) | (GOOD if self.may_complete else frozenset())


_MORE_IN_LISTS: Final = {
    *("days", "paused", "paused_since", "paused_until", "paused_by", "paused_why"),
    *("last_run", "last_outcome", "overdue"),
}

Ends = Mapping[str, End]
"""What was done to end runs, by run_id."""


def run_fault(run: str, described: Any, end: End | None) -> str | None:
    """Return what is not true in the description of a run; `end` is what was done to end it."""
    if not isinstance(described, Mapping) or described.keys() != _KEYS or described["run_id"] != run:
        return f"not a description of {run}: {described}"
    outcome, ends = described["outcome"], end.outcomes if end else GOOD
    if outcome not in OPEN and outcome not in ends:
        return f"{run} is {outcome}, and can only be {' or '.join(sorted(ends))}"
    if (outcome in OPEN) != (described["closed_at"] is None):
        return f"{run} is {outcome}, closed at {described['closed_at']}"
    if end and outcome == end.outcome and any(described[name] != value for name, value in end.values.items()):
        return f"{run} is {described}, not {end.values}"
    return None


def triggered_fault(job: Job, trigger: Trigger, described: Any, ends: Ends) -> str | None:
    """Return what is not true in the description of a run that was asked for."""
    end = ends.get(trigger.run)
    if fault := run_fault(trigger.run, described, end):
        return fault
    if end is None and described["policy_name"] == LATER and described["outcome"] not in OPEN:
        return f"{trigger.run} has ended, and nobody reported its backup: {described}"
    values = {"job_id": job.scheduler_id, "scheduled_at": f"{trigger.moment:%Y-%m-%d %H:%M:%S}"}
    faults = [name for name, value in values.items() if described[name] != value]
    if described["policy_name"] not in {terms.policy_name for terms in trigger.terms}:
        faults.append("policy_name")
    # Before it has ended, and of a schedule that is gone, nobody may know any more who asked for it.
    unsure = (None, "schedule") if described["outcome"] in OPEN or job.removals else ()
    if described["started_by"] not in (trigger.by, *unsure):
        faults.append("started_by")
    return f"wrong {', '.join(faults)}: {described}" if faults else None


def runs_fault(job: Job, listed: Sequence[Any], ends: Ends, missing_from: datetime | None) -> str | None:
    """Return what is not true in a list of all runs of a job.

    Runs that were asked for before `missing_from`, and shown, have to be in it. A run that a killed server started
    twice is there twice, each with a start of its own: the audit counts those.
    """
    known = {each.run: each for each in job.triggers}
    ids = [each.get("run_id") if isinstance(each, Mapping) else None for each in listed]
    entries = [(each, described.get("started_at")) for each, described in zip(ids, listed, strict=True) if each]
    if twice := {each for each, started in entries if entries.count((each, started)) > 1}:
        return f"listed twice: {sorted(map(str, twice))}"
    for each, described in zip(ids, listed, strict=True):
        if each not in known:
            return f"{each} is listed, which nobody asked for"
        if fault := triggered_fault(job, known[each], described, ends):
            return fault
    if missing_from is None:
        return None
    awaited = [each.run for each in job.triggers if each.confirmed and each.shown and each.moment < missing_from]
    lacking = [run for run in awaited if run not in ids]
    return f"not listed: {', '.join(lacking)}" if lacking else None


def preview_fault(reply: Reply, terms: Terms, asked_at: datetime, state: JobState | None) -> str | None:
    """Return what is not true in WINDOWS windows of terms; `state` is the job that has these terms, if there is one.

    `asked_at` is the moment at which the job got its terms or, without a job, that of the call. The zone is UTC.
    """
    if reply["code"] != 200:
        return f"{reply}"
    description = reply["description"]
    paused, first, window = bool(state and state.paused), terms.first_run(asked_at), timedelta(hours=terms.duration)
    opens = [first + number * timedelta(days=terms.days) for number in range(WINDOWS)]
    shown = [{"opens": _shown(each), "closes": _shown(each + window)} for each in opens]
    windows = description["windows"]
    starts = [each.pop("starts") for each in windows]
    wanted = {"timezone": "UTC", "paused": paused, "windows": shown, "clock_changes": []}
    if description != wanted:
        return f"{description}, not {wanted}"
    if paused or (state is None and terms.duration):  # nobody can tell them
        right = starts == [None] * WINDOWS
    else:
        pairs = zip(starts, shown, strict=True)
        right = all(start and window["opens"] <= start <= window["closes"] for start, window in pairs)
    return None if right else f"starts {starts} in the windows {shown}"


def check_fault(reply: Reply, began: datetime, ended: datetime, *, calm: bool) -> str | None:
    """Return what is not true in a check-up that was called for between two moments; `calm`: nothing is wrong."""
    if reply["code"] != 200:
        return f"{reply}"
    description = reply["description"]
    now = datetime.fromisoformat(description["now"]).replace(tzinfo=UTC)
    if description["timezone"] != "UTC" or not began - _CLOCK <= now <= ended + _CLOCK:
        return f"{description['timezone']}, {now}, not UTC, {began}"
    faults = [each for each in description["checks"] if each["state"] == "fault"]
    if not description["checks"] or (calm and faults):
        return f"checks: {faults}"
    return None


def _shown(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S}"


def as_job(listed: Mapping[str, Any]) -> dict[str, Any]:
    """Return the description of a job that is in one of list_jobs."""
    return {name: value for name, value in listed.items() if name not in _MORE_IN_LISTS}
