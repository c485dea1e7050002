"""Growth: memory, add, get and the list of all jobs, with 100 to 10,000 jobs."""

import asyncio
import tempfile
import uuid
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from lab.bench import charts, figures, jobs, ours
from lab.bench.callers import RpcCallers, rpc_callers
from lab.bench.due_at_once import THREADS
from lab.bench.figures import Spread, percentile, spread_text
from lab.bench.peer.scheduler import seed
from lab.bench.plan import Plan
from lab.bench.processes import child, memory_mib
from lab.bench.results import Table
from lab.bench.supply import Supply
from lab.bench.turns import System, always, in_turns
from lab.parts.waiting import eventually

LEVELS = (100, 1_000, 10_000)
FEW_JOBS = 100
"""Jobs of the installation that stays small: each level is compared with it, round by round."""
MANY, FEW = "many", "few"
_PARTS = ("rpc", "worker", "temporal")
_CALLS = 50
"""Calls of each kind that a latency is the median of."""
_LIST_PATIENCE = 300
_OURS, _PEER = "ours", "peer"


class Sample(BaseModel):
    """One round of an installation; latencies in milliseconds, the medians of a number of calls."""

    system: str
    installation: str
    """Many or few."""
    jobs: int
    """Jobs of the installation that grows."""
    round: int
    add: float
    get: float
    list_seconds: float | None
    """Of the installation that grows; measured only if the list had all jobs."""


class Size(BaseModel):
    """Memory, measured once for each number of jobs."""

    system: str
    jobs: int
    memory_mib: dict[str, float]


class Measured(BaseModel):
    """All levels, in the order in which they were measured."""

    samples: list[Sample] = []
    sizes: list[Size] = []

    def rounds(self, system: str, installation: str, level: int, field: str) -> dict[int, float]:
        """Return a figure of each round."""
        wanted = (system, installation, level)
        found = [each for each in self.samples if (each.system, each.installation, each.jobs) == wanted]
        return figures.by_round(found, lambda each: each.round, lambda each: getattr(each, field))

    def against_few(self, system: str, level: int, field: str) -> dict[int, float]:
        """Return a latency with many jobs divided by the one with few, by round."""
        return figures.ratios(self.rounds(system, MANY, level, field), self.rounds(system, FEW, level, field))

    def levels(self) -> list[int]:
        """Return the levels that were measured."""
        return sorted({size.jobs for size in self.sizes})


@dataclass(frozen=True)
class _Installation:
    system: str
    name: str
    """Many or few."""
    amqp_uri: str
    service: str
    processes: Callable[[], Collection[int]]

    def sample(self, level: int, number: int) -> Iterator[Sample]:
        """Measure it; leaves as many jobs as there were."""
        ids = [f"growth-{uuid.uuid4().hex}" for _ in range(_CALLS)]
        with rpc_callers(self.amqp_uri, 1, _LIST_PATIENCE) as callers:

            def median_of(operation: str, of: list[str]) -> float:
                return round(percentile(callers.carry_out(self.service, operation, Supply(of), 1).latencies, 0.5), 5)

            for operation in ("add", "get", "remove"):  # the first calls of a connection, or after a pause, are slow
                callers.call(self.service, operation, "warm-up")
            add, get, _ = (median_of(operation, ids) for operation in ("add", "get", "remove"))
            yield Sample(
                system=self.system,
                installation=self.name,
                jobs=level,
                round=number,
                add=add * 1000,
                get=get * 1000,
                list_seconds=list_all(callers, self.service, level) if self.name == MANY else None,
            )


def list_all(callers: RpcCallers, service: str, expected: int, patience: float = 60) -> float:
    """Return the seconds that a list of all jobs takes; only one that has them all counts.

    The index that it is made from lags, so it is asked for again; raises AssertionError after `patience` seconds.
    """

    def complete() -> float | None:
        seconds, listed = callers.get_jobs(service)
        return seconds if listed == expected else None

    return round(eventually(complete, patience), 3)


def measure(plan: Plan) -> Measured:
    """Let an installation grow beside one that stays small, ours and the peer's, in turns."""
    levels = plan.up_to_most_jobs((5, 10) if plan.tiny else LEVELS)
    few_jobs = plan.size(FEW_JOBS, 5)
    measured = Measured()
    with (
        tempfile.TemporaryDirectory(prefix="bench-growth-") as name,
        asyncio.Runner() as runner,
        ours.ours(Path(name) / "few") as few,
        ours.ours(Path(name) / "many") as many,
        _peer(Path(name), few.amqp_uri, "peer-few", few_jobs) as peer_few,
    ):
        alignments = [jobs.alignment(f"job-{number:05}") for number in range(max(levels))]
        runner.run(jobs.create_all(runner.run(ours.connected(few)), alignments[:few_jobs]))
        client, made = runner.run(ours.connected(many)), 0
        for level in levels:
            runner.run(jobs.create_all(client, alignments[made:level]))
            made = level
            with _peer(Path(name), few.amqp_uri, f"peer-{level}", level) as peer_many:
                installations = [
                    _Installation(_OURS, MANY, many.amqp_uri, "scheduler", lambda: ours.processes(many)),
                    _Installation(_OURS, FEW, few.amqp_uri, "scheduler", lambda: ours.processes(few)),
                    _Installation(_PEER, MANY, few.amqp_uri, f"peer-{level}", always({peer_many})),
                    _Installation(_PEER, FEW, few.amqp_uri, "peer-few", always({peer_few})),
                ]
                systems = [
                    System(f"{each.system}, {each.name}", partial(each.sample, level), each.processes)
                    for each in installations
                ]
                measured.samples += in_turns(plan, systems)
                for system, pids in ((_OURS, {name: many.pids[name] for name in _PARTS}), (_PEER, {"peer": peer_many})):
                    measured.sizes.append(Size(system=system, jobs=level, memory_mib=memory_mib(pids)))
    return measured


@contextmanager
def _peer(folder: Path, amqp_uri: str, name: str, count: int) -> Iterator[int]:
    database = folder / f"{name}.db"
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    seed(database, [jobs.arguments(f"job-{number:05}") for number in range(count)], tomorrow)
    environ = {"AMQP_URI": amqp_uri, "PEER_BACKUP_URL": ""}
    with child("lab.bench.peer", str(database), name, str(min(THREADS)), environ=environ) as process:
        yield process.pid


def tables(measured: Measured) -> list[Table]:
    """Latencies against those of a small installation, lists and memory."""
    latencies, sizes = [], []
    for level in measured.levels():
        cells = []
        for system in (_OURS, _PEER):
            for field in ("add", "get"):
                latency = Spread.of(measured.rounds(system, MANY, level, field).values()).median
                against = spread_text(measured.against_few(system, level, field).values(), 2)
                cells.append(f"{latency:.1f} · {against}")
        latencies.append([f"{level:,}", *cells])
        listed = [measured.rounds(system, MANY, level, "list_seconds").values() for system in (_OURS, _PEER)]
        memory = {name: mib for size in measured.sizes if size.jobs == level for name, mib in size.memory_mib.items()}
        mib = [f"{memory[name]:,.0f}" for name in (*_PARTS, "peer")]
        sizes.append([f"{level:,}", *(spread_text(seconds, 2) for seconds in listed), *mib])
    return [
        Table(
            name="growth",
            title=f"Latency in ms with one caller · divided by the latency with {FEW_JOBS} jobs in the same round",
            columns=["jobs", "add, ours", "get, ours", "add, peer", "get, peer"],
            rows=latencies,
        ),
        Table(
            name="growth-size",
            title="Listing all jobs (get_jobs) in seconds, and memory in MiB",
            columns=["jobs", "list, ours", "list, peer", "RPC service", "worker", "Temporal", "peer"],
            rows=sizes,
        ),
    ]


def draw(measured: Measured) -> dict[str, Any]:
    """Draw lists and adds over the number of jobs, and memory."""
    levels = measured.levels()
    labels = [f"{level:,}" for level in levels]
    times: dict[str, list[float | None]] = {}
    memory: dict[str, list[float | None]] = {}
    for system in (_OURS, _PEER):

        def medians(field: str, system: str = system) -> list[float]:
            return [Spread.of(measured.rounds(system, MANY, level, field).values()).median for level in levels]

        times[f"list, {system}"] = [*medians("list_seconds")]
        times[f"add one, {system}"] = [seconds / 1000 for seconds in medians("add")]
        sizes = {size.jobs: size for size in measured.sizes if size.system == system}
        for name in sizes[levels[0]].memory_mib:
            memory[name] = [sizes[level].memory_mib[name] for level in levels]
    return {
        "growth": charts.growth("Time to list all jobs and to add one", "seconds", labels, times),
        "memory": charts.growth("Memory", "MiB", labels, memory),
    }
