"""Growth: memory, add, get and the list of all jobs, with 10 to 10,000 jobs."""

import asyncio
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from lab.bench import charts, jobs, ours
from lab.bench.callers import RpcCallers, rpc_callers
from lab.bench.figures import Spread
from lab.bench.peer.scheduler import seed
from lab.bench.plan import Plan, rotated
from lab.bench.processes import child, memory_mib
from lab.bench.results import Table

LEVELS = (10, 100, 1_000, 10_000)
_FEW = 100
"""Jobs of the installation that stays small: each level is compared with it, round by round."""
_CALLS = 10
_LIST_PATIENCE = 300


class Sample(BaseModel):
    """Latencies of one round, in milliseconds: with many jobs, and at the same time with few."""

    system: str
    jobs: int
    round: int
    add: float
    get: float
    add_few: float
    get_few: float


class Size(BaseModel):
    """Figures that are measured once at each level."""

    system: str
    jobs: int
    list_seconds: float
    listed: int
    memory_mib: dict[str, float]


class Measured(BaseModel):
    """All levels."""

    samples: list[Sample] = []
    sizes: list[Size] = []

    def median(self, system: str, level: int, field: str) -> float:
        """Return the median of a latency over the rounds."""
        found = [each for each in self.samples if (each.system, each.jobs) == (system, level)]
        return Spread.of(getattr(each, field) for each in found).median

    def against_few(self, system: str, level: int, field: str) -> Spread:
        """Return a latency with many jobs divided by the one with few."""
        found = [each for each in self.samples if (each.system, each.jobs) == (system, level)]
        return Spread.of(getattr(each, field) / getattr(each, f"{field}_few") for each in found)

    def levels(self) -> list[int]:
        """Return the levels that were measured."""
        return sorted({size.jobs for size in self.sizes})


@dataclass(frozen=True)
class _Installation:
    callers: RpcCallers
    service: str

    def latencies(self) -> tuple[float, float]:
        """Return the medians of add and get in milliseconds; leaves as many jobs as there were."""
        ids = [f"growth-{uuid.uuid4().hex}" for _ in range(_CALLS)]
        add, get, _ = (
            self.callers.carry_out(self.service, operation, ids, 1) for operation in ("add", "get", "remove")
        )
        return add.milliseconds(0.5), get.milliseconds(0.5)


def measure(plan: Plan) -> Measured:
    """Let an installation grow beside one that stays small, ours and the peer's."""
    levels = plan.up_to_most_jobs((5, 10) if plan.tiny else LEVELS)
    measured = Measured()
    with tempfile.TemporaryDirectory(prefix="bench-growth-") as folder, asyncio.Runner() as runner:
        _measure_ours(plan, Path(folder), runner, levels, measured)
        _measure_peer(plan, Path(folder), levels, measured)
    return measured


def _measure_ours(plan: Plan, folder: Path, runner: asyncio.Runner, levels: list[int], measured: Measured) -> None:
    with (
        ours.ours(folder / "few") as few,
        ours.ours(folder / "many") as many,
        rpc_callers(few.amqp_uri, 1) as few_callers,
        rpc_callers(many.amqp_uri, 1, _LIST_PATIENCE) as many_callers,
    ):
        small, growing = _Installation(few_callers, "scheduler"), _Installation(many_callers, "scheduler")
        small.latencies()  # the first calls of a process are slow
        alignments = [jobs.alignment(f"job-{number:05}") for number in range(max(levels))]
        runner.run(jobs.create_all(runner.run(ours.connected(few)), alignments[: plan.size(_FEW, 5)]))
        client, made = runner.run(ours.connected(many)), 0
        pids = {name: many.pids[name] for name in ("temporal", "rpc", "worker")}
        for level in levels:
            runner.run(jobs.create_all(client, alignments[made:level]))
            made = level
            _sample(plan, "ours", level, growing, small, measured)
            seconds, listed = many_callers.get_jobs("scheduler")
            measured.sizes.append(_size("ours", level, seconds, listed, pids))


def _measure_peer(plan: Plan, folder: Path, levels: list[int], measured: Measured) -> None:
    with (
        ours.ours(folder / "broker") as stack,
        rpc_callers(stack.amqp_uri, 1, _LIST_PATIENCE) as callers,
        _peer(folder, stack.amqp_uri, "peer-few", plan.size(_FEW, 5)),
    ):
        for level in levels:
            name = f"peer-{level}"
            with _peer(folder, stack.amqp_uri, name, level) as pid:
                small, growing = _Installation(callers, "peer-few"), _Installation(callers, name)
                for each in (small, growing):
                    each.latencies()
                _sample(plan, "peer", level, growing, small, measured)
                seconds, listed = callers.get_jobs(name)
                measured.sizes.append(_size("peer", level, seconds, listed, {"peer": pid}))


@contextmanager
def _peer(folder: Path, amqp_uri: str, name: str, count: int) -> Iterator[int]:
    database = folder / f"{name}.db"
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    seed(database, [jobs.arguments(f"job-{number:05}") for number in range(count)], tomorrow)
    with child("lab.bench.peer", str(database), name, environ={"AMQP_URI": amqp_uri, "PEER_BACKUP_URL": ""}) as process:
        yield process.pid


def _sample(
    plan: Plan, system: str, level: int, growing: _Installation, small: _Installation, measured: Measured
) -> None:
    for number in plan.each_round():
        found = {each: each.latencies() for each in rotated([growing, small], number)}
        (add, get), (add_few, get_few) = found[growing], found[small]
        measured.samples.append(
            Sample(
                system=system,
                jobs=level,
                round=number,
                add=round(add, 2),
                get=round(get, 2),
                add_few=round(add_few, 2),
                get_few=round(get_few, 2),
            )
        )


def _size(system: str, level: int, seconds: float, listed: int, pids: dict[str, int]) -> Size:
    return Size(system=system, jobs=level, list_seconds=round(seconds, 3), listed=listed, memory_mib=memory_mib(pids))


def tables(measured: Measured) -> list[Table]:
    """Latencies against those of a small installation, lists and memory."""
    latencies, sizes = [], []
    for level in measured.levels():
        cells = []
        for system in ("ours", "peer"):
            for field in ("add", "get"):
                against = measured.against_few(system, level, field)
                cells.append(f"{measured.median(system, level, field):.1f} · {against.text(2)}")
        latencies.append([f"{level:,}", *cells])
        at_level = {size.system: size for size in measured.sizes if size.jobs == level}
        mine, other = at_level["ours"], at_level["peer"]
        memory = [f"{mine.memory_mib[name]:.0f}" for name in ("rpc", "worker", "temporal")]
        listed = [f"{size.list_seconds:.2f}" for size in (mine, other)]
        sizes.append([f"{level:,}", *listed, *memory, f"{other.memory_mib['peer']:.0f}"])
    return [
        Table(
            name="growth",
            title=f"Latency in ms with one caller · divided by the latency with {_FEW} jobs at the same time",
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
    for system in ("ours", "peer"):
        sizes = {size.jobs: size for size in measured.sizes if size.system == system}
        times[f"list, {system}"] = [sizes[level].list_seconds for level in levels]
        times[f"add one, {system}"] = [measured.median(system, level, "add") / 1000 for level in levels]
        for name in sizes[levels[0]].memory_mib:
            memory[name] = [sizes[level].memory_mib[name] for level in levels]
    return {
        "growth": charts.growth("Time to list all jobs and to add one", "seconds", labels, times),
        "memory": charts.growth("Memory", "MiB", labels, memory),
    }
