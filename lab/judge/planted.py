"""A planted fault: a change of the project's code, and who has to catch it."""

import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

_SHORT = ("--minutes=0.4", "--faults=0", "--seed=1", "--callers=5", "--pause=0.2", "--slowness=0.2")


class UnfitChange(Exception):
    """A change that does not fit the code any more."""


@dataclass(frozen=True)
class Change:
    """A text in a file and what takes its place."""

    file: str
    """From the root of the project."""
    old: str
    """Occurs exactly once in the file."""
    new: str

    def changed(self, root: Path) -> str:
        """Return the file with the change. Raises UnfitChange."""
        text = (root / self.file).read_text()
        if (times := text.count(self.old)) != 1:
            raise UnfitChange(f"{self.file} has {times} times: {self.old}")
        return text.replace(self.old, self.new)


class Catcher(Protocol):
    """A test or judge that has to catch a fault."""

    def command(self) -> Sequence[str]:
        """Return the command that runs it, in the root of the project."""

    def caught(self, code: int, output: str) -> list[str]:
        """Return the names of what caught a fault, by the exit code and output of the command; empty: nothing did."""


@dataclass(frozen=True)
class ByTests:
    """Tests by their ids, as pytest writes them; a file or a folder stands for all that is in it."""

    ids: tuple[str, ...]

    def command(self) -> Sequence[str]:
        """Return pytest's command line."""
        options = ("-n", "0", "-q", "-rfE", "--tb=line", "-p", "no:cacheprovider")
        return [sys.executable, "-m", "pytest", *options, *self.ids]

    def caught(self, code: int, output: str) -> list[str]:
        """Return the tests that failed. Only code 1 says that they ran and failed."""
        if code != 1:
            return []
        return re.findall(r"^(?:FAILED|ERROR) (\S+)", output, re.MULTILINE)


@dataclass(frozen=True)
class BySoak:
    """A short soak, whose audit has to say a sentence."""

    says: str
    """A part of a line in which the soak names the fault."""
    options: tuple[str, ...] = _SHORT

    def command(self) -> Sequence[str]:
        """Return the soak's command line."""
        return [sys.executable, "-m", "lab.soak", *self.options]

    def caught(self, code: int, output: str) -> list[str]:
        """Return the first line that names the fault. Only code 1 says that the audit took place and found faults."""
        if code != 1:
            return []
        return [f"soak: {line.strip()[:150]}" for line in output.splitlines() if self.says in line][:1]


@dataclass(frozen=True)
class Planted:
    """A fault."""

    name: str
    """A sentence that says what goes wrong for users."""
    changes: tuple[Change, ...]
    catcher: Catcher

    def plant(self, root: Path) -> None:
        """Change the project in this folder. Raises UnfitChange."""
        for change in self.changes:
            (root / change.file).write_text(change.changed(root))


def planted(name: str, file: str, old: str, new: str, catcher: Catcher) -> Planted:
    """Return a fault of one change."""
    return Planted(name, (Change(file, old, new),), catcher)


def tests(*ids: str) -> ByTests:
    """Return tests that have to fail."""
    return ByTests(ids)
