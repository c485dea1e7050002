"""RPC calls: ours, the same Schedule calls straight through the SDK, a nameko method that does nothing, the peer."""

import asyncio
import os
import tempfile
import uuid
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from lab.bench import charts, figures, one_call, ours
from lab.bench.callers import OPERATIONS, Timing, carry_out_bare, rpc_callers
from lab.bench.figures import Spread
from lab.bench.plan import Plan, rotated
from lab.bench.processes import apart, child, cpu_seconds, used_since
from lab.bench.results import Table

CALLERS = {1: 15, 10: 100, 50: 100}
"""Number of jobs for each number of callers at once; each job is made, read, changed and removed."""

_GETS = 4
"""Gets of each job; a get is much faster than a change."""

_OURS, _SDK, _PEER, _EMPTY = "ours", "bare SDK", "peer", "empty method"
_OURS_APART, _SDK_APART = "ours, Temporal apart", "bare SDK, Temporal apart"
"""Measured only at the middle number of callers: Temporal has a core for itself, as on a machine of its own."""

_HERE = "callers"
"""This process: its threads call by RPC, and its asyncio loop calls through the SDK."""
_GOAL = 0.95
"""Share of the bare SDK's throughput that a service should reach."""

Carry = Callable[[str, list[str], int], Timing]


class Cell(BaseModel):
    """One operation of one system in one round."""

    system: str
    operation: str
    callers: int
    round: int
    per_second: float
    p50: float
    p95: float
    p99: float
    """Milliseconds."""
    cpu_ms: dict[str, float]
    """CPU time per operation of each process, in milliseconds."""


class Measured(BaseModel):
    """All rounds."""

    cells: list[Cell] = []
    singles: list[one_call.Median] = []

    def of(self, system: str, operation: str, callers: int) -> list[Cell]:
        """Return the rounds of one cell of the table."""
        return [
            cell for cell in self.cells if (cell.system, cell.operation, cell.callers) == (system, operation, callers)
        ]

    def rounds(self, system: str, operation: str, callers: int, value: Callable[[Cell], float]) -> dict[int, float]:
        """Return a figure of each round."""
        return figures.by_round(self.of(system, operation, callers), lambda cell: cell.round, value)

    def sizes(self) -> list[int]:
        """Return the numbers of callers."""
        return sorted({cell.callers for cell in self.cells})


@dataclass(frozen=True)
class _System:
    name: str
    carry: Carry
    operations: tuple[str, ...] = OPERATIONS
    apart: bool = False


def measure(plan: Plan) -> Measured:
    """Run all systems on one server and one broker, in turns."""
    with (
        tempfile.TemporaryDirectory(prefix="bench-calls-") as folder,
        asyncio.Runner() as runner,
        ours.ours(Path(folder) / "state") as stack,
    ):
        broker = {"AMQP_URI": stack.amqp_uri, "PEER_BACKUP_URL": ""}
        database = str(Path(folder) / "peer.db")
        sizes = {1: 2, 3: 6} if plan.tiny else CALLERS
        with (
            child("lab.bench.empty_service", environ=broker) as empty,
            child("lab.bench.peer", database, _PEER, environ=broker) as the_peer,
            rpc_callers(stack.amqp_uri, max(sizes)) as callers,
        ):
            client = runner.run(ours.connected(stack))

            def bare(operation: str, ids: list[str], at_once: int) -> Timing:
                return runner.run(carry_out_bare(client, operation, ids, at_once))

            def by_rpc(service: str) -> Carry:
                return lambda operation, ids, at_once: callers.carry_out(service, operation, ids, at_once)

            systems = [
                _System(_OURS, by_rpc("scheduler")),
                _System(_SDK, bare),
                _System(_PEER, by_rpc(_PEER)),
                _System(_EMPTY, by_rpc("empty"), ("nothing",)),
                _System(_OURS_APART, by_rpc("scheduler"), apart=True),
                _System(_SDK_APART, bare, apart=True),
            ]
            pids = {**stack.pids, "empty service": empty.pid, "peer": the_peer.pid, _HERE: os.getpid()}
            for system in systems:  # the first calls of a process are slow
                for operation in system.operations:
                    system.carry(operation, ["warm-up"], 1)
            measured = Measured()
            for number in plan.each_round():
                for at_once, count in sizes.items():
                    for system in rotated(systems, number):
                        if not system.apart:
                            measured.cells += _cells(system, at_once, count, number, pids)
                        elif at_once == _middle(sizes):
                            with apart(stack.pids["temporal"]):
                                measured.cells += _cells(system, at_once, count, number, pids)
                measured.singles += one_call.measure(plan, number, callers, client, runner)
            return measured


def _cells(system: _System, at_once: int, count: int, number: int, pids: dict[str, int]) -> Iterator[Cell]:
    ids = [f"{system.name[:3]}-{uuid.uuid4().hex}" for _ in range(count)]
    for operation in system.operations:
        jobs = ids * _GETS if operation == "get" else ids
        before = cpu_seconds(pids)
        timing = system.carry(operation, jobs, at_once)
        used = used_since(before, pids)
        yield Cell(
            system=system.name,
            operation=operation,
            callers=at_once,
            round=number,
            per_second=round(timing.per_second, 1),
            p50=round(timing.milliseconds(0.5), 2),
            p95=round(timing.milliseconds(0.95), 2),
            p99=round(timing.milliseconds(0.99), 2),
            cpu_ms={name: round(seconds * 1000 / len(jobs), 2) for name, seconds in used.items()},
        )


def _middle(sizes: Collection[int]) -> int:
    return sorted(sizes)[min(1, len(sizes) - 1)]


def tables(measured: Measured) -> list[Table]:
    """Throughput and latency for each number of callers, and the time that RPC adds to one call."""
    sizes = measured.sizes()
    return [
        *(_throughput(measured, callers) for callers in sizes),
        _apart(measured, _middle(sizes)),
        one_call.added(measured.singles),
        _cpu(measured, _middle(sizes)),
    ]


def _throughput(measured: Measured, callers: int) -> Table:
    rows = []
    nothing = measured.rounds(_EMPTY, "nothing", callers, lambda cell: cell.per_second)
    for operation in OPERATIONS:
        mine, sdk, peer = (
            measured.rounds(system, operation, callers, lambda cell: cell.per_second) for system in (_OURS, _SDK, _PEER)
        )
        against = [figures.ratio(mine, other) for other in (sdk, _with_empty_calls(sdk, nothing, operation), peer)]
        to_sdk, to_both, to_peer = (each.text(2) if each else "" for each in against)
        rates = [Spread.of(each.values()).text(0) for each in (mine, sdk, peer)]
        latency = [
            f"{Spread.of([getattr(cell, share) for cell in measured.of(_OURS, operation, callers)]).median:.0f}"
            for share in ("p50", "p95", "p99")
        ]
        rows.append([operation, *rates[:2], to_sdk, to_both, rates[2], to_peer, " / ".join(latency)])
    rows.append(["empty method", Spread.of(nothing.values()).text(0), "", "", "", "", "", ""])
    who = "1 caller" if callers == 1 else f"{callers} callers"
    return Table(
        name=f"calls-{callers}",
        title=f"Operations per second, {who}",
        columns=[
            "",
            "ours",
            "bare SDK",
            "ours / SDK",
            "ours / (SDK + empty)",
            "peer",
            "ours / peer",
            "ours p50 / p95 / p99 (ms)",
        ],
        rows=rows,
    )


def _with_empty_calls(sdk: dict[int, float], nothing: dict[int, float], operation: str) -> dict[int, float]:
    """Return the SDK's rates less the cost of as many calls of an empty method."""
    calls = len(operation.split("+"))
    return {number: 1 / (1 / sdk[number] + calls / nothing[number]) for number in sdk.keys() & nothing.keys()}


def _apart(measured: Measured, callers: int) -> Table:
    rows = []
    for operation in OPERATIONS:
        rates = [
            measured.rounds(system, operation, callers, lambda cell: cell.per_second)
            for system in (_OURS_APART, _SDK_APART)
        ]
        against = figures.ratio(*rates)
        rows.append(
            [
                operation,
                *(Spread.of(rate.values()).text(0) for rate in rates),
                against.text(2) if against else "",
            ]
        )
    return Table(
        name="calls-apart",
        title=f"Operations per second, {callers} callers, Temporal on a core of its own",
        columns=["", "ours", "bare SDK", "ours / SDK"],
        rows=rows,
    )


def _cpu(measured: Measured, callers: int) -> Table:
    def used(system: str, operation: str, *parts: str) -> list[float]:
        cells = measured.of(system, operation, callers)
        return [Spread.of([cell.cpu_ms[part] for cell in cells]).median for part in parts]

    rows = []
    for operation in OPERATIONS:
        around = used(_OURS, operation, "temporal", "rabbitmq", _HERE)
        [service] = used(_OURS, operation, "rpc")
        bare = used(_SDK, operation, "temporal", _HERE)
        shown = [*around, service, sum(around) + service, *bare, sum(bare), sum(bare) / _GOAL - sum(around)]
        rows.append([operation, *(f"{value:.1f}" for value in shown)])
    return Table(
        name="calls-cpu",
        title=f"CPU time per operation in ms, {callers} callers",
        columns=[
            "",
            "ours: Temporal",
            "RabbitMQ",
            "callers",
            "RPC service",
            "all",
            "bare SDK: Temporal",
            "SDK",
            "all",
            f"left for a service at {_GOAL}",
        ],
        rows=rows,
    )


def draw(measured: Measured) -> dict[str, Any]:
    """Draw throughput at the middle number of callers."""
    callers = _middle(measured.sizes())
    series: dict[str, list[float | None]] = {
        system: [
            Spread.of(measured.rounds(system, operation, callers, lambda cell: cell.per_second).values()).median
            for operation in OPERATIONS
        ]
        for system in (_OURS, _SDK, _PEER)
    }
    return {"calls": charts.bars(f"Operations per second, {callers} callers", "per second", list(OPERATIONS), series)}
