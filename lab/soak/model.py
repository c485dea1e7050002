"""What is known of a job from the calls made for it and their answers: pure, and the judge of whether answers are true.

A call without a definite answer leaves two states possible. A later answer, or the audit, settles which one it is.
"""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from backup_scheduler.jobs.request import BackupRequest

Reply = dict[str, Any]


class Method(StrEnum):
    """The methods of the service that are called for a job."""

    ADD = "add_scheduler_start_backup_job_by_interval"
    MODIFY = "modify_start_backup_job_by_interval"
    PAUSE = "pause_job"
    RESUME = "resume_job"
    REMOVE = "remove_job"
    GET = "get_job"


INDEFINITE = frozenset({503, 504})
"""Codes that say that a call was not confirmed; it may have been carried out."""


@dataclass(frozen=True)
class Terms:
    """The terms of a job; `revision` is passed on to the backup and makes each change a different one."""

    policy_name: str
    days: int
    start_time: str
    duration: int
    misfire_grace_time: int
    revision: int

    def arguments(self) -> dict[str, Any]:
        """Return the terms as arguments of a call."""
        return dict(vars(self))

    @classmethod
    def of(cls, request: BackupRequest) -> "Terms":
        """Return the terms that stand in Temporal."""
        values = request.model_dump()
        return cls(**{name: values.get(name, values["url_kwargs"].get(name)) for name in cls.__dataclass_fields__})


@dataclass(frozen=True)
class Standing:
    """A job that is there."""

    terms: Terms
    paused: bool = False

    def fault_of(self, description: Any, *, removed: bool) -> str | None:
        """Say what of a description is not true of this job. The scheduler's zone is UTC here."""
        terms = self.terms
        kwargs = {
            "policy_name": terms.policy_name,
            "duration": terms.duration,
            "start_time": terms.start_time,
            "revision": terms.revision,
        }
        if description["kwargs"] != kwargs or description["misfire_grace_time"] != terms.misfire_grace_time:
            return "other terms"
        next_run = description["next_run_time"]
        if (next_run is None) != (self.paused or removed):
            return "next_run_time of a paused job" if next_run else "no next_run_time of a job that is not paused"
        if next_run:
            at = datetime.fromisoformat(next_run)
            hour, minute = map(int, terms.start_time.split(":"))
            into = (at - at.replace(hour=hour, minute=minute, second=0)).total_seconds() % 86400
            if into > terms.duration * 3600:
                return "next_run_time outside of the window"
        return None


State = Standing | None
"""None: there is no such job."""


def outcome(method: Method, terms: Terms | None, state: State) -> tuple[int, State]:
    """Return how a call has to be answered in a state, and the state after it."""
    if method is Method.ADD:
        assert terms is not None  # noqa: S101  # an add has terms
        return (409, state) if state else (200, Standing(terms))
    if state is None:
        return 404, None
    match method:
        case Method.MODIFY:
            assert terms is not None  # noqa: S101  # so has a modify
            return 200, Standing(terms, state.paused)
        case Method.PAUSE | Method.RESUME:
            return 200, Standing(state.terms, paused=method is Method.PAUSE)
        case Method.REMOVE:
            return 200, None
    return 200, state


@dataclass
class Job:
    """A job, in every state that is possible after the answers so far."""

    scheduler_id: str
    possible: set[State] = field(default_factory=lambda: {None})
    retired: bool = False
    """A call for it got no answer: it may still be carried out at any time, so no other call may follow."""
    unsettled_calls: int = 0
    """Calls whose answer left it open whether they were carried out."""
    runs: int = 0
    """Runs that were asked for and that Temporal confirmed."""
    unconfirmed: int = 0
    """Times that a run was asked for without Temporal confirming it: it may have started."""
    removals: list[float] = field(default_factory=list)
    """When calls that may have removed it were made (of the epoch)."""
    created_at: datetime | None = None
    """When the schedule was made of which `taken` tells."""
    taken: int = 0
    """Runs of that schedule that Temporal confirmed."""

    @property
    def certain(self) -> bool:
        """Whether exactly one state is possible."""
        return len(self.possible) == 1

    @property
    def standing(self) -> Standing | None:
        """The job if it certainly is there, and is known exactly."""
        return next(iter(self.possible)) if self.certain else None

    def count(self, created_at: datetime, taken: int) -> int:
        """Count the runs that Temporal has confirmed of the schedule made then; returns how many are new."""
        if created_at != self.created_at:  # the job was removed and added again: a new schedule counts from nothing
            self.created_at, self.taken = created_at, 0
        new = max(0, taken - self.taken)
        self.taken += new
        self.runs += new
        return new

    def heed(self, method: Method, terms: Terms | None, reply: Reply | None, *, disturbed: bool) -> str | None:
        """Take an answer in; returns what is not true about it.

        `disturbed` says that a part was killed meanwhile, so that the request may have been delivered twice.
        """
        after = [(state, *outcome(method, terms, state)) for state in self.possible]
        if reply is None or reply["code"] in INDEFINITE:
            self.retired |= reply is None
            self.unsettled_calls += method is not Method.GET
            self.possible |= {then for _, _, then in after}
            return None
        if disturbed and method is Method.REMOVE and reply["code"] == 404:
            self.possible = {None}  # its first delivery removed the job: there is none, as the answer says
            return None
        fitting = [(state, then) for state, code, then in after if code == reply["code"]]
        if not fitting:
            wrong = f"{reply['code']} ({reply['description']}) where the job was {_say(self.possible)}"
            self.retired = True  # one fault is to be told once
            return wrong
        if reply["code"] != 200:
            self.possible = {then for _, then in fitting}
            return None
        removed = method is Method.REMOVE
        faults = {
            then: (state if removed else then).fault_of(reply["description"], removed=removed)  # type: ignore[union-attr]
            for state, then in fitting
        }
        true = {then for then, fault in faults.items() if fault is None}
        if not true:
            self.retired = True
            return (
                f"{', '.join(sorted(set(map(str, faults.values()))))}: {reply['description']}, not {_say(set(faults))}"
            )
        self.possible = true
        return None


def _say(states: set[State]) -> str:
    return " or ".join(sorted("absent" if state is None else str(state) for state in states))
