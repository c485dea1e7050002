"""The search for an order of concurrent calls that explains all their answers and the state in Temporal."""

import math
from enum import Enum, auto
from typing import Any

from backup_scheduler.contract.methods import ADD, GET, MODIFY, REMOVE
from lab.parts.answers import INDEFINITE, SWITCHES, JobState, State, correct_answer
from tests.support.callers import Call


def table(calls: list[Call]) -> str:
    """Return the calls for a person to read."""
    calls = sorted(calls, key=lambda call: call.began)
    lines = []
    for call in calls:
        shown: Any = call.reply["description"] if call.reply else ""
        if call.code == 200:
            shown = (shown["kwargs"]["policy_name"], shown["next_run_time"])
        times = f"{call.began - calls[0].began:7.3f} {call.ended - calls[0].began:7.3f}"
        lines.append(f"{times} {call.method[:10]:10} {call.args[1:2]} {call.code} {shown}")
    return "\n".join(lines)


def explains(calls: list[Call], final: State) -> bool:
    """Whether the calls can have led to this state, each in effect at some moment between its beginning and its end.

    Every success must describe the job in a state of some moment of the call, and every failure be right at one.
    """
    return _Search(calls, final).succeeds((0,) * len(calls), None)


class Moment(Enum):
    """Something that a call does at one moment."""

    CHANGE = auto()
    """It changes the job, or finds that it cannot."""
    LOOK = auto()
    """It looks at the job to describe it in its answer."""
    MAYBE_CHANGE = auto()
    """It may change the job, or not."""


def moments_of(call: Call) -> tuple[Moment, ...]:
    """Return what a call does; a change and the look at the job that makes its answer are two moments."""
    if call.code == 404 and call.method in (MODIFY, *SWITCHES):  # may have changed a job that was removed then
        return (Moment.MAYBE_CHANGE, Moment.CHANGE)
    if call.code != 200:
        return (Moment.CHANGE,)
    if call.method in SWITCHES:  # one that another process undoes before it could look is made again
        return (Moment.MAYBE_CHANGE, Moment.CHANGE, Moment.LOOK)
    if call.method == GET:
        return (Moment.LOOK,)
    if call.method == REMOVE:
        return (Moment.LOOK, Moment.CHANGE)
    return (Moment.CHANGE, Moment.LOOK)


class _Search:
    """Tries orders of moments, depth first; no number of done moments is tried twice with one state of the job."""

    def __init__(self, calls: list[Call], final: State) -> None:
        self._calls = calls
        self._final = final
        self._moments = [moments_of(call) for call in calls]
        self._seen: set[tuple[tuple[int, ...], State]] = set()

    def succeeds(self, done: tuple[int, ...], job: State) -> bool:
        """Whether the rest can follow, with so many moments of each call done, and the job in this state."""
        if (done, job) in self._seen:
            return False
        self._seen.add((done, job))
        left = [number for number, moments in enumerate(self._moments) if done[number] < len(moments)]
        if job == self._final and all(self._calls[number].code in INDEFINITE for number in left):
            return True
        return any(
            self.succeeds((*done[:number], done[number] + 1, *done[number + 1 :]), after)
            for number, after in self._next_moments(done, left, job)
        )

    def _next_moments(self, done: tuple[int, ...], left: list[int], job: State) -> list[tuple[int, State]]:
        """Return the calls whose next moment may be now, each with the state of the job after it."""
        first_end = min((latest_moment(self._calls[number]) for number in left), default=math.inf)
        possible: list[tuple[int, State]] = []
        for number in left:
            call, moment = self._calls[number], self._moments[number][done[number]]
            if call.began > first_end:  # another call has ended before this one began
                continue
            states = states_after(call, moment, job)
            if job in states and changes_nothing(call, moment):
                return [(number, job)]  # all that was possible still is, so no other order has to be tried
            possible += [(number, after) for after in states]
        return possible


def latest_moment(call: Call) -> float:
    """Return the latest moment at which the call is in effect; one that was given up may be later than its end."""
    return math.inf if call.code in INDEFINITE else call.ended


def changes_nothing(call: Call, moment: Moment) -> bool:
    return moment is Moment.LOOK or (moment is Moment.CHANGE and call.code in (404, 409))


def states_after(call: Call, moment: Moment, job: State) -> list[State]:
    """Return the states that the job may have after this moment; none if the call's answer would be wrong."""
    if moment is Moment.MAYBE_CHANGE:
        return [job] if job is None else [job, correct_answer(call.method, call.terms, job)[1]]
    if moment is Moment.LOOK:
        return [job] if is_described(call, job) else []
    return after_change(call, job)


def after_change(call: Call, job: State) -> list[State]:
    code, after = correct_answer(call.method, call.terms, job)
    if call.code in INDEFINITE:
        return [after] if code == 200 else []
    if call.code == 404 and call.method == REMOVE and "may have removed it" in call.sentence:
        return [None]
    return [after] if call.code == code else []


def is_described(call: Call, job: State) -> bool:
    """Whether the answer describes the job in this state; it does not name `days`, nor when the next run is due."""
    assert call.reply is not None
    description = call.reply["description"]
    if job is None and call.method == ADD and description["next_run_time"] is None:  # made, and removed already
        assert call.terms is not None
        job = JobState(call.terms, paused=True)
    if job is None:
        return False
    return job.fault_of(call.scheduler_id, description, removed=call.method == REMOVE) is None
