"""The judges of runs, of requests to the target and of snapshots name every kind of fault."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from lab.parts.answers import JobState, Terms
from lab.soak import audit
from lab.soak.figures import Tally
from lab.soak.job import Job
from lab.soak.looks import End
from lab.soak.repository import Snapshot
from lab.soak.runs import Run, Wanted, wanted_due, wanted_triggered
from lab.soak.target import Request
from lab.soak.timed import TimedSchedule

FIRST = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)
OLD = Terms("nightly", 1, "02:00", 1, 3600, revision=1)
NEW = Terms("nightly", 2, "03:00", 0, 60, revision=2)
OLD_FORM = (("policy_name", "nightly"), ("revision", "1"))
NEW_FORM = (("policy_name", "nightly"), ("revision", "2"))
STOPPED = End("cancelled", {}, "enough")
CANCELED: dict[str, Any] = {"status": "CANCELED", "outcome": None}
A, B, C = (f"backup-job-2026-01-01T12:00:{second:02}Z" for second in (0, 5, 10))


def run(workflow_id: str = A, run_id: str = "1", start: float = 0, seconds: float = 1, **changes: Any) -> Run:
    began = FIRST + timedelta(seconds=start)
    made = Run(workflow_id, run_id, "job", began, began + timedelta(seconds=seconds))
    return replace(made, **changes)


def wanted(*certain: str, maybe: Sequence[str] = ()) -> dict[str, Wanted]:
    forms = frozenset({OLD_FORM})
    return {id_: Wanted("job", id_ in certain, forms) for id_ in (*certain, *maybe)}


def numbers(tally: Tally) -> tuple[int, int, int]:
    return len(tally.lost), len(tally.doubled), len(tally.wrong)


@pytest.mark.parametrize(
    ("there", "faults"),
    [
        ([run(A), run(B)], (0, 0, 0)),
        ([run(A)], (1, 0, 0)),
        ([], (2, 0, 0)),
        ([run(A), run(B), run(C)], (0, 1, 0)),
        ([run(A), run(B), run(B, "2")], (0, 1, 0)),
        ([run(A), run(A, "2")], (1, 1, 0)),
        ([run(A), run(B, schedule="another")], (0, 1, 0)),
        ([run(A), run(B, status="FAILED", outcome="failed")], (0, 0, 1)),
        ([run(A), run(B, outcome="missed")], (0, 0, 1)),
        ([run(A), run(B, outcome=None)], (0, 0, 1)),
        ([run(A), run(B, status="RUNNING", outcome=None)], (0, 0, 1)),
        ([run(A), run(B, status="CONTINUED_AS_NEW", outcome=None)], (0, 0, 1)),
        ([run(A), run(B), run(B, "2", status="FAILED", outcome="failed")], (0, 1, 1)),
    ],
)
def test_runs_are_compared_one_by_one(there: list[Run], faults: tuple[int, int, int]) -> None:
    tally = audit.runs_tally(there, wanted(A, B), [])
    assert numbers(tally) == faults
    assert (tally.certain, tally.open) == (2, 0)


def test_a_backup_with_warnings_is_a_backup() -> None:
    assert run(outcome="completed with warnings").fault() is None


@pytest.mark.parametrize(
    ("end", "there", "wrong"),
    [
        (None, run(A, **CANCELED), 1),
        (STOPPED, run(A, **CANCELED), 0),
        (STOPPED, run(A), 1),
        (STOPPED, run(A, status="FAILED", outcome="failed"), 1),
        (STOPPED, run(A, status="RUNNING", outcome=None), 1),
        (replace(STOPPED, may_complete=True), run(A, **CANCELED), 0),
        (replace(STOPPED, may_complete=True), run(A), 0),
        (replace(STOPPED, may_complete=True), run(A, status="TERMINATED", outcome=None), 1),
        (End("completed", {}), run(A), 0),
        (End("completed", {}), run(A, outcome="completed with warnings"), 1),
        (End("completed", {}), run(A, **CANCELED), 1),
    ],
)
def test_a_run_ends_as_it_was_made_to(end: End | None, there: Run, wrong: int) -> None:
    asked = {A: Wanted("job", True, frozenset({OLD_FORM}), end)}
    assert numbers(audit.runs_tally([there], asked, [])) == (0, 0, wrong)


@pytest.mark.parametrize(("there", "found"), [([run(A)], 0), ([run(A), run(B)], 1)])
def test_an_open_run_may_be_there(there: list[Run], found: int) -> None:
    tally = audit.runs_tally(there, wanted(A, maybe=[B]), [])
    assert (tally.certain, tally.open, tally.open_found) == (1, 1, found)
    assert numbers(tally) == (0, 0, 0)


def test_what_is_expected_does_not_grow_with_what_is_there() -> None:
    tally = audit.runs_tally([run(A), run(B), run(C)], wanted(A), [])
    assert (tally.certain, tally.open, numbers(tally)) == (1, 0, (0, 2, 0))


@pytest.mark.parametrize(
    ("there", "of_server"),
    [
        ([run(A, seconds=8), run(A, "2", start=10)], True),
        ([run(A, "2", start=10), run(A, seconds=8)], True),
        ([run(A, start=-12), run(A, "2", start=10)], False),
        ([run(A, start=9), run(A, "2", start=11)], False),
        ([run(A), run(A, "2", start=1.5)], False),
        ([run(A), run(A, "2", start=70)], False),
        ([run(A, seconds=11), run(A, "2", start=10)], False),
        ([run(A, close=None), run(A, "2", start=10)], False),
        ([run(A), run(A, "2", start=10), run(A, "3", start=20)], False),
    ],
)
def test_a_killed_server_can_start_a_run_twice_in_one_way(there: list[Run], of_server: bool) -> None:
    outage = (FIRST.timestamp() + 2, FIRST.timestamp() + 8)
    tally = audit.runs_tally(there, wanted(A), [outage])
    assert (len(tally.doubled_by_server), len(tally.doubled)) == ((1, 0) if of_server else (0, 1))
    assert len(audit.runs_tally(there, wanted(A), []).doubled) == 1


def timed(end: float, settled: float | None = None) -> TimedSchedule:
    known = None if settled is None else FIRST + timedelta(seconds=settled)
    return TimedSchedule("job", timedelta(seconds=5), FIRST, FIRST + timedelta(seconds=end), known)


def test_every_nominal_time_up_to_the_end_is_certain() -> None:
    due = wanted_due([timed(end=12.5)])
    assert [(id_, each.certain) for id_, each in due.items()] == [(A, True), (B, True), (C, True)]
    assert {each.forms for each in due.values()} == {frozenset({(("policy_name", "soak"),)})}


def test_a_nominal_time_before_temporal_knew_the_end_is_open() -> None:
    due = wanted_due([timed(end=7.5, settled=11)])
    assert [(id_, each.certain) for id_, each in due.items()] == [(A, True), (B, True), (C, False)]


def test_a_trigger_is_certain_only_if_temporal_took_it() -> None:
    job = Job("job", {JobState(OLD)})
    took, lost, refused = (job.trigger(FIRST + timedelta(seconds=late)) for late in (0, 5, 10))
    took.confirmed = refused.refused = True
    found = wanted_triggered([job], {lost.run: STOPPED})
    assert found[lost.run].end == STOPPED
    assert {id_: each.certain for id_, each in found.items()} == {took.run: True, lost.run: False}
    assert found[took.run].forms == {OLD_FORM}


@pytest.mark.parametrize(
    "stray", [run(schedule=None), run(schedule="another"), run(kind="OtherWorkflow"), run(schedule="")]
)
def test_runs_of_no_known_schedule_are_named(stray: Run) -> None:
    assert not audit.strays([run(), run(B)], {"job"})
    assert len(audit.strays([run(), stray, run(B)], {"job"})) == 1


@pytest.mark.parametrize(
    ("there", "pairs"),
    [
        ([run(A, seconds=5), run(B, start=5)], 0),
        ([run(A, seconds=5.1), run(B, start=5)], 1),
        ([run(A), run(A, "2", start=0.5)], 1),
        ([run(A, close=None), run(B, start=5)], 1),
        ([run(A, seconds=20), run(B, start=5), run(C, start=10)], 2),
        ([run(C, start=10), run(B, start=5, seconds=6)], 1),
        ([run(A, seconds=6), run(B, start=5, schedule="another")], 0),
    ],
)
def test_runs_of_one_job_that_go_on_at_once_are_named(there: list[Run], pairs: int) -> None:
    assert len(audit.at_once(there, {})) == pairs


@pytest.mark.parametrize(
    ("split", "excused"), [((-9, -1), 0), ((-1, 1), 1), ((3, 4), 1), ((8.5, 10), 1), ((10, 11), 0)]
)
def test_only_a_run_that_was_under_way_in_a_split_may_have_been_forgotten(
    split: tuple[float, float], excused: int
) -> None:
    both = [run(A, seconds=9), run(B, start=5)]
    splits = [(FIRST.timestamp() + split[0], FIRST.timestamp() + split[1])]
    assert len(audit.forgotten(both, {}, splits)) == excused
    assert len(audit.at_once(both, {}, splits)) == 1 - excused


@pytest.mark.parametrize(("removal", "pairs"), [((1, 2), 0), ((-2, -1), 1), ((6, 7), 1), ((-1, 1), 0), ((4, 6), 0)])
def test_a_job_that_was_removed_leaves_its_run_to_finish(removal: tuple[float, float], pairs: int) -> None:
    both = [run(A, seconds=9), run(B, start=5)]
    began, ended = (FIRST.timestamp() + moment for moment in removal)
    assert len(audit.at_once(both, {"job": [(began, ended)]})) == pairs
    assert len(audit.at_once(both, {"another": [(began, ended)]})) == 1


def asked(key: str, form: Any = OLD_FORM, succeeded: bool = True, **changes: Any) -> Request:
    return replace(Request(key, form, succeeded=succeeded), **changes)


@pytest.mark.parametrize(
    ("requests", "faults"),
    [
        ([asked(f"{A}~1"), asked(f"{B}~1")], (0, 0, 0)),
        ([asked(f"{A}~1"), asked(f"{B}~1", succeeded=False), asked(f"{B}~1")], (0, 0, 0)),
        ([asked(f"{A}~1"), asked(f"{B}~1"), asked(f"{B}~1")], (0, 0, 0)),
        ([asked(f"{A}~1")], (1, 0, 0)),
        ([asked(f"{A}~1"), asked(f"{B}~1", succeeded=False)], (1, 0, 0)),
        ([asked(f"{A}~1"), asked(f"{B}~1"), asked(f"{B}~2")], (0, 1, 0)),
        ([asked(f"{A}~1"), asked(f"{B}~1"), asked("", succeeded=False)], (0, 1, 0)),
        ([asked(f"{A}~1"), asked(f"{B}~1", NEW_FORM)], (0, 0, 1)),
        ([asked(f"{A}~1"), asked(f"{B}~1", NEW_FORM, succeeded=False), asked(f"{B}~1")], (0, 0, 1)),
        ([asked(f"{A}~1"), asked(f"{B}~1", OLD_FORM[:1])], (0, 0, 1)),
        ([asked(f"{A}~1"), asked(f"{B}~1", (*OLD_FORM, ("path", "/")))], (0, 0, 1)),
        ([asked(f"{A}~1"), asked(f"{B}~1", (("policy_name", "somebody-elses"), OLD_FORM[1]))], (0, 0, 1)),
        ([asked(f"{A}~1"), asked(f"{B}~1", place="GET /backup")], (0, 0, 1)),
    ],
)
def test_requests_are_compared_run_by_run(requests: list[Request], faults: tuple[int, int, int]) -> None:
    tally = audit.requests_tally([run(A), run(B)], wanted(A, B), requests)
    assert numbers(tally) == faults
    assert tally.certain == 2


def test_a_run_may_be_sent_each_revision_that_was_in_force() -> None:
    either = {A: Wanted("job", True, frozenset({OLD_FORM, NEW_FORM}))}
    for form in (OLD_FORM, NEW_FORM):
        assert numbers(audit.requests_tally([run(A)], either, [asked(f"{A}~1", form)])) == (0, 0, 0)


def test_backups_that_were_made_again_under_their_key_are_counted() -> None:
    made = [asked("a"), asked("a"), asked("a", succeeded=False), asked("b")]
    assert audit.repeated(made) == 1


def snapshot(run: str, job: str = "job") -> Snapshot:
    return Snapshot("4711", run, job, 0)


@pytest.mark.parametrize(
    ("snapshots", "faults"),
    [
        ([snapshot(f"{A}~1"), snapshot(f"{B}~1")], (0, 0, 0)),
        ([snapshot(f"{A}~1")], (1, 0, 0)),
        ([snapshot(f"{A}~1"), snapshot(f"{B}~1"), snapshot(f"{B}~1")], (0, 1, 0)),
        ([snapshot(f"{A}~1"), snapshot(f"{B}~1"), snapshot(f"{B}~2")], (0, 1, 0)),
        ([snapshot(f"{A}~1"), snapshot(f"{B}~1"), snapshot("")], (0, 1, 0)),
        ([snapshot(f"{A}~1"), snapshot(f"{B}~1", job="another")], (0, 0, 1)),
    ],
)
def test_snapshots_are_compared_run_by_run(snapshots: list[Snapshot], faults: tuple[int, int, int]) -> None:
    tally = audit.snapshots_tally([run(A), run(B)], snapshots)
    assert numbers(tally) == faults
    assert tally.certain == 2


@pytest.mark.parametrize(
    ("snapshots", "open_found", "doubled"),
    [([], 0, 0), ([snapshot(f"{A}~1")], 1, 0), ([snapshot(f"{A}~1"), snapshot(f"{A}~1")], 1, 1)],
)
def test_a_cancelled_run_has_one_snapshot_at_most(snapshots: list[Snapshot], open_found: int, doubled: int) -> None:
    tally = audit.snapshots_tally([run(A, **CANCELED), run(B)], [*snapshots, snapshot(f"{B}~1")])
    assert (tally.certain, tally.open, tally.open_found) == (1, 1, open_found)
    assert numbers(tally) == (0, doubled, 0)


def test_the_slowest_run_is_the_one_that_ended_last_after_its_nominal_time() -> None:
    assert audit.slowest([run(A, seconds=2), run(B, start=8, seconds=1), run(C, close=None)]) == 4


@pytest.mark.parametrize(
    ("there", "number"),
    [([run(A)], 0), ([], 1), ([run(A, status="RUNNING")], 1), ([run(A), run(B, status="RUNNING")], 1)],
)
def test_open_runs_and_missing_runs_are_waited_for(there: list[Run], number: int) -> None:
    assert len(audit.unsettled(there, wanted(A, maybe=[B]))) == number
