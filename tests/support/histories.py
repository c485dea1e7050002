"""Holds what callers were told against what Temporal has: is there an order of the calls that explains both?"""

import math
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from temporalio.client import Client

from backup_scheduler.contract.methods import ADD, MODIFY
from tests.support.audit import Standing, all_standing
from tests.support.callers import Call, Terms

SWITCHES = ("pause_job", "resume_job")

UNCERTAIN = (503, 504, None)
"""Answers that leave open whether a call has happened; None: the connection broke, or the answer did not come."""


async def assert_explained(temporal: Client, calls: Iterable[Call]) -> None:
    """Fail with the first job whose state, or whose answers, no order of the calls about it explains."""
    by_job: defaultdict[str, list[Call]] = defaultdict(list)
    for call in calls:
        if call.args:
            by_job[call.scheduler_id].append(call)
    found = await all_standing(temporal, by_job)
    for scheduler_id, its_calls in by_job.items():
        final = found.get(scheduler_id)
        assert explains(its_calls, final), f"nothing explains {final} after\n{table(its_calls)}"


def table(calls: list[Call]) -> str:
    """Return the calls for a person to read."""
    calls = sorted(calls, key=lambda call: call.began)
    lines = []
    for call in calls:
        told: Any = call.reply["description"] if call.reply else ""
        terms = (told["kwargs"]["policy_name"], told["next_run_time"]) if call.code == 200 else told
        times = f"{call.began - calls[0].began:7.3f} {call.ended - calls[0].began:7.3f}"
        lines.append(f"{times} {call.method[:10]:10} {call.args[1:2]} {call.code} {terms}")
    return "\n".join(lines)


def explains(calls: list[Call], final: Standing | None) -> bool:
    """Tell whether the calls can have led there, each happening at some moment between its beginning and its end.

    Every success must describe the job as it stood at some moment of the call, and every failure be right at one.
    """
    steps = [steps_of(call) for call in calls]
    seen: set[tuple[tuple[int, ...], Standing | None]] = set()

    def search(done: tuple[int, ...], job: Standing | None) -> bool:
        if (done, job) in seen:
            return False
        seen.add((done, job))
        left = [n for n in range(len(calls)) if done[n] < len(steps[n])]
        if job == final and all(calls[n].code in UNCERTAIN for n in left):
            return True
        first_end = min((end(calls[n]) for n in left), default=math.inf)
        possible = []
        for n in left:
            if calls[n].began <= first_end:
                if steps[n][done[n]] == PERHAPS:
                    possible += [(n, job)] + ([(n, carried_out(calls[n], job)[1])] if job else [])
                    continue
                right, after = (is_told if steps[n][done[n]] == TELL else happens)(calls[n], job)
                if right:
                    possible.append((n, after))
        for n, after in possible:
            if (
                after == job
                and steps[n][done[n]] != PERHAPS
                and (steps[n][done[n]] == TELL or calls[n].code in (404, 409))
            ):  # leaves open all that was, so it may go first
                possible = [(n, after)]
                break
        return any(search((*done[:n], done[n] + 1, *done[n + 1 :]), after) for n, after in possible)

    return search((0,) * len(calls), None)


ACT, TELL, PERHAPS = "act", "tell", "perhaps"


def steps_of(call: Call) -> tuple[str, ...]:
    """Return what a call does; a change and the look at the job that makes its answer are two moments."""
    if call.code == 404 and call.method in (MODIFY, *SWITCHES):  # may have changed a job that was removed then
        return (PERHAPS, ACT)
    if call.code != 200:
        return (ACT,)
    if call.method in SWITCHES:  # one that another process undoes before it could look is made again
        return (PERHAPS, ACT, TELL)
    return {"get_job": (TELL,), "remove_job": (TELL, ACT)}.get(call.method, (ACT, TELL))


def end(call: Call) -> float:
    """Return when the call has happened at the latest: one that was given up may happen later."""
    return math.inf if call.code in UNCERTAIN else call.ended


def happens(call: Call, job: Standing | None) -> tuple[bool, Standing | None]:
    """Tell whether the call's code is right if it happens now, and how the job stands then."""
    code, after = carried_out(call, job)
    if call.code in UNCERTAIN:
        return code == 200, after
    if call.code == 404 and call.method == "remove_job" and "may have removed it" in call.sentence:
        return True, None
    return call.code == code, after


def is_told(call: Call, job: Standing | None) -> tuple[bool, Standing | None]:
    """Tell whether the answer describes the job as it stands; it does not say `days`, and of the next run only if."""
    assert call.reply is not None
    told = call.reply["description"]
    if job is None and call.method == ADD and told["next_run_time"] is None:  # made, and removed already
        return describes(call, Standing(terms_of(call), paused=True)), job
    return job is not None and describes(call, job), job


def carried_out(call: Call, job: Standing | None) -> tuple[int, Standing | None]:
    """Return with which code the call has to be answered, and how the job stands then."""
    if call.method == ADD:
        return (200, Standing(terms_of(call), paused=False)) if job is None else (409, job)
    if job is None:
        return 404, None
    match call.method:
        case "remove_job":
            return 200, None
        case method if method in SWITCHES:
            return 200, Standing(job.terms, paused=call.method == "pause_job")
        case "get_job":
            return 200, job
    assert call.method == MODIFY
    return 200, Standing(terms_of(call), job.paused)


def terms_of(call: Call) -> Terms:
    _, policy_name, days, start_time, duration, misfire_grace_time = call.args
    return (policy_name, days, start_time, duration, misfire_grace_time)


def describes(call: Call, job: Standing) -> bool:
    """Tell whether the answer describes a job that stands so; a removed one has no next run."""
    assert call.reply is not None
    told = call.reply["description"]
    policy_name, _, start_time, duration, misfire_grace_time = job.terms
    return bool(
        told["job_id"] == call.scheduler_id
        and told["kwargs"] == {"policy_name": policy_name, "start_time": start_time, "duration": duration}
        and told["misfire_grace_time"] == misfire_grace_time
        and (told["next_run_time"] is None) == (job.paused or call.method == "remove_job")
    )
