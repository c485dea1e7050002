"""A job of a soak in every state that its answers leave possible: pure, and the judge of whether answers are true.

A call without a definite answer leaves two states possible. A later answer, or the audit, settles which one it is.
"""

from dataclasses import dataclass, field
from datetime import datetime

from backup_scheduler.contract.methods import GET, REMOVE
from lab.parts.answers import INDEFINITE, JobState, Reply, State, Terms, correct_answer


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
    """Runs that were triggered and that Temporal confirmed."""
    unconfirmed: int = 0
    """Triggers that Temporal did not confirm: their runs may have started."""
    removals: list[float] = field(default_factory=list)
    """Moments (of the epoch) of calls that may have removed the job."""
    created_at: datetime | None = None
    """Creation of the schedule that `taken` counts for."""
    taken: int = 0
    """Runs of that schedule that Temporal confirmed."""

    @property
    def certain(self) -> bool:
        """Whether exactly one state is possible."""
        return len(self.possible) == 1

    @property
    def known_state(self) -> JobState | None:
        """The state of a job that certainly is there; None also where several states are possible."""
        return next(iter(self.possible)) if self.certain else None

    def count(self, created_at: datetime, taken: int) -> int:
        """Count the runs that Temporal has confirmed of the schedule made then; return how many are new."""
        if created_at != self.created_at:  # the job was removed and added again: a new schedule counts from nothing
            self.created_at, self.taken = created_at, 0
        new = max(0, taken - self.taken)
        self.taken += new
        self.runs += new
        return new

    def judge(self, method: str, terms: Terms | None, reply: Reply | None, *, disturbed: bool) -> str | None:
        """Narrow the possible states down by an answer; return what is not true about the answer.

        `disturbed`: a part was killed meanwhile, so the request may have been delivered twice.
        """
        answers = [(state, *correct_answer(method, terms, state)) for state in self.possible]
        if reply is None or reply["code"] in INDEFINITE:
            self.retired |= reply is None
            self.unsettled_calls += method != GET
            self.possible |= {after for _, _, after in answers}
            return None
        if disturbed and method == REMOVE and reply["code"] == 404:
            self.possible = {None}  # its first delivery removed the job: there is none, as the answer says
            return None
        fitting = [(before, after) for before, code, after in answers if code == reply["code"]]
        if not fitting:
            return self._retire(f"{reply['code']} ({reply['description']}) where the job was {_any_of(self.possible)}")
        if reply["code"] != 200:
            self.possible = {after for _, after in fitting}
            return None
        return self._judge_description(method, fitting, reply["description"])

    def _judge_description(self, method: str, fitting: list[tuple[State, State]], description: object) -> str | None:
        """Keep the states that the description fits; `fitting` has the states before and after the call."""
        removed = method == REMOVE
        faults: dict[State, str | None] = {}
        for before, after in fitting:
            described = before if removed else after
            assert described is not None  # noqa: S101  # only a job that is there is answered with 200
            faults[after] = described.fault_of(self.scheduler_id, description, removed=removed) or (
                described.window_fault_of(description)
            )
        true = {after for after, fault in faults.items() if fault is None}
        if not true:
            return self._retire(
                f"{', '.join(sorted(set(map(str, faults.values()))))}: {description}, not {_any_of(set(faults))}"
            )
        self.possible = true
        return None

    def _retire(self, fault: str) -> str:
        self.retired = True  # one fault is reported once
        return fault


def _any_of(states: set[State]) -> str:
    return " or ".join(sorted("absent" if state is None else str(state) for state in states))
