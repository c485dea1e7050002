"""Runs are read until they are settled, and the index is compared with their histories."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from lab.soak.findings import settled_runs
from lab.soak.runs import Run, Wanted, history_fault

AT = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)
A, B = (f"backup-job-2026-01-01T12:00:{second:02}Z" for second in (0, 5))
WANTED = {A: Wanted("job", certain=True, forms=frozenset())}


def run(workflow_id: str = A, status: str = "COMPLETED") -> Run:
    return Run(workflow_id, "1", "job", AT, AT, status=status)


def reader(*answers: list[Run]) -> Callable[[], Any]:
    left = list(answers)

    async def read() -> list[Run]:
        return left.pop(0) if len(left) > 1 else left[0]

    return read


async def test_runs_are_read_until_none_is_open_or_missing() -> None:
    read = reader([], [run(A, status="RUNNING")], [run(A)], [run(A), run(B)])
    assert await settled_runs(read, WANTED, patience=60, pause=0) == [run(A)]


async def test_runs_that_stay_away_are_waited_for_only_so_long() -> None:
    assert await settled_runs(reader([run(B)]), WANTED, patience=0.05, pause=0.01) == [run(B)]


@pytest.mark.parametrize(
    ("status", "event", "differs"),
    [
        ("COMPLETED", "COMPLETED", False),
        ("FAILED", "FAILED", False),
        ("COMPLETED", "FAILED", True),
        ("FAILED", "COMPLETED", True),
        ("COMPLETED", "STARTED", True),
        ("RUNNING", "STARTED", False),
    ],
)
def test_the_index_is_compared_with_the_history(status: str, event: str, differs: bool) -> None:
    assert bool(history_fault(run(status=status), f"EVENT_TYPE_WORKFLOW_EXECUTION_{event}")) == differs
