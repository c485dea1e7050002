"""A job of a soak in every state that its answers leave possible: pure, and the judge of whether answers are true.

A call without a definite answer leaves two states possible. A later answer, or the audit, settles which one it is.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from backup_scheduler.contract.methods import ADD, GET, PAUSE_ALL, REMOVE
from lab.parts.answers import INDEFINITE, JobState, Reply, State, Terms, correct_answer

_RECEIPT: Final = ("changed", "already", "left", "failed")
"""Where a receipt names jobs (docs/api.md#pause_jobs)."""


def run_id(scheduler_id: str, moment: datetime) -> str:
    """Return the workflow id of the run of a job that has this nominal time."""
    return f"backup-{scheduler_id}-{moment:%Y-%m-%dT%H:%M:%SZ}"


@dataclass
class Trigger:
    """A trigger that was sent; the second that it names is its token, which no other trigger of the job has.

    Temporal puts the second into the workflow id of the run, so the run is known before it is there
    (docs/temporal-facts.md#a-trigger-names-its-run).
    """

    moment: datetime
    run: str
    """Workflow id of its run."""
    terms: set[Terms]
    """Terms with which the run may start."""
    confirmed: bool = False
    """Temporal took the trigger."""
    refused: bool = False
    """There was no schedule. Neither confirmed nor refused: no answer came, so the run may be there or not."""
    shown: bool = False
    """A description has shown the run, under way or waiting, so later changes of the job cannot undo the trigger."""
    by: str = "trigger"
    """`started_by` of its run."""


@dataclass
class Job:
    """A job, in every state that is possible after the answers so far."""

    scheduler_id: str
    possible: set[State] = field(default_factory=lambda: {None})
    retired: bool = False
    """A call for it got no answer: it may still be carried out at any time, so no other call may follow."""
    asked_at: dict[Terms, datetime] = field(default_factory=dict)
    """Moments of the calls that asked for terms."""
    past: set[State] = field(default_factory=lambda: {None})
    """States that were possible at any time."""
    triggers: list[Trigger] = field(default_factory=list)
    removals: list[tuple[float, float]] = field(default_factory=list)
    """Beginnings and ends (of the epoch) of calls that removed the job, or may have."""

    @property
    def certain(self) -> bool:
        """Whether exactly one state is possible."""
        return len(self.possible) == 1

    @property
    def known_state(self) -> JobState | None:
        """The state of a job that certainly is there; None also where several states are possible."""
        return next(iter(self.possible)) if self.certain else None

    @property
    def pending(self) -> list[Trigger]:
        """Triggers that Temporal took and has not shown: a change that comes now could undo them."""
        return [each for each in self.triggers if each.confirmed and not each.shown]

    def trigger(self, now: datetime) -> Trigger:
        """Note a trigger that is about to be sent; its token is the second of now, or the first one that is free."""
        second = now.replace(microsecond=0)
        if self.triggers:
            second = max(second, self.triggers[-1].moment + timedelta(seconds=1))
        made = Trigger(second, run_id(self.scheduler_id, second), self._possible_terms())
        self.triggers.append(made)
        return made

    def judge(
        self, method: str, terms: Terms | None, reply: Reply | None, asked_at: datetime, *, disturbed: bool
    ) -> str | None:
        """Narrow the possible states down by an answer; return what is not true about the answer.

        `asked_at` is the moment of the call. `disturbed`: a part was killed meanwhile, so the request may have been
        delivered twice.
        """
        if terms is not None:
            self.asked_at[terms] = asked_at
        self.past |= self.possible
        fault = self._judge(method, terms, reply, disturbed=disturbed)
        self.past |= self.possible
        for trigger in self.triggers:
            if not trigger.shown:
                trigger.terms |= self._possible_terms()
        return fault

    def judge_receipt(self, method: str, reply: Reply | None, *, calm: bool) -> str | None:
        """Narrow the possible states down by the answer to pause_jobs or resume_jobs; return what is not true about it.

        The job fits the filter. `calm`: it was not changed, and nothing was killed, for so long that the index has it
        as it is. Else it may have been passed over, or have been changed by a first delivery of the request.
        """
        self.past |= self.possible
        code, receipt = (reply["code"], reply["description"]) if reply else (None, {})
        changes = {state: correct_answer(method, None, state)[1] for state in self.possible}
        named = [name for name in _RECEIPT if code == 200 and self.scheduler_id in receipt[name]]
        if code in INDEFINITE or named == ["failed"]:
            self.retired |= reply is None
            self.possible |= {*changes.values()}
            return None
        if code != 200 or len(named) > 1:
            return self._retire(f"{code} ({receipt}) where the job was {any_of(self.possible)}")
        fitting = {state for state in self.possible if named == _place(method, state, changes[state])}
        if named == ["changed"] or calm:
            if not fitting:
                return self._retire(f"{named} in the receipt where the job was {any_of(self.possible)}")
            self.possible = {changes[state] for state in fitting}
        else:
            self.possible |= {*changes.values()}
        return None

    def shows_the_past(self, method: str, reply: Reply | None) -> bool:
        """Whether an answer shows a state that the job had before and has no more.

        Only what was read before a change can: a 404, and the descriptions of get_job and remove_job.
        """
        past, code = self.past - self.possible, reply and reply["code"]
        if reply is None or code == 404:
            return code == 404 and method != ADD and None in past
        if code != 200 or method not in (GET, REMOVE):
            return False
        removed = method == REMOVE
        return not _any_fits(self, self.possible, reply, removed) and _any_fits(self, past, reply, removed)

    def _judge(self, method: str, terms: Terms | None, reply: Reply | None, *, disturbed: bool) -> str | None:
        answers = [(state, *correct_answer(method, terms, state)) for state in self.possible]
        if reply is None or reply["code"] in INDEFINITE:
            self.retired |= reply is None
            self.possible |= {after for _, _, after in answers}
            return None
        if disturbed and method == REMOVE and reply["code"] == 404:
            self.possible = {None}  # its first delivery removed the job: there is none, as the answer says
            return None
        fitting = [(before, after) for before, code, after in answers if code == reply["code"]]
        if not fitting:
            return self._retire(f"{reply['code']} ({reply['description']}) where the job was {any_of(self.possible)}")
        if reply["code"] != 200:
            self.possible = {after for _, after in fitting}
            return None
        return self._judge_description(method, fitting, reply["description"])

    def _judge_description(self, method: str, fitting: list[tuple[State, State]], description: object) -> str | None:
        """Keep the states after which the description is true; `fitting` has the states before and after the call."""
        removed = method == REMOVE
        judged: list[tuple[State, State, str | None]] = []
        for before, after in fitting:
            described = before if removed else after
            assert described is not None  # noqa: S101  # only a job that is there is answered with 200
            judged.append((described, after, self.fault_of(described, description, removed=removed)))
        true = {after for _, after, fault in judged if fault is None}
        if not true:
            faults = ", ".join(sorted({str(fault) for _, _, fault in judged}))
            return self._retire(f"{faults}: {description}, not {any_of({described for described, _, _ in judged})}")
        self.possible = true
        return None

    def fault_of(self, state: JobState, description: object, *, removed: bool = False) -> str | None:
        """Return what is not true in a description of the job in this state."""
        fault = state.fault_of(self.scheduler_id, description, removed=removed)
        if fault is None and state.terms not in self.asked_at:
            fault = "terms that nobody asked for"
        return fault or state.window_fault_of(description, self.asked_at[state.terms])

    def _possible_terms(self) -> set[Terms]:
        return {state.terms for state in self.possible if state is not None}

    def _retire(self, fault: str) -> str:
        self.retired = True  # one fault is reported once
        return fault


def _place(method: str, before: State, after: State) -> list[str]:
    """Return the places in a receipt that have a job with these states before and after the call."""
    if before is None:
        return []
    if before != after:
        return ["changed"]
    return ["already" if before.paused == (method == PAUSE_ALL) else "left"]


def _any_fits(job: Job, states: set[State], reply: Reply, removed: bool) -> bool:
    faults = (job.fault_of(state, reply["description"], removed=removed) for state in states if state is not None)
    return None in faults


def any_of(states: set[State]) -> str:
    """Return the states for a person to read."""
    return " or ".join(sorted("absent" if state is None else str(state) for state in states))
