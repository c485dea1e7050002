"""Command line: `python -m lab.bench [calls burst ... | cluster-calls ...] [--cluster] [--rounds N] [--tiny] ...`."""

import argparse
import math
import os
import signal
import sys
import time
from pathlib import Path
from types import ModuleType

from rich.console import Console

from lab.bench import backups, burst, calls, charts, crash, document, growth, lists, one_run, outage
from lab.bench.cluster import calls as cluster_calls
from lab.bench.cluster import growth as cluster_growth
from lab.bench.cluster import load as cluster_load
from lab.bench.plan import Plan
from lab.bench.results import FOLDER, Machine, Result

BENCHMARKS: dict[str, tuple[ModuleType, float]] = {
    "calls": (calls, 600),
    "burst": (burst, 390),
    "crash": (crash, 230),
    "outage": (outage, 210),
    "backups": (backups, 60),
    "growth": (growth, 150),
    "run": (one_run, 120),
    "lists": (lists, 900),
}
"""Each with the seconds that its rounds may take at most; all together take about half an hour. Calls have all their
rounds in less: with fewer, a percentile would have too few of them. Most of the time of lists is that of making 10,000
jobs and runs."""

ON_A_CLUSTER: dict[str, tuple[ModuleType, float]] = {
    "cluster-calls": (cluster_calls, 600),
    "cluster-load": (cluster_load, 300),
    "cluster-growth": (cluster_growth, math.inf),
}
"""The same, of those that `--cluster` runs."""


def main() -> int:
    """Run benchmarks one after the other; each leaves its result as soon as it has it."""
    parser = argparse.ArgumentParser(prog="python -m lab.bench", description=__doc__)
    parser.add_argument("names", nargs="*", choices=[*BENCHMARKS, *ON_A_CLUSTER, []], help="which; default: all")
    parser.add_argument("--cluster", action="store_true", help="all those on a cluster")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--most-jobs", type=int, default=1_000, help="the most in growth and outage")
    parser.add_argument("--most-listed", type=int, default=10_000, help="the most jobs, and runs of one, in lists")
    parser.add_argument("--all-rounds", action="store_true", help="however long they take")
    parser.add_argument("--tiny", action="store_true", help="only try whether the benchmarks work")
    parser.add_argument("--results", type=Path, default=FOLDER, help="where figures and charts go")
    given = parser.parse_args()
    if given.tiny and given.results == FOLDER:
        parser.error("--tiny measures nothing that is worth keeping: give --results another folder")
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # an interrupt ends all that was started
    console = Console(highlight=False, emoji=False, width=None if sys.stdout.isatty() else 160)
    for name in given.names or (ON_A_CLUSTER if given.cluster else BENCHMARKS):
        benchmark, seconds = {**BENCHMARKS, **ON_A_CLUSTER}[name]
        plan = Plan(
            rounds=given.rounds,
            longest=math.inf if given.all_rounds else seconds,
            tiny=given.tiny,
            most_jobs=given.most_jobs,
            most_listed=given.most_listed,
        )
        machine, began = Machine.here(), time.monotonic()
        measured = benchmark.measure(plan)
        tables = benchmark.tables(measured)
        Result(machine=machine, tables=tables, measured=measured.model_dump()).write(name, given.results)
        for chart, drawn in benchmark.draw(measured).items():
            charts.write(drawn, given.results / f"{chart}.svg")
        for table in tables:
            table.print(console)
        console.print(f"{name}: {time.monotonic() - began:.0f} s\n", style="dim")
    if given.results == FOLDER:
        document.document()
    return 0


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    os._exit(code)  # a client of Temporal can crash while the interpreter shuts down
