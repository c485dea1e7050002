"""The judge of answers: the answer that a call must get for a job in a known state, and the state after it."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime, time, timedelta
from typing import Any, Final

from backup_scheduler.contract.methods import ADD, GET, MODIFY, PAUSE, PAUSE_ALL, REMOVE, RESUME, RESUME_ALL

Reply = dict[str, Any]

INDEFINITE: Final = frozenset({503, 504, None})
"""Codes that leave open whether a call was carried out; None: no answer came."""

SWITCHES: Final = (PAUSE, RESUME)

_NEXT_RUN = "next_run_time"


@dataclass(frozen=True)
class Terms:
    """The terms of a job."""

    policy_name: str
    days: int
    start_time: str
    duration: int
    misfire_grace_time: int
    revision: int | None = None
    """An argument that is passed on to the backup; it makes each change of a soak a different one."""

    def arguments(self) -> dict[str, Any]:
        """Return the terms as arguments of a call."""
        return {name: value for name, value in vars(self).items() if value is not None}

    def kwargs(self) -> dict[str, Any]:
        """Return the `kwargs` of a description of the job."""
        others = ("days", "misfire_grace_time")
        return {name: value for name, value in self.arguments().items() if name not in others}

    def first_run(self, after: datetime) -> datetime:
        """Return the next start_time after a moment, in a zone that never changes its clock (UTC)."""
        start = datetime.combine(after.date(), time.fromisoformat(self.start_time), tzinfo=UTC)
        return start if start > after else start + timedelta(days=1)

    @classmethod
    def of(cls, stored: Mapping[str, Any]) -> "Terms":
        """Return the terms of a request as Temporal keeps it, in JSON. Raises TypeError if one is missing."""
        values = {**stored, **stored.get("url_kwargs", {})}
        return cls(**{field.name: values[field.name] for field in fields(cls) if field.name in values})


@dataclass(frozen=True)
class JobState:
    """The state of a job that is there."""

    terms: Terms
    paused: bool = False
    together: bool = False
    """Whether pause_jobs paused it, so that resume_jobs resumes it."""

    def fault_of(self, scheduler_id: str, description: Any, *, removed: bool) -> str | None:
        """Return what is not true in a description of this job; a job that was removed has no next run."""
        wanted = {
            "job_id": scheduler_id,
            "func": "start_backup",
            "args": [],
            "kwargs": self.terms.kwargs(),
            "misfire_grace_time": self.terms.misfire_grace_time,
        }
        if not isinstance(description, Mapping) or description.keys() != wanted.keys() | {_NEXT_RUN}:
            return "not a description of a job"
        if others := [name for name, value in wanted.items() if description[name] != value]:
            return f"other terms ({', '.join(others)})"
        next_run = description[_NEXT_RUN]
        if (next_run is None) != (self.paused or removed):
            return "next_run_time of a paused job" if next_run else "no next_run_time of a job that is not paused"
        return None

    def window_fault_of(self, description: Any, asked_at: datetime) -> str | None:
        """Return what is not true in the next run's time, for a service whose zone is UTC.

        `asked_at` is the moment at which the job got its terms. Holds for a description that was made before the first
        window of these terms.
        """
        if description[_NEXT_RUN] is None:
            return None
        next_run = datetime.fromisoformat(description[_NEXT_RUN]).replace(tzinfo=UTC)
        opens = self.terms.first_run(asked_at)
        is_in_window = opens <= next_run <= opens + timedelta(hours=self.terms.duration)
        return None if is_in_window else f"next_run_time outside of the first window, which opens at {opens}"


State = JobState | None
"""None: there is no such job."""


def correct_answer(method: str, terms: Terms | None, state: State) -> tuple[int, State]:
    """Return the code that a call must get for a job in this state, and the state after the call.

    pause_jobs and resume_jobs are about one of their jobs here; their receipts name no code.
    """
    if method == ADD:
        return (409, state) if state else (200, JobState(_required(method, terms)))
    if state is None:
        return 404, None
    if method == MODIFY:
        return 200, replace(state, terms=_required(method, terms))
    if method in (PAUSE, PAUSE_ALL):
        return 200, state if state.paused else JobState(state.terms, paused=True, together=method == PAUSE_ALL)
    if method == RESUME or (method == RESUME_ALL and state.together):
        return 200, JobState(state.terms)
    if method == REMOVE:
        return 200, None
    if method in (GET, RESUME_ALL):
        return 200, state
    raise ValueError(f"{method} is not about one job")


def _required(method: str, terms: Terms | None) -> Terms:
    if terms is None:
        raise ValueError(f"{method} takes terms")
    return terms
