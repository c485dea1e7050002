"""Command line: `python -m lab.judge`, which `make judge` runs to see whether every planted fault is caught."""

import argparse
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

from rich.console import Console

from lab.judge.faults import PLANTED
from lab.judge.planted import BySoak, ByTests, Catcher, Planted
from lab.judge.trial import Verdict, try_fault, try_without_fault


def main() -> int:
    """Try the faults; returns 0 when each is caught, and nothing fails without a fault."""
    parser = argparse.ArgumentParser(prog="python -m lab.judge", description=__doc__)
    parser.add_argument("names", nargs="*", help="only faults whose names have one of these words in them")
    parser.add_argument("--at-once", type=int, default=2, help="trials at a time (default: 2)")
    parser.add_argument("--list", action="store_true", help="only list the faults")
    parser.add_argument("--no-clean", action="store_true", help="do not try first whether all passes without a fault")
    given = parser.parse_args()
    console = Console(highlight=False, emoji=False, soft_wrap=True)
    faults = [each for each in PLANTED if not given.names or any(word in each.name for word in given.names)]
    if given.list:
        for fault in faults:
            console.print(fault.name, markup=False)
        return 0
    state = Path(os.environ.get("SCHEDULER_STATE_DIR") or ".state")
    place = state.absolute() / "judge" / time.strftime("%Y%m%d-%H%M%S")
    place.mkdir(parents=True)
    console.print(f"{len(faults)} planted faults. What each trial printed: {place}", markup=False)
    bad = 0 if given.no_clean else _without_faults(faults, place, console)
    bad += _with_faults(faults, given.at_once, place, console)
    summary = f"{bad} of {len(faults)} trials say that something is not caught." if bad else "Every fault was caught."
    console.print(summary, style="bold red" if bad else "bold green")
    return 1 if bad else 0


def _without_faults(faults: list[Planted], place: Path, console: Console) -> int:
    """Run all catchers without a fault; return how many fail: what fails anyhow catches nothing."""
    catchers = {fault.catcher for fault in faults}
    ids = sorted({id_ for each in catchers if isinstance(each, ByTests) for id_ in each.ids})
    soaks = {each.options: each for each in catchers if isinstance(each, BySoak)}
    clean: list[Catcher] = [ByTests((*ids,))] if ids else []
    clean += soaks.values()
    failed = 0
    for number, catcher in enumerate(clean):
        verdict = try_without_fault(catcher)
        (place / f"without-a-fault-{number}.log").write_text(verdict.output)
        _line(console, "no fault", verdict, good=verdict.code == 0)
        failed += verdict.code != 0
    return failed


def _with_faults(faults: list[Planted], at_once: int, place: Path, console: Console) -> int:
    """Try all faults; return how many nobody caught."""
    missed = 0
    with ThreadPoolExecutor(at_once) as pool:
        trials = {pool.submit(try_fault, fault): (number, fault) for number, fault in enumerate(faults, start=1)}
        for trial in as_completed(trials):
            number, fault = trials[trial]
            verdict = trial.result()
            (place / f"{number:02}.log").write_text(f"{fault.name}\n{verdict.output}")
            _line(console, f"{number:2} {fault.name}", verdict, good=bool(verdict.caught_by))
            missed += not verdict.caught_by
    return missed


def _line(console: Console, name: str, verdict: Verdict, *, good: bool) -> None:
    console.print(f"{name} ({verdict.seconds:.0f} s)", style="bold", markup=False)
    said = verdict.caught_by or (["passes"] if verdict.code == 0 else [f"ended with code {verdict.code}"])
    for each in said:
        console.print(f"    {each}", style="green" if good else "bold red", markup=False)


if __name__ == "__main__":
    sys.exit(main())
