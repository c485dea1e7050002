"""RPC calls on a cluster: ours, and the same requests straight through the SDK, with 1, 10 and 50 callers."""

import asyncio
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from devstack.running import StackInfo
from lab.bench import bare, figures, jobs, ours
from lab.bench.callers import OPERATIONS, rpc_callers
from lab.bench.calls_tables import HERE, OURS, SDK, Cell, Latencies
from lab.bench.cells import Carry, Cells, Subject
from lab.bench.cluster import parts
from lab.bench.figures import NOT_SHOWN, Spread, spread_text
from lab.bench.plan import Plan
from lab.bench.results import Table
from lab.bench.supply import Least
from lab.bench.turns import System, in_turns, no_processes

CALLERS = (1, 10, 50)
_SECONDS = 5.0
"""Of each cell in each round, at least."""
_OF_SDK = ("add", "get", "pause+resume", bare.ONE_DESCRIBE, "modify", "remove")


class OfCallers(BaseModel):
    """All rounds with so many callers, in the order in which they were measured."""

    callers: int
    cells: list[Cell]
    latencies: list[Latencies]
    """Of ours."""

    def rates(self, system: str, operation: str) -> dict[int, float]:
        """Return the operations per second of each round."""
        return figures.by_round(self._of(system, operation), lambda cell: cell.round, lambda cell: cell.per_second)

    def cpu_ms(self, system: str, operation: str, part: str) -> float:
        """Return the CPU time of a part for an operation, the median of all rounds."""
        return Spread.of(cell.cpu_ms[part] for cell in self._of(system, operation)).median

    def _of(self, system: str, operation: str) -> list[Cell]:
        return [cell for cell in self.cells if (cell.system, cell.operation) == (system, operation)]


class Measured(BaseModel):
    """Each number of callers."""

    by_callers: list[OfCallers]


def measure(plan: Plan) -> Measured:
    """Measure ours and the SDK in turns, on one cluster with two RPC processes and two workers."""
    with (
        tempfile.TemporaryDirectory(prefix="bench-cluster-") as folder,
        asyncio.Runner() as runner,
        ours.ours(Path(folder), program="lab.cluster") as stack,
    ):
        least = Least(0.2, 3) if plan.tiny else Least(_SECONDS, 10)
        return Measured(by_callers=[_with(plan, runner, stack, least, callers) for callers in CALLERS])


def _with(plan: Plan, runner: asyncio.Runner, stack: StackInfo, least: Least, at_once: int) -> OfCallers:
    client = runner.run(ours.connected(stack))

    @contextmanager
    def by_sdk() -> Iterator[Carry]:
        yield lambda operation, supply, number: runner.run(bare.carry_out(client, operation, supply, number))

    @contextmanager
    def by_rpc() -> Iterator[Carry]:
        with rpc_callers(stack.amqp_uri, at_once) as callers:
            yield lambda operation, supply, number: callers.carry_out("scheduler", operation, supply, number)

    def make(ids: list[str]) -> None:
        runner.run(jobs.create_all(client, [jobs.alignment(each) for each in ids]))

    cells = Cells(least, partial(_cpu_seconds, stack), at_once)
    subjects = [Subject(OURS, OPERATIONS, by_rpc, make), Subject(SDK, _OF_SDK, by_sdk, make)]
    systems = [System(each.name, cells.of(each), no_processes) for each in subjects]
    return OfCallers(callers=at_once, cells=list(in_turns(plan, systems)), latencies=cells.latencies(OURS))


def _cpu_seconds(stack: StackInfo) -> dict[str, float]:
    own = os.times()
    return {**parts.cpu_seconds(stack.pids), HERE: own.user + own.system}


def tables(measured: Measured) -> list[Table]:
    """Throughput and latencies, and the CPU time of each part."""
    return [
        Table(
            name="cluster-calls",
            title="Operations per second on a cluster",
            columns=[
                "callers, operation",
                "ours",
                "bare SDK, same requests",
                "ours / SDK",
                "SDK, change and one describe",
                "ours / that",
                "ours p50 / p95 / p99 (ms)",
            ],
            rows=[_rates(each, operation) for each, operation in product(measured.by_callers, OPERATIONS)],
        ),
        Table(
            name="cluster-calls-cpu",
            title="CPU time per operation in ms, 10 callers",
            columns=["", *(f"ours: {part}" for part in (*parts.PARTS, HERE)), "ours: all", "SDK: all"],
            rows=[
                _cpu(each, operation) for each in measured.by_callers if each.callers == 10 for operation in OPERATIONS
            ],
        ),
    ]


def _rates(of: OfCallers, operation: str) -> list[str]:
    mine, same = of.rates(OURS, operation), of.rates(SDK, operation)
    # Add is create and describe, so it has no look that the SDK would leave out; nor has a modify, whose update needs
    # the token of a describe.
    one = of.rates(SDK, bare.ONE_DESCRIBE) if operation == "pause+resume" else same if operation == "add" else {}
    latencies = {each.operation: each.text() for each in of.latencies}
    return [
        f"{of.callers}, {operation}",
        *(spread_text(each.values(), 0) for each in (mine, same)),
        spread_text(figures.ratios(mine, same).values(), 2),
        *((spread_text(one.values(), 0), spread_text(figures.ratios(mine, one).values(), 2)) if one else ("", "")),
        latencies.get(operation, NOT_SHOWN),
    ]


def _cpu(of: OfCallers, operation: str) -> list[str]:
    everywhere = [*parts.PARTS, HERE]
    mine = [of.cpu_ms(OURS, operation, part) for part in everywhere]
    return [
        operation,
        *(f"{each:.1f}" for each in [*mine, sum(mine), sum(of.cpu_ms(SDK, operation, part) for part in everywhere)]),
    ]


def draw(_: Measured) -> dict[str, Any]:
    """Draw nothing."""
    return {}
