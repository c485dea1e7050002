"""RPC calls: ours, the same Schedule calls straight through the SDK, a nameko method that does nothing, the peer."""

import asyncio
import tempfile
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from bench import charts, figures, ours
from bench.callers import OPERATIONS, RpcCallers, Timing, carry_out_bare, rpc_callers
from bench.figures import Spread
from bench.plan import Plan, rotated
from bench.processes import child, cpu_seconds, used_since
from bench.results import Table

CALLERS = {1: 15, 10: 40, 50: 100}
"""How many jobs are made, and each asked for, changed and removed, with so many callers at once."""

_OURS, _SDK, _PEER, _EMPTY = "ours", "bare SDK", "peer", "empty method"
_PACED = "SDK after an empty call"
"""Only at one caller: a server that is asked again at once is faster than one that was left alone for a moment, and
calls by RPC leave it alone for as long as an empty call takes."""
_WAITING = "empty call that waits as long"
"""The same for the processes on the way: those that have slept for some milliseconds take longer to wake."""

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

    def of(self, system: str, operation: str, callers: int) -> list[Cell]:
        """Return the rounds of one cell of the table."""
        return [
            cell for cell in self.cells if (cell.system, cell.operation, cell.callers) == (system, operation, callers)
        ]

    def rounds(self, system: str, operation: str, callers: int, value: Callable[[Cell], float]) -> dict[int, float]:
        """Return a figure of each round."""
        return figures.by_round(self.of(system, operation, callers), lambda cell: cell.round, value)


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
            child("bench.empty_service", environ=broker) as empty,
            child("bench.peer", database, _PEER, environ=broker) as the_peer,
            rpc_callers(stack.amqp_uri, max(sizes)) as callers,
        ):
            client = runner.run(ours.connected(stack))

            def bare(operation: str, ids: list[str], at_once: int) -> Timing:
                return runner.run(carry_out_bare(client, operation, ids, at_once))

            def paced(operation: str, ids: list[str], at_once: int) -> Timing:
                def pause(scheduler_id: str) -> None:
                    callers.call("empty", "nothing", scheduler_id)

                return runner.run(carry_out_bare(client, operation, ids, at_once, pause))

            systems: list[tuple[str, Carry, tuple[str, ...]]] = [
                (_OURS, _by_rpc(callers, "scheduler"), OPERATIONS),
                (_SDK, bare, OPERATIONS),
                (_PACED, paced, OPERATIONS),
                (_PEER, _by_rpc(callers, _PEER), OPERATIONS),
                (_EMPTY, _by_rpc(callers, "empty"), ("nothing",)),
            ]
            pids = {**stack.pids, "empty service": empty.pid, "peer": the_peer.pid}

            def waiting(seconds: float) -> Carry:
                return lambda _, ids, at_once: callers.carry_out("empty", "nothing", ids, at_once, seconds)

            return _measure(plan, sizes, systems, waiting, pids)


def _by_rpc(callers: RpcCallers, service: str) -> Carry:
    return lambda operation, ids, at_once: callers.carry_out(service, operation, ids, at_once)


def _measure(
    plan: Plan,
    sizes: dict[int, int],
    systems: list[tuple[str, Carry, tuple[str, ...]]],
    waiting: Callable[[float], Carry],
    pids: dict[str, int],
) -> Measured:
    measured = Measured()

    def take(system: str, operation: str, at_once: int, number: int, ids: list[str], carry: Carry) -> Cell:
        before = cpu_seconds(pids)
        timing = carry(operation, ids, at_once)
        used = used_since(before, pids)
        cell = Cell(
            system=system,
            operation=operation,
            callers=at_once,
            round=number,
            per_second=round(timing.per_second, 1),
            p50=round(timing.milliseconds(0.5), 2),
            p95=round(timing.milliseconds(0.95), 2),
            p99=round(timing.milliseconds(0.99), 2),
            cpu_ms={name: round(seconds * 1000 / len(ids), 2) for name, seconds in used.items()},
        )
        measured.cells.append(cell)
        return cell

    for _, carry, operations in systems:  # the first calls of a process are slow
        for operation in operations:
            carry(operation, ["warm-up"], 1)
    for number in plan.each_round():
        for at_once, count in sizes.items():
            for system, carry, operations in rotated(systems, number):
                if system == _PACED and at_once > 1:
                    continue
                ids = [f"{system[:3]}-{uuid.uuid4().hex}" for _ in range(count)]
                for operation in operations:
                    cell = take(system, operation, at_once, number, ids, carry)
                    if system == _PACED:
                        seconds = cell.p50 / 1000 / _calls_of(operation)
                        take(_WAITING, operation, at_once, number, ids, waiting(seconds))
    return measured


def _calls_of(operation: str) -> int:
    return 2 if operation == "pause+resume" else 1


def tables(measured: Measured) -> list[Table]:
    """Throughput and latency for each number of callers, and what RPC adds to one call."""
    sizes = sorted({cell.callers for cell in measured.cells})
    return [*(_throughput(measured, callers) for callers in sizes), _added(measured, sizes[0]), _cpu(measured, sizes)]


def _throughput(measured: Measured, callers: int) -> Table:
    rows = []
    for operation in OPERATIONS:
        rates = {
            system: measured.rounds(system, operation, callers, lambda cell: cell.per_second)
            for system in (_OURS, _SDK, _PEER)
        }
        against_sdk, against_peer = (figures.ratio(rates[_OURS], rates[other]) for other in (_SDK, _PEER))
        latency = [
            f"{Spread.of([getattr(cell, share) for cell in measured.of(_OURS, operation, callers)]).median:.0f}"
            for share in ("p50", "p95", "p99")
        ]
        rows.append(
            [
                operation,
                *(Spread.of(rates[system].values()).text(0) for system in (_OURS, _SDK)),
                against_sdk.text(2) if against_sdk else "",
                Spread.of(rates[_PEER].values()).text(0),
                against_peer.text(2) if against_peer else "",
                " / ".join(latency),
            ]
        )
    nothing = measured.rounds(_EMPTY, "nothing", callers, lambda cell: cell.per_second)
    rows.append(["empty method", Spread.of(nothing.values()).text(0), "", "", "", "", ""])
    who = "1 caller" if callers == 1 else f"{callers} callers"
    return Table(
        name=f"calls-{callers}",
        title=f"Operations per second, {who}",
        columns=["", "ours", "bare SDK", "ours / SDK", "peer", "ours / peer", "ours p50 / p95 / p99 (ms)"],
        rows=rows,
    )


def _added(measured: Measured, callers: int) -> Table:
    def p50(cell: Cell) -> float:
        return cell.p50

    empty = measured.rounds(_EMPTY, "nothing", callers, p50)
    rows = []
    for operation in OPERATIONS:
        calls = _calls_of(operation)
        mine = measured.rounds(_OURS, operation, callers, p50)
        bare = measured.rounds(_PACED, operation, callers, p50)
        waiting = measured.rounds(_WAITING, operation, callers, p50)
        added = {number: (mine[number] - bare[number]) / calls for number in mine.keys() & bare.keys()}
        asleep = {number: waiting[number] - bare[number] / calls for number in waiting.keys() & bare.keys()}
        cells = [Spread.of(value.values()).text(1) for value in (mine, bare, added, empty, asleep)]
        against = [figures.ratio(added, other) for other in (empty, asleep)]
        rows.append([operation, *cells, *(each.text(2) if each else "" for each in against)])
    return Table(
        name="calls-added",
        title="What RPC adds to one call (p50 in ms, one caller)",
        columns=[
            "",
            "ours",
            _PACED,
            "added per call",
            "empty nameko call",
            f"{_WAITING}: added",
            "added / empty",
            "added / empty that waits",
        ],
        rows=rows,
    )


def _cpu(measured: Measured, sizes: list[int]) -> Table:
    callers = sizes[min(1, len(sizes) - 1)]
    shown = ("temporal", "rpc", "rabbitmq")
    rows = []
    for system in (_OURS, _SDK):
        for operation in OPERATIONS:
            cells = measured.of(system, operation, callers)
            used = [Spread.of([cell.cpu_ms.get(name, 0) for cell in cells]).median for name in shown]
            rows.append([f"{operation}, {system}", *(f"{value:.1f}" for value in used)])
    return Table(
        name="calls-cpu",
        title=f"CPU time per operation in ms, {callers} callers",
        columns=["", "Temporal", "RPC service", "RabbitMQ"],
        rows=rows,
    )


def draw(measured: Measured) -> dict[str, Any]:
    """Draw throughput at the middle number of callers."""
    sizes = sorted({cell.callers for cell in measured.cells})
    callers = sizes[min(1, len(sizes) - 1)]
    series: dict[str, list[float | None]] = {
        system: [
            Spread.of(measured.rounds(system, operation, callers, lambda cell: cell.per_second).values()).median
            for operation in OPERATIONS
        ]
        for system in (_OURS, _SDK, _PEER)
    }
    return {"calls": charts.bars(f"Operations per second, {callers} callers", "per second", list(OPERATIONS), series)}
