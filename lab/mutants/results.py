"""Results of a mutation run: the score, and the mutants that are alive."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from lab.mutants.mutations import Mutant

AIM: Final = 95
"""Per cent of the mutants that tests have to kill; explained ones are left out."""


@dataclass(eq=False)
class Result:
    """What became of a mutant."""

    mutant: Mutant
    explained: str
    """Why no test has to kill it; empty: one has to."""
    killed_by: str = ""
    """A test; empty: it is alive."""

    def __str__(self) -> str:
        """Return a line for people."""
        fate = f"killed by {self.killed_by}" if self.killed_by else "explained" if self.explained else "ALIVE"
        return f"{fate}: line {self.mutant.line} of {self.mutant.name}"


def killed_in(text: str) -> dict[str, str]:
    """Return the mutants that were killed by the results of a run, each with what killed it."""
    return {name: test for test, name in re.findall(r"^killed by (.+?): line \d+ of (.+)$", text, re.MULTILINE)}


def score(results: Sequence[Result]) -> tuple[int, int, float]:
    """Return the number of mutants killed, the number of those that had to be, and the former in per cent."""
    counted = [each for each in results if each.killed_by or not each.explained]
    killed = sum(bool(each.killed_by) for each in counted)
    return killed, len(counted), 100 * killed / len(counted) if counted else 0.0


def table(results: Sequence[Result]) -> tuple[str, float]:
    """Return a text with a row for each folder and all survivors, and the score in per cent."""
    lines = [f"{'':28}{'mutants':>9}{'killed':>9}{'alive':>9}{'explained':>11}{'score':>9}"]
    groups: dict[str, list[Result]] = {}
    for each in results:
        groups.setdefault(each.mutant.file.rpartition("/")[0], []).append(each)
    for name, group in [*groups.items(), ("all", list(results))]:
        killed, counted, percent = score(group)
        lines.append(f"{name:28}{len(group):9}{killed:9}{counted - killed:9}{len(group) - counted:11}{percent:7.1f} %")
    alive = [each for each in results if not each.killed_by]
    lines += ["", *(str(each) for each in alive if not each.explained)]
    lines += [f"{each}\n    {each.explained}" for each in alive if each.explained]
    lines += [f"explained, but {each}" for each in results if each.explained and each.killed_by]
    killed, counted, percent = score(results)
    lines += ["", f"{killed} of {counted} mutants killed: {percent:.1f} % (aim: {AIM} %)"]
    return "\n".join(lines), percent
