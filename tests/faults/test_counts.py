"""What is counted after a fault finds what was lost and what was doubled."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

import pytest
from temporalio.client import WorkflowExecutionStatus

from backup_scheduler.contract.methods import ADD, GET, PAUSE, REMOVE
from lab.parts.answers import JobState, Terms
from tests.support.callers import FIRST, SECOND, Call
from tests.support.counts import NONE, Counted, counted_backups, counted_calls, counted_jobs, counted_runs
from tests.support.figures import cells
from tests.support.runs import Run

ONE, OTHER = JobState(Terms(*FIRST)), JobState(Terms(*SECOND))
DUE = [datetime(2026, 1, 1, 2, tzinfo=UTC) + timedelta(days=number) for number in range(3)]


def a_run(nominal: datetime, run_id: str = "1", outcome: str = "completed") -> Run:
    status = WorkflowExecutionStatus.COMPLETED
    return Run(f"backup-a-{nominal:%d}", run_id, nominal, nominal, nominal, nominal, status, outcome, "")


def key(run: Run) -> str:
    return quote(run.key, safe="")


RUNS = [a_run(nominal) for nominal in DUE]
ASKED = Counter({key(run): 1 for run in RUNS})


@pytest.mark.parametrize(
    ("found", "made", "counted"),
    [
        ({"a": ONE, "b": OTHER}, {"a": 1, "b": 1}, NONE),
        ({"a": ONE}, {"a": 1, "b": 1}, Counted(1, 0)),
        ({"a": ONE, "b": ONE}, {"a": 1, "b": 1}, Counted(1, 0)),
        ({"a": ONE, "b": OTHER, "c": ONE}, {"a": 1, "b": 1, "c": 1}, Counted(1, 0)),
        ({"a": ONE, "b": OTHER}, {"a": 3, "b": 2}, Counted(0, 3)),
    ],
    ids=["all well", "gone", "other terms", "come back", "made again"],
)
def test_jobs_that_are_not_as_expected_and_schedules_made_again_are_counted(
    found: dict[str, JobState], made: dict[str, int], counted: Counted
) -> None:
    assert counted_jobs(found, {"a": ONE, "b": OTHER}, Counter(made)) == counted


def called(method: str, at: float, code: int, description: object = "no") -> Call:
    reply = {"code": code, "description": description}
    return Call(method, ("a", *(FIRST if method == ADD else ())), at, at + 0.5, reply)


ADDED = {
    "job_id": "a",
    "func": "start_backup",
    "args": [],
    "kwargs": Terms(*FIRST).kwargs(),
    "misfire_grace_time": FIRST[-1],
    "next_run_time": "2026-01-01 02:01:00",
}


@pytest.mark.parametrize(
    ("calls", "found", "made", "counted"),
    [
        ([called(ADD, 0, 200, ADDED)], {"a": ONE}, 1, NONE),
        ([called(ADD, 0, 200, ADDED)], {}, 1, Counted(1, 0)),
        ([called(ADD, 0, 200, ADDED), called(REMOVE, 1, 504)], {}, 1, NONE),
        ([called(ADD, 0, 200, ADDED), called(GET, 1, 404)], {"a": ONE}, 1, Counted(1, 0)),
        ([called(ADD, 0, 200, ADDED), called(PAUSE, 1, 504)], {"a": ONE}, 2, Counted(0, 1)),
        ([called(ADD, 0, 504), called(ADD, 1, 409)], {"a": ONE}, 1, NONE),
    ],
    ids=["all well", "gone", "removed after all", "answer not true", "made again", "made after all"],
)
def test_jobs_that_no_order_of_their_calls_explains_and_schedules_that_no_add_made_are_counted(
    calls: list[Call], found: dict[str, JobState], made: int, counted: Counted
) -> None:
    assert counted_calls(calls, found, Counter({"a": made})) == counted


@pytest.mark.parametrize(
    ("runs", "asked", "counted"),
    [
        (RUNS, ASKED, NONE),
        (RUNS, ASKED + ASKED, NONE),  # another attempt has the same key
        (RUNS[1:], ASKED - Counter([key(RUNS[0])]), Counted(1, 0)),
        (RUNS, ASKED - Counter([key(RUNS[0])]), Counted(1, 0)),
        ([a_run(DUE[0], outcome="missed"), *RUNS[1:]], ASKED - Counter([key(RUNS[0])]), NONE),
        ([*RUNS, again := a_run(DUE[0], "2")], ASKED + Counter([key(again)]), Counted(0, 1)),
        (RUNS, ASKED + Counter(["another key"]), Counted(0, 1)),
        ([], Counter(), Counted(3, 0)),
    ],
    ids=["all well", "asked again", "no run", "no request", "missed", "two runs", "another key", "nothing happened"],
)
def test_due_times_without_a_run_and_what_there_is_once_too_often_are_counted(
    runs: list[Run], asked: Counter[str], counted: Counted
) -> None:
    assert counted_runs([DUE], [runs], asked) == counted


@pytest.mark.parametrize(
    ("snapshots", "counted"), [([["a"], ["b"]], NONE), ([[], ["b"]], Counted(1, 0)), ([["a", "b", "c"]], Counted(0, 2))]
)
def test_runs_without_a_snapshot_and_snapshots_beyond_one_are_counted(
    snapshots: list[list[str]], counted: Counted
) -> None:
    assert counted_backups(snapshots) == counted


def test_a_row_shows_a_dash_for_what_nobody_counted() -> None:
    assert [cells(each) for each in (NONE, Counted(2, 1), Counted(lost=0), Counted())] == [
        "0 | 0",
        "2 | 1",
        "0 | -",
        "- | -",
    ]
