"""RPC calls: ours, the same requests straight through the SDK, a nameko method that does nothing, the peer."""

import asyncio
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from math import ceil
from pathlib import Path
from typing import Any

from lab.bench import bare, calls_tables, jobs, one_call, ours
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
    Measured,
)
from lab.bench.cells import Carry, Cells, Subject
from lab.bench.due_at_once import THREADS
from lab.bench.plan import Plan
from lab.bench.processes import apart, child, cpu_seconds, family
from lab.bench.results import Table
from lab.bench.supply import Least, Supply
from lab.bench.turns import System, always, in_turns

AT_ONCE = 10
"""Callers."""
OPERATIONS_APART = ("add", "get")
"""A change and a read stand for the others where Temporal has a core for itself, as on a machine of its own."""
_ONE_CALL = "one call at a time"


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
            subjects: list[tuple[Subject, set[int]]] = [
                (Subject(OURS, OPERATIONS, by_ours, make_ours), services),
                (Subject(SDK, (*OPERATIONS[:2], bare.CONVERTED, *OPERATIONS[2:]), by_sdk, make_ours), to_temporal),
                (Subject(PEER, OPERATIONS, by_rpc(PEER), make_peers), {the_peer.pid}),
                (Subject(EMPTY, ("nothing",), by_rpc("empty"), lambda _: None), {empty.pid}),
                (Subject(OURS_APART, OPERATIONS_APART, by_ours, make_ours, temporal_apart), services),
                (Subject(SDK_APART, OPERATIONS_APART, by_sdk, make_ours, temporal_apart), to_temporal),
            ]
            pids = {**stack.pids, "empty service": empty.pid, "peer": the_peer.pid, HERE: os.getpid()}
            cells = Cells(_least(plan), partial(cpu_seconds, pids), AT_ONCE)
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


def tables(measured: Measured) -> list[Table]:
    """Throughput and latency, the time that RPC adds to one call, and CPU time."""
    return calls_tables.tables(measured)


def draw(measured: Measured) -> dict[str, Any]:
    """Draw throughput."""
    return calls_tables.draw(measured)
