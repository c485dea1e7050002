"""A soak passes only if it has judged something of each kind, and nothing is wrong."""

import io
from typing import Any

import pytest
from rich.console import Console

from lab.soak.figures import CallFigures, Figures, OutageFigures, PartFigures, Tally
from lab.soak.table import show

PASSED = "Nothing was lost, nothing ran twice, every answer was true."


def figures(**changes: Any) -> Figures:
    values: dict[str, Any] = {
        "seed": 1,
        "seconds": 60,
        "interrupted": False,
        "parts": {"worker": PartFigures(killed=2, longest_recovery=7)},
        "outages": [OutageFigures(what="worker SIGKILL", seconds=7)],
        "calls": CallFigures(made=120, answered={"200": 120}, longest={"200": 1}, undisturbed=100),
        "jobs": Tally(certain=10),
        "timed_runs": Tally(certain=10),
        "triggered_runs": Tally(certain=10),
        "http_backups": Tally(certain=10),
        "restic_snapshots": Tally(certain=10),
        "snapshots_restored": 10,
        "backup_requests": 10,
        "repeated_requests": 1,
        "slowest_run": 30,
        "slowest_allowed": 120,
        "stale_locks": 0,
    }
    return Figures(**values | changes)


def calls(**changes: Any) -> CallFigures:
    return figures().calls.model_copy(update=changes)


def printed(shown: Figures) -> str:
    text = io.StringIO()
    show(shown, Console(file=text, width=200))
    return text.getvalue()


def test_a_soak_without_faults_passes() -> None:
    assert figures().passed
    assert PASSED in printed(figures())


@pytest.mark.parametrize(
    "change",
    [
        {"parts": {"worker": PartFigures(killed=7, not_recovered=7)}},
        {"parts": {"worker": PartFigures(killed=2, ended_by_itself=50)}},
        {"slowest_run": 121},
        {"stale_locks": 1},
        {"complaints": ["a fault"]},
        {"calls": calls(untrue=["a fault"])},
        {"calls": calls(undisturbed_without_result=6)},
    ],
)
def test_a_soak_with_bad_news_does_not_pass(change: dict[str, Any]) -> None:
    found = figures(**change)
    assert not found.passed
    assert found.faults
    assert PASSED not in printed(found)


@pytest.mark.parametrize("tally", ["jobs", "timed_runs", "triggered_runs", "http_backups", "restic_snapshots"])
@pytest.mark.parametrize("kind", ["lost", "doubled", "wrong"])
def test_a_soak_with_a_fault_in_any_tally_does_not_pass(tally: str, kind: str) -> None:
    found = figures(**{tally: Tally(certain=10, **{kind: ["a fault of this kind"]})})
    assert not found.passed
    assert f"{kind}: a fault of this kind" in printed(found)


@pytest.mark.parametrize(
    "change",
    [
        {"jobs": Tally(open=3, open_found=3)},
        {"timed_runs": Tally()},
        {"triggered_runs": Tally()},
        {"http_backups": Tally()},
        {"restic_snapshots": Tally()},
        {"snapshots_restored": 0},
        {"backup_requests": 0},
        {"calls": CallFigures()},
        {"calls": calls(answered={"503": 120}, longest={"503": 1})},
        {"calls": calls(undisturbed=0)},
    ],
)
def test_a_soak_in_which_nothing_was_judged_does_not_pass(change: dict[str, Any]) -> None:
    found = figures(**change)
    assert not found.passed
    assert "the soak has shown nothing of them" in printed(found)


def test_a_few_calls_without_a_result_may_be_the_machines_load() -> None:
    assert figures(calls=calls(undisturbed_without_result=5)).passed


def test_certain_open_lost_doubled_and_wrong_are_shown_by_themselves() -> None:
    tally = Tally(certain=71, open=28, open_found=15, lost=["a"], doubled=["b", "c"], wrong=["d", "e", "f"])
    tally.doubled_by_server = ["a run"] * 4
    [row] = [line for line in printed(figures(jobs=tally)).splitlines() if line.startswith("│ jobs ")]
    assert [cell.strip() for cell in row.strip("│").split("│")] == ["jobs", "71", "28", "15", "1", "2", "4", "3"]


def test_runs_that_a_killed_server_started_twice_are_named_and_no_fault() -> None:
    found = figures(timed_runs=Tally(certain=10, doubled_by_server=["a run has 2 runs"]))
    assert found.passed
    assert "a run has 2 runs: Temporal was killed" in printed(found)


def test_the_file_of_figures_has_no_count_of_what_was_found_as_what_was_expected() -> None:
    written = Tally(certain=1).model_dump()
    assert set(written) == {"certain", "open", "open_found", "lost", "doubled", "doubled_by_server", "wrong"}
