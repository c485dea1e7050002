"""Command line: `python -m lab.mutants`, which `make mutants` runs to see what the tests of each module notice."""

import argparse
import os
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack, contextmanager
from pathlib import Path
from queue import Queue

from rich.console import Console

from lab.judge.trial import a_copy
from lab.mutants.explained import EXPLAINED
from lab.mutants.mutations import Mutant
from lab.mutants.plan import options, own_tests
from lab.mutants.results import AIM, Result, killed_in, table
from lab.mutants.sample import all_mutants, sample
from lab.mutants.trial import Suite, killed_by, see_that_they_pass


def main() -> int:
    """Try the mutants; returns 0 when enough of them are killed. Raises SuiteFails."""
    parser = argparse.ArgumentParser(prog="python -m lab.mutants", description=__doc__)
    parser.add_argument("words", nargs="*", help="only mutants with one of these words in their names, all of them")
    parser.add_argument("--count", type=int, default=300, help="mutants in the sample (default: 300)")
    parser.add_argument("--seed", type=int, default=1, help="another number draws another sample (default: 1)")
    parser.add_argument("--at-once", type=int, default=2, help="trials at a time (default: 2)")
    parser.add_argument("--quick", action="store_true", help="only the tests that start no program")
    parser.add_argument("--after", type=Path, help="the results of an earlier run: try only what was alive then")
    parser.add_argument("--list", action="store_true", help="only list the mutants")
    given = parser.parse_args()
    console = Console(highlight=False, emoji=False, soft_wrap=True)
    mutants = all_mutants()
    if given.words:
        drawn = [each for each in mutants if any(word in each.name for word in given.words)]
    else:
        drawn = sample(mutants, given.count, given.seed)
    if given.list:
        for mutant in drawn:
            console.print(mutant.name, markup=False)
        return 0
    console.print(f"{len(drawn)} of {len(mutants)} mutants, seed {given.seed}")
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # compiled code of what is unchanged spares a third of the time
    earlier = killed_in(given.after.read_text()) if given.after else {}
    results = [Result(each, EXPLAINED.get(each.name, ""), earlier.get(each.name, "")) for each in drawn]
    state = Path(os.environ.get("SCHEDULER_STATE_DIR") or ".state")
    kept = state / "mutants" / f"{time.strftime('%Y%m%d-%H%M%S')}.txt"
    kept.parent.mkdir(parents=True, exist_ok=True)
    try:
        with _copies(given.at_once) as copies:
            run = _Run(copies, given.at_once, console)
            run.over([each for each in results if not each.killed_by], quick=True)
            if not given.quick:
                run.over([each for each in results if not each.killed_by and not each.explained], quick=False)
    finally:
        kept.write_text("".join(f"{each}\n" for each in results))
    text, score = table(results)
    console.print(text, markup=False)
    console.print(f"Each mutant and what killed it: {kept}", markup=False)
    return 0 if score >= AIM else 1


class _Run:
    """Runs tests on mutants, some at once, each in a copy."""

    def __init__(self, copies: "Queue[Path]", at_once: int, console: Console) -> None:
        self._copies = copies
        self._at_once = at_once
        self._console = console

    def over(self, results: list[Result], *, quick: bool) -> None:
        """Try mutants, after the tests have passed without one."""
        tests = {result: _tests(result.mutant, quick=quick) for result in results}
        with ThreadPoolExecutor(self._at_once) as pool:
            list(pool.map(self._clean, sorted({each for each in tests.values() if each.places}, key=repr)))
            trials = {pool.submit(self._try, result.mutant, tests[result]): result for result in results}
            for number, trial in enumerate(as_completed(trials), start=1):
                result = trials[trial]
                result.killed_by = trial.result()
                how = f"killed by {result.killed_by}" if result.killed_by else "alive"
                self._console.print(f"{number}/{len(results)} {result.mutant.name}: {how}", markup=False)

    def _clean(self, tests: Suite) -> None:
        with self._copy() as root:
            see_that_they_pass(tests, root)

    def _try(self, mutant: Mutant, tests: Suite) -> str:
        if not tests.places:
            return ""
        with self._copy() as root:
            return killed_by(mutant, tests, root)

    @contextmanager
    def _copy(self) -> Iterator[Path]:
        root = self._copies.get()
        try:
            yield root
        finally:
            self._copies.put(root)


@contextmanager
def _copies(number: int) -> Iterator["Queue[Path]"]:
    with ExitStack() as stack:
        queue: Queue[Path] = Queue()
        for _ in range(number):
            queue.put(stack.enter_context(a_copy()))
        yield queue


def _tests(mutant: Mutant, *, quick: bool) -> Suite:
    own = own_tests(mutant.file)
    return Suite(own.quick if quick else own.slow, tuple(options(quick=quick)))


if __name__ == "__main__":
    sys.exit(main())
