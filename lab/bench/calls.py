"""RPC calls: ours, the same requests straight through the SDK, a nameko method that does nothing, the peer."""

import asyncio
import os
import tempfile
import uuid
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from itertools import count, cycle
from math import ceil
from pathlib import Path
from typing import Any

from lab.bench import bare, calls_tables, figures, jobs, one_call, ours
from lab.bench.callers import OPERATIONS, rpc_callers
from lab.bench.calls_tables import (
    AT_LEAST,
    EMPTY,
    HERE,
    OURS,
    OURS_APART,
    PEER,
    SDK,
    SDK_APART,
    Cell,
    Latencies,
    Measured,
)
from lab.bench.due_at_once import THREADS
from lab.bench.plan import Plan
from lab.bench.processes import apart, child, cpu_seconds, family, used_since
from lab.bench.results import Table
from lab.bench.supply import Least, Supply, Timing
from lab.bench.turns import System, always, in_turns

AT_ONCE = 10
"""Callers."""
OPERATIONS_APART = ("add", "get")
"""A change and a read stand for the others where Temporal has a core for itself, as on a machine of its own."""
_ONE_CALL = "one call at a time"

Carry = Callable[[str, Supply, int], Timing]
"""Carries an operation out, as long as there is supply, for so many callers."""


@dataclass(frozen=True)
class _Subject:
    """A system that is called."""

    name: str
    operations: tuple[str, ...]
    connect: Callable[[], AbstractContextManager[Carry]]
    prepare: Callable[[list[str]], object]
    """Makes jobs, without being measured."""
    surroundings: Callable[[], AbstractContextManager[None]] = nullcontext


def measure(plan: Plan) -> Measured:
    """Measure all systems on one server and one broker in turns; who has no part in a turn is frozen."""
    with (
        tempfile.TemporaryDirectory(prefix="bench-calls-") as folder,
        asyncio.Runner() as runner,
        ours.ours(Path(folder) / "state") as stack,
    ):
        broker = {"AMQP_URI": stack.amqp_uri, "PEER_BACKUP_URL": ""}
        database = str(Path(folder) / "peer.db")
        with (
            child("lab.bench.empty_service", environ=broker) as empty,
            child("lab.bench.peer", database, PEER, str(min(THREADS)), environ=broker) as the_peer,
        ):
            client = runner.run(ours.connected(stack))

            @contextmanager
            def by_sdk() -> Iterator[Carry]:
                yield lambda operation, supply, at_once: runner.run(bare.carry_out(client, operation, supply, at_once))

            def by_rpc(service: str) -> Callable[[], AbstractContextManager[Carry]]:
                @contextmanager
                def connect() -> Iterator[Carry]:  # anew in each turn: a broker ends connections that are silent
                    with rpc_callers(stack.amqp_uri, AT_ONCE) as callers:
                        yield lambda operation, supply, at_once: callers.carry_out(service, operation, supply, at_once)

                return connect

            def make_ours(ids: list[str]) -> None:
                runner.run(jobs.create_all(client, [jobs.alignment(each) for each in ids]))

            def make_peers(ids: list[str]) -> None:
                with by_rpc(PEER)() as carry:
                    carry("add", Supply(ids), AT_ONCE)

            def temporal_apart() -> AbstractContextManager[None]:
                return apart(stack.pids["temporal"])

            services = ours.processes(stack)
            to_temporal = services - family(stack.pids["rpc"])
            by_ours = by_rpc("scheduler")
            subjects: list[tuple[_Subject, set[int]]] = [
                (_Subject(OURS, OPERATIONS, by_ours, make_ours), services),
                (_Subject(SDK, (*OPERATIONS[:2], bare.CONVERTED, *OPERATIONS[2:]), by_sdk, make_ours), to_temporal),
                (_Subject(PEER, OPERATIONS, by_rpc(PEER), make_peers), {the_peer.pid}),
                (_Subject(EMPTY, ("nothing",), by_rpc("empty"), lambda _: None), {empty.pid}),
                (_Subject(OURS_APART, OPERATIONS_APART, by_ours, make_ours, temporal_apart), services),
                (_Subject(SDK_APART, OPERATIONS_APART, by_sdk, make_ours, temporal_apart), to_temporal),
            ]
            pids = {**stack.pids, "empty service": empty.pid, "peer": the_peer.pid, HERE: os.getpid()}
            cells = _Cells(_least(plan), pids)
            systems: list[System[Cell | one_call.Median]] = [
                System(subject.name, cells.of(subject), processes=always(of)) for subject, of in subjects
            ]

            def single_calls(number: int) -> Iterator[one_call.Median]:
                with rpc_callers(stack.amqp_uri, 1) as callers:
                    yield from one_call.measure(plan, number, callers, client, runner)

            systems.append(System(_ONE_CALL, single_calls, processes=always(services | {empty.pid})))
            found = list(in_turns(plan, systems))
            return Measured(
                cores=len(os.sched_getaffinity(0)),
                callers=AT_ONCE,
                cells=[each for each in found if isinstance(each, Cell)],
                latencies=cells.latencies(OURS),
                singles=[each for each in found if isinstance(each, one_call.Median)],
            )


def _least(plan: Plan) -> Least:
    """Return what a round has to measure of a cell."""
    return Least(0.2, 6) if plan.tiny else Least(AT_LEAST.seconds, ceil(AT_LEAST.operations / plan.rounds))


class _Cells:
    """Measures cells, and keeps their latencies until all rounds are over."""

    def __init__(self, least: Least, pids: dict[str, int]) -> None:
        self._least = least
        self._pids = pids
        self._taken: dict[tuple[str, str], list[float]] = {}

    def of(self, subject: _Subject) -> Callable[[int], Iterator[Cell]]:
        """Return what measures a system in a round."""

        def measure(number: int) -> Iterator[Cell]:
            with subject.connect() as carry, subject.surroundings():
                self._warm_up(subject, carry)
                ids: list[str] = []
                for operation in subject.operations:
                    yield self._cell(subject, carry, operation, ids, number)
                if ids:  # as many jobs are there for the next system
                    carry("remove", Supply(ids), AT_ONCE)

        return measure

    def _warm_up(self, subject: _Subject, carry: Carry) -> None:
        """Carry each operation out once: the first calls of a connection, or after a pause, are slow."""
        warm_up = _new_id()
        for operation in subject.operations:
            carry(operation, Supply([warm_up]), 1)

    def _cell(self, subject: _Subject, carry: Carry, operation: str, ids: list[str], number: int) -> Cell:
        timing, used = Timing(), dict.fromkeys(self._pids, 0.0)
        while not self._least.is_reached(timing.seconds, timing.operations):
            rest = self._least.after(timing)
            if not ids and operation == "remove":  # faster than what made them
                ids += [_new_id() for _ in range(_needed(timing, rest))]
                subject.prepare(ids)
            supply = Supply(_source(operation, ids), rest)
            before = cpu_seconds(self._pids)
            timing += carry(operation, supply, AT_ONCE)
            for name, seconds in used_since(before, self._pids).items():
                used[name] += seconds
            if operation == "add":
                ids += supply.taken
            if operation == "remove":
                del ids[: len(supply.taken)]
        self._taken.setdefault((subject.name, operation), []).extend(timing.latencies)
        return Cell(
            system=subject.name,
            operation=operation,
            round=number,
            seconds=round(timing.seconds, 3),
            operations=timing.operations,
            cpu_ms={name: round(seconds * 1000 / timing.operations, 3) for name, seconds in used.items()},
        )

    def latencies(self, system: str) -> list[Latencies]:
        """Return the percentiles of each operation, of all rounds together."""
        return [
            Latencies(
                operation=operation,
                samples=len(taken),
                **{f"p{share}": _milliseconds(taken, share / 100) for share in (50, 95, 99)},
            )
            for (name, operation), taken in self._taken.items()
            if name == system
        ]


def _source(operation: str, ids: list[str]) -> Iterable[str]:
    """Return the jobs of an operation: new ones, those that are left, or the same ones again and again."""
    if operation in ("add", "nothing"):
        return (_new_id() for _ in count())
    return list(ids) if operation == "remove" else cycle(list(ids))


def _needed(timing: Timing, rest: Least) -> int:
    """Estimate how many operations are still needed, by the pace up to now, and a tenth more."""
    pace = timing.operations / timing.seconds if timing.seconds else 0.0
    return AT_ONCE + ceil(1.1 * max(rest.operations, rest.seconds * pace))


def _new_id() -> str:
    return f"call-{uuid.uuid4().hex}"


def _milliseconds(taken: Collection[float], share: float) -> float | None:
    seconds = figures.percentile_or_none(list(taken), share)
    return None if seconds is None else round(seconds * 1000, 2)


def tables(measured: Measured) -> list[Table]:
    """Throughput and latency, the time that RPC adds to one call, and CPU time."""
    return calls_tables.tables(measured)


def draw(measured: Measured) -> dict[str, Any]:
    """Draw throughput."""
    return calls_tables.draw(measured)
