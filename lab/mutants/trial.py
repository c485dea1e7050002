"""Trials: a mutant takes the place of its file in a copy of the project, and the tests of its module run there."""

import os
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Final

from lab.judge.trial import run
from lab.mutants.mutations import Mutant

_NO_TESTS: Final = 5
"""pytest's exit code when no test was selected."""
_FAILED: Final = 1
_MOMENTS: Final = count(1_000_000_000)
"""Seconds since the epoch, each for one version of a file."""


class SuiteFails(Exception):
    """Tests that fail without a mutant, so that they tell nothing of one."""


@dataclass(frozen=True)
class Suite:
    """Tests, as a catcher of mutants."""

    places: tuple[str, ...]
    options: tuple[str, ...] = ()

    def command(self) -> Sequence[str]:
        """Return pytest's command line: it stops at the first failure, and has the same order each time."""
        fixed = ("-x", "-q", "-n", "0", "-rfE", "--tb=line", "-p", "no:cacheprovider", "-p", "no:randomly")
        return [sys.executable, "-m", "pytest", *fixed, *self.options, *self.places]

    def caught(self, code: int, output: str) -> list[str]:
        """Return what killed a mutant; empty: it is alive. Tests that pass without it fail in no other way."""
        if code in (0, _NO_TESTS):
            return []
        if code == _FAILED:
            return re.findall(r"^(?:FAILED|ERROR) (\S+)", output, re.MULTILINE)[:1] or ["a test that failed"]
        return ["the time limit" if code < 0 else "the import"]


@contextmanager
def in_place(mutant: Mutant, root: Path) -> Iterator[None]:
    """Let the mutant be in the copy for the block."""
    file = root / mutant.file
    original = file.read_text()
    _write(file, mutant.changed(original))
    try:
        yield
    finally:
        _write(file, original)


def _write(file: Path, text: str) -> None:
    """Write a file with a time of its own, by which Python tells whether its compiled code is still good."""
    file.write_text(text)
    moment = next(_MOMENTS)
    os.utime(file, (moment, moment))


def killed_by(mutant: Mutant, tests: Suite, root: Path) -> str:
    """Return the test that kills the mutant; empty: it is alive."""
    with in_place(mutant, root):
        return "".join(run(tests, root).caught_by)


def see_that_they_pass(tests: Suite, root: Path) -> None:
    """Run tests without a mutant. Raises SuiteFails."""
    verdict = run(tests, root)
    if verdict.caught_by:
        raise SuiteFails(f"without a mutant: {verdict.caught_by[0]}\n{verdict.output[-3000:]}")
