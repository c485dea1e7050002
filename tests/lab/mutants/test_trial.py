"""A mutant that tests notice is killed, one that they do not notice is alive, and the copy is as before."""

from pathlib import Path

import pytest

from lab.mutants.mutations import Mutant, mutants_of
from lab.mutants.trial import Suite, SuiteFails, in_place, killed_by, see_that_they_pass

pytestmark = pytest.mark.programs

CODE = "def larger(a, b):\n    return a if a > b else b\n\n\ndef text():\n    return 'nobody reads this'\n"
TEST = "from larger_of_two import larger, text\n\n\ndef test_larger():\n    assert larger(1, 2) == larger(2, 1) == 2\n"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A project of one module with one test."""
    (tmp_path / "larger_of_two.py").write_text(CODE)
    (tmp_path / "test_code.py").write_text(TEST)
    return tmp_path


def the_mutant(kind: str, number: int = 0) -> Mutant:
    return [each for each in mutants_of("larger_of_two.py", CODE) if each.kind == kind][number]


def test_the_same_tests_kill_a_mutant_that_they_notice_and_leave_another_alive(root: Path) -> None:
    tests = Suite(("test_code.py",))
    assert killed_by(the_mutant("return value"), tests, root) == "test_code.py::test_larger"
    assert killed_by(the_mutant("string"), tests, root) == ""
    assert killed_by(the_mutant("comparison"), tests, root) == "", "a >= b is the same for a maximum"
    see_that_they_pass(tests, root)


def test_a_mutant_of_the_size_and_the_second_of_the_one_before_is_another_one(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
    suite, start = Suite(("test_code.py",)), CODE.index("a > b")
    for new, is_killed in (("b > a", True), ("b < a", False)) * 2:
        mutant = Mutant("larger_of_two.py", "larger", "", "a > b", new, 2, (start, start + 5), new)
        assert bool(killed_by(mutant, suite, root)) is is_killed


def test_tests_that_fail_anyhow_kill_nothing(root: Path) -> None:
    (root / "test_code.py").write_text(TEST.replace("== 2", "== 1"))
    with pytest.raises(SuiteFails, match=r"test_code\.py::test_larger"):
        see_that_they_pass(Suite(("test_code.py",)), root)


def test_a_file_has_its_own_text_again_after_a_trial(root: Path) -> None:
    mutant = the_mutant("string")
    with in_place(mutant, root):
        assert (root / mutant.file).read_text() == CODE.replace("'nobody reads this'", '""')
    assert (root / mutant.file).read_text() == CODE
