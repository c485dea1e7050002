"""The judge of answers: the answer that a call must get for a job in a known state, and the state after it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from backup_scheduler.contract.methods import ADD, GET, MODIFY, PAUSE, REMOVE, RESUME
from backup_scheduler.jobs.request import BackupRequest

Reply = dict[str, Any]

INDEFINITE: Final = frozenset({503, 504, None})
"""Codes that leave open whether a call was carried out; None: no answer came."""

SWITCHES: Final = (PAUSE, RESUME)

_DAY = 86400
_HOUR = 3600


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

    @classmethod
    def of(cls, request: BackupRequest) -> "Terms":
        """Return the terms of a request that Temporal keeps."""
        values = request.model_dump()
        return cls(**{name: values.get(name, values["url_kwargs"].get(name)) for name in cls.__dataclass_fields__})


@dataclass(frozen=True)
class JobState:
    """The state of a job that is there."""

    terms: Terms
    paused: bool = False

    def fault_of(self, scheduler_id: str, description: Any, *, removed: bool) -> str | None:
        """Return what is not true in a description of this job; a job that was removed has no next run."""
        if description["job_id"] != scheduler_id:
            return "another job"
        terms_are_right = (
            description["kwargs"] == self.terms.kwargs()
            and description["misfire_grace_time"] == self.terms.misfire_grace_time
        )
        if not terms_are_right:
            return "other terms"
        next_run = description["next_run_time"]
        if (next_run is None) != (self.paused or removed):
            return "next_run_time of a paused job" if next_run else "no next_run_time of a job that is not paused"
        return None

    def window_fault_of(self, description: Any) -> str | None:
        """Return what is not true in the next run's time, for a scheduler whose zone never changes its clock."""
        if description["next_run_time"] is None:
            return None
        next_run = datetime.fromisoformat(description["next_run_time"])
        hour, minute = map(int, self.terms.start_time.split(":"))
        opens = next_run.replace(hour=hour, minute=minute, second=0)
        is_in_window = (next_run - opens).total_seconds() % _DAY <= self.terms.duration * _HOUR
        return None if is_in_window else "next_run_time outside of the window"


State = JobState | None
"""None: there is no such job."""


def correct_answer(method: str, terms: Terms | None, state: State) -> tuple[int, State]:
    """Return the code that a call must get for a job in this state, and the state after the call."""
    if method == ADD:
        return (409, state) if state else (200, JobState(_required(method, terms)))
    if state is None:
        return 404, None
    if method == MODIFY:
        return 200, JobState(_required(method, terms), state.paused)
    if method in SWITCHES:
        return 200, JobState(state.terms, paused=method == PAUSE)
    if method == REMOVE:
        return 200, None
    if method == GET:
        return 200, state
    raise ValueError(f"{method} is not about one job")


def _required(method: str, terms: Terms | None) -> Terms:
    if terms is None:
        raise ValueError(f"{method} takes terms")
    return terms
