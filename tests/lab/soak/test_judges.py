"""The soak's judges notice every kind of fault."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest
from temporalio.client import WorkflowExecution, WorkflowExecutionStatus
from temporalio.common import SearchAttributePair, TypedSearchAttributes

from backup_scheduler.contract.methods import ADD, GET, MODIFY, PAUSE, REMOVE, RESUME
from backup_scheduler.jobs.names import OUTCOME
from lab.parts.answers import JobState, Reply, Terms
from lab.soak import audit
from lab.soak.job import Job
from lab.soak.target import Target
from lab.soak.timed import TimedSchedule

OLD = Terms("nightly", 1, "02:00", 1, 3600, revision=1)
NEW = Terms("nightly", 2, "03:00", 0, 60, revision=2)
FIRST = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)
DUE = [f"backup-timed-2026-01-01T12:00:{second:02}Z" for second in (0, 5, 10)]


def described(terms: Terms, next_run_time: str | None) -> Reply:
    kwargs = {name: value for name, value in vars(terms).items() if name not in ("days", "misfire_grace_time")}
    description = {
        "job_id": "job",
        "kwargs": kwargs,
        "misfire_grace_time": terms.misfire_grace_time,
        "next_run_time": next_run_time,
    }
    return {"status": "success", "description": description, "code": 200}


def failed(code: int) -> Reply:
    return {"status": "fail", "description": "a sentence", "code": code}


def a_job(*possible: JobState | None) -> Job:
    return Job("job", set(possible))


def judge(job: Job, method: str, reply: Reply | None, terms: Terms | None = None, disturbed: bool = False) -> Any:
    return job.judge(method, terms, reply, disturbed=disturbed)


def test_true_answers_are_taken_in() -> None:
    job = a_job(None)
    assert judge(job, ADD, described(OLD, "2026-01-02 02:30:00"), OLD) is None
    assert judge(job, ADD, failed(409), NEW) is None
    assert judge(job, PAUSE, described(OLD, None)) is None
    assert judge(job, MODIFY, described(NEW, None), NEW) is None
    assert job.possible == {JobState(NEW, paused=True)}
    assert judge(job, RESUME, described(NEW, "2026-01-02 03:00:00")) is None
    assert judge(job, REMOVE, described(NEW, None)) is None
    assert judge(job, GET, failed(404)) is None
    assert job.possible == {None}


@pytest.mark.parametrize(
    ("state", "method", "reply"),
    [
        (None, ADD, failed(409)),
        (None, PAUSE, described(OLD, None)),
        (JobState(OLD), ADD, described(NEW, "2026-01-02 03:00:00")),
        (JobState(OLD), GET, failed(404)),
        (JobState(OLD), PAUSE, failed(404)),
        (JobState(OLD), REMOVE, failed(404)),
        (JobState(OLD), GET, failed(500)),
        (JobState(OLD), MODIFY, described(OLD, "2026-01-02 02:30:00")),
        (JobState(OLD), PAUSE, described(OLD, "2026-01-02 02:30:00")),
        (JobState(OLD), GET, described(OLD, None)),
        (JobState(OLD), GET, described(OLD, "2026-01-02 01:59:00")),
    ],
)
def test_untrue_answers_are_named(state: JobState | None, method: str, reply: Reply) -> None:
    assert judge(a_job(state), method, reply, NEW)


def test_a_call_without_a_definite_answer_leaves_both_states_open() -> None:
    job = a_job(JobState(OLD))
    assert judge(job, MODIFY, failed(504), NEW) is None
    assert job.possible == {JobState(OLD), JobState(NEW)}
    assert judge(job, GET, described(NEW, "2026-01-02 03:00:00")) is None
    assert job.possible == {JobState(NEW)}
    assert judge(job, REMOVE, None) is None
    assert job.possible == {JobState(NEW), None}
    assert job.retired


def test_a_remove_that_was_delivered_twice_may_answer_404() -> None:
    job = a_job(JobState(OLD))
    assert judge(job, REMOVE, failed(404), disturbed=True) is None
    assert job.possible == {None}


def run(workflow_id: str, run_id: str = "run", outcome: str = "completed", start: float = 0) -> WorkflowExecution:
    """Return a run as Temporal lists it: the fields that the audit looks at."""
    found = SimpleNamespace(
        id=workflow_id,
        run_id=run_id,
        start_time=FIRST + timedelta(seconds=start),
        close_time=FIRST + timedelta(seconds=start + 1),
        status=WorkflowExecutionStatus.COMPLETED,
        typed_search_attributes=TypedSearchAttributes([SearchAttributePair(OUTCOME, outcome)]),
    )
    return cast("WorkflowExecution", found)


def runs(schedule: str, *executions: WorkflowExecution) -> audit.Runs:
    found = audit.Runs()
    for each in executions:
        found.by_id[each.id].append(each)
        found.by_schedule[schedule].append(each.id)
    return found


@pytest.mark.parametrize(
    ("there", "lost", "doubled", "wrong"),
    [
        (DUE, 0, 0, 0),
        (DUE[:2], 1, 0, 0),
        ([*DUE, DUE[0]], 0, 1, 0),
        ([*DUE, "backup-timed-2026-01-01T12:00:07Z"], 0, 1, 0),
    ],
)
def test_runs_that_came_due_are_compared_one_by_one(there: list[str], lost: int, doubled: int, wrong: int) -> None:
    timed = TimedSchedule("timed", timedelta(seconds=5), FIRST, end=FIRST + timedelta(seconds=12.5))
    tally = audit.timed_runs(runs("timed", *map(run, there)), [timed])
    assert (tally.expected, tally.found) == (3, len(there))
    assert (len(tally.lost), len(tally.doubled), len(tally.wrong)) == (lost, doubled, wrong)


def test_a_run_that_temporal_started_before_it_knew_the_end_may_be_there() -> None:
    end = FIRST + timedelta(seconds=7.5)
    timed = TimedSchedule("timed", timedelta(seconds=5), FIRST, end, settled=FIRST + timedelta(seconds=11))
    for there, either in ((DUE, 1), (DUE[:2], 0)):
        tally = audit.timed_runs(runs("timed", *map(run, there)), [timed])
        assert (tally.expected, tally.found, tally.either) == (len(there), len(there), either)
        assert not tally.lost + tally.doubled + tally.wrong


def test_runs_of_one_job_that_go_on_at_once_are_named() -> None:
    assert not runs("job", run("a"), run("b", start=1)).at_once([])
    both = runs("job", run("a"), run("b", start=0.9))
    assert both.at_once([]) == ["a and b went on at once"]
    removed_between = Job("job", removals=[FIRST.timestamp() + 0.5])
    assert not both.at_once([removed_between])


@pytest.mark.parametrize("outcome", ["missed", "failed"])
def test_a_run_that_made_no_backup_is_wrong(outcome: str) -> None:
    timed = TimedSchedule("timed", timedelta(seconds=5), FIRST, end=FIRST + timedelta(seconds=2.5))
    assert audit.timed_runs(runs("timed", run(DUE[0], outcome=outcome)), [timed]).wrong


@pytest.mark.parametrize(("asked", "unconfirmed", "lost", "doubled"), [(2, 0, 0, 0), (3, 0, 1, 0), (1, 0, 0, 1)])
def test_runs_that_were_asked_for_are_counted(asked: int, unconfirmed: int, lost: int, doubled: int) -> None:
    job = Job("job", runs=asked, unconfirmed=unconfirmed)
    tally = audit.triggered_runs(runs("job", run("a"), run("b")), [job])
    assert (len(tally.lost), len(tally.doubled)) == (lost, doubled)


def test_the_runs_of_each_schedule_that_a_job_has_had_are_counted_once() -> None:
    job = Job("job")
    assert [job.count(FIRST, taken) for taken in (1, 1, 3)] == [1, 0, 2]
    assert job.count(FIRST + timedelta(seconds=1), 2) == 2
    assert job.runs == 5


def test_a_backup_made_twice_at_the_target_is_doubled_only_under_different_keys() -> None:
    from random import Random

    target = Target(Random(1), slowness=0)
    target.successes["a"] |= {"a~run": 2}
    target.successes["b"] |= {"b~run": 1, "b~other": 1}
    found = runs("job", run("a"), run("b"), run("c"))
    tally = audit.triggered_runs(found, [])
    assert audit.at_target(found, target, lambda _: tally, {"a", "b", "c"}) == 1
    assert len(tally.lost) == 1
    assert len(tally.doubled) == 1
