"""The judge of racing calls finds the orders that there are, and no others."""

from typing import Any

import pytest

from backup_scheduler.contract.methods import ADD, GET, MODIFY, PAUSE, REMOVE, RESUME
from lab.parts.answers import JobState, Terms
from tests.support.call_order import explains
from tests.support.callers import FIRST, SECOND, Call

OLD, NEW = Terms(*FIRST), Terms(*SECOND)


def succeeded(method: str, began: float, ended: float, terms: Terms = OLD, *, paused: bool = False) -> Call:
    description: dict[str, Any] = {
        "job_id": "job",
        "func": "start_backup",
        "args": [],
        "kwargs": terms.kwargs(),
        "misfire_grace_time": terms.misfire_grace_time,
        "next_run_time": None if paused or method == REMOVE else "2026-01-01 02:01:00",
    }
    args = vars(terms).values() if method in (ADD, MODIFY) else ()
    return Call(method, ("job", *list(args)[:5]), began, ended, {"code": 200, "description": description})


def failed(method: str, began: float, ended: float, code: int | None, sentence: str = "no") -> Call:
    args = FIRST if method in (ADD, MODIFY) else ()
    reply = None if code is None else {"code": code, "description": sentence}
    return Call(method, ("job", *args), began, ended, reply)


@pytest.mark.parametrize(
    ("calls", "final"),
    [
        ([succeeded(ADD, 0, 1), succeeded(PAUSE, 1.1, 2, paused=True)], JobState(OLD, paused=True)),
        ([succeeded(ADD, 0, 3), failed(ADD, 1, 2, 409)], JobState(OLD)),
        ([succeeded(ADD, 0, 1), succeeded(MODIFY, 2, 5, NEW), succeeded(GET, 3, 4)], JobState(NEW)),
        ([succeeded(ADD, 0, 1), failed(REMOVE, 2, 3, 504), failed(GET, 4, 5, 404)], None),
        ([succeeded(ADD, 0, 1), failed(REMOVE, 2, 3, None)], JobState(OLD)),
        ([succeeded(ADD, 0, 1), failed(REMOVE, 2, 3, 404, "it may have removed it")], None),
        ([succeeded(ADD, 0, 1), succeeded(REMOVE, 2, 5), failed(RESUME, 3, 4, 404)], None),
    ],
)
def test_answers_that_an_order_explains_are_true(calls: list[Call], final: JobState | None) -> None:
    assert explains(calls, final)


@pytest.mark.parametrize(
    ("calls", "final"),
    [
        ([succeeded(ADD, 0, 1)], None),
        ([succeeded(ADD, 0, 1)], JobState(OLD, paused=True)),
        ([succeeded(ADD, 0, 1), failed(PAUSE, 2, 3, 404)], JobState(OLD)),
        ([succeeded(ADD, 0, 1), succeeded(ADD, 2, 3)], JobState(OLD)),
        ([succeeded(ADD, 0, 1), succeeded(MODIFY, 2, 3, NEW), succeeded(GET, 4, 5)], JobState(NEW)),
        ([failed(ADD, 0, 1, 409), succeeded(ADD, 2, 3)], JobState(OLD)),
        ([succeeded(ADD, 0, 1), failed(REMOVE, 2, 3, 404)], None),
        ([succeeded(ADD, 0, 1), succeeded(PAUSE, 2, 3)], JobState(OLD, paused=True)),
    ],
)
def test_answers_that_no_order_explains_are_found_out(calls: list[Call], final: JobState | None) -> None:
    assert not explains(calls, final)
