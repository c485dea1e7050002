"""The planted faults fit the code, and only a real catch counts as one."""

import ast

import pytest

from lab.judge.faults import PLANTED
from lab.judge.planted import BySoak, ByTests, Change, Planted, UnfitChange
from lab.parts.places import ROOT


@pytest.mark.parametrize("fault", PLANTED, ids=lambda fault: fault.name)
def test_a_fault_changes_code_that_is_there_and_leaves_it_valid(fault: Planted) -> None:
    for change in fault.changes:
        assert change.old != change.new
        if change.file.endswith(".py"):
            ast.parse(change.changed(ROOT))


@pytest.mark.parametrize("fault", PLANTED, ids=lambda fault: fault.name)
def test_the_tests_that_have_to_catch_a_fault_are_there(fault: Planted) -> None:
    if not isinstance(fault.catcher, ByTests):
        return
    for id_ in fault.catcher.ids:
        file, _, name = id_.partition("::")
        assert not name or f"def {name.partition('[')[0]}(" in (ROOT / file).read_text()
        assert (ROOT / file).exists()


def test_each_fault_has_a_name_of_its_own() -> None:
    assert len({fault.name for fault in PLANTED}) == len(PLANTED)


def test_a_change_that_does_not_fit_is_named() -> None:
    with pytest.raises(UnfitChange, match="0 times: no such line"):
        Change("worker.py", "no such line", "").changed(ROOT)


FAILED = "FAILED tests/test_a.py::test_b[1] - assert 1 == 2\nERROR tests/test_c.py::test_d - RuntimeError\n1 failed"


@pytest.mark.parametrize(
    ("code", "output", "names"),
    [
        (0, "2 passed", []),
        (1, FAILED, ["tests/test_a.py::test_b[1]", "tests/test_c.py::test_d"]),
        (2, "ERROR tests/test_a.py - SyntaxError", []),
        (4, "ERROR: file or directory not found: tests/test_a.py", []),
        (5, "no tests ran", []),
    ],
)
def test_a_fault_is_caught_by_tests_that_ran_and_failed(code: int, output: str, names: list[str]) -> None:
    assert ByTests(("tests",)).caught(code, output) == names


@pytest.mark.parametrize(
    ("code", "output", "caught"),
    [
        (0, "Nothing was lost.", False),
        (1, "jobs, lost: one", True),
        (1, "jobs, wrong: one", False),
        (1, "Traceback: jobs", False),
    ],
)
def test_a_fault_is_caught_by_the_soak_when_its_audit_says_so(code: int, output: str, caught: bool) -> None:
    assert bool(BySoak("jobs, lost").caught(code, output)) == caught
