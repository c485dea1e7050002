"""What a run costs beside a bare one, a workflow with one activity: its history and CPU time."""

import asyncio
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from statistics import median
from typing import Any

from pydantic import BaseModel
from temporalio.client import Client

from backup_scheduler.jobs.names import schedule_id
from backup_scheduler.jobs.to_schedule import Alignment, schedule_for
from lab.bench import bare_worker, figures, jobs, ours
from lab.bench.due_at_once import OURS, Batch, OurBursts, Outcome, wait_until_done
from lab.bench.figures import spread_text
from lab.bench.plan import Plan
from lab.bench.processes import child, cpu_seconds, family, used_since
from lab.bench.results import Table
from lab.bench.target import Target, target
from lab.bench.turns import System, in_turns

BARE = "bare workflow"
SYSTEMS = (OURS, BARE)
SIZE = 200
"""Runs that are due at one moment; the target answers at once."""
_PATIENCE = 120
_KIB = 1024


class Cost(BaseModel):
    """One round; figures are those of a run."""

    system: str
    round: int
    runs: int
    events: float
    """In its history."""
    kib: float
    """Size of its history, as Temporal counts it."""
    temporal_ms: float
    worker_ms: float
    """CPU time from the moment at which all runs were due, the schedules' part included."""
    seconds: float
    """Until the last of all runs was done."""

    @property
    def cpu_ms(self) -> float:
        """CPU time of Temporal and worker."""
        return self.temporal_ms + self.worker_ms


class Measured(BaseModel):
    """All rounds, in the order in which they were measured."""

    costs: list[Cost] = []

    def rounds(self, system: str, field: str) -> dict[int, float]:
        """Return a figure of each round."""
        found = [each for each in self.costs if each.system == system]
        return figures.by_round(found, lambda each: each.round, lambda each: getattr(each, field))


def measure(plan: Plan) -> Measured:
    """Let runs of both kinds come due in turns, on one server; the worker that has no turn is frozen."""
    with (
        tempfile.TemporaryDirectory(prefix="bench-run-") as name,
        target(0) as goal,
        ours.ours(Path(name), goal.url) as stack,
        asyncio.Runner() as runner,
    ):
        client = runner.run(ours.connected(stack))
        with child("lab.bench.bare_worker", goal.url) as worker:
            size, temporal = plan.size(SIZE, 10), stack.pids["temporal"]
            of_ours = _Runs(OURS, OurBursts(client, runner), goal, size, temporal, stack.pids["worker"])
            bare = _Runs(BARE, OurBursts(client, runner, make_one=_make_bare), goal, size, temporal, worker.pid)
            systems = [
                System(OURS, of_ours.measure, lambda: family(stack.pids["worker"]) | family(stack.pids["rpc"])),
                System(BARE, bare.measure, lambda: family(worker.pid)),
            ]
            return Measured(costs=list(in_turns(plan, systems)))


async def _make_bare(client: Client, where: Alignment) -> None:
    """Make the schedule of a job that starts the bare workflow; it differs in nothing else."""
    schedule = schedule_for(where, bare_worker.QUEUE)
    schedule.action.workflow = bare_worker.WORKFLOW  # type: ignore[attr-defined]  # it starts a workflow
    await client.create_schedule(schedule_id(where.request.scheduler_id), schedule)
    await jobs.describe(client, where.request.scheduler_id)


@dataclass(frozen=True)
class _Runs:
    system: str
    bursts: OurBursts
    goal: Target
    size: int
    temporal: int
    worker: int

    def measure(self, number: int) -> Iterator[Cost]:
        batch = self.bursts.make(self.size)
        jobs.sleep_until(batch.due, timedelta(seconds=0.5))
        pids = {"temporal": self.temporal, "worker": self.worker}
        before = cpu_seconds(pids)
        wait_until_done(self.goal, batch)
        histories = self.bursts.runner.run(_ended(self.bursts.client, batch))
        yield cost(self.system, number, batch, self.goal.seen(batch.name), histories, used_since(before, pids))


async def _ended(client: Client, batch: Batch) -> list[tuple[int, int]]:
    """Wait until all runs of a batch have ended; return the events and bytes of the history of each."""
    query = f"BackupSchedulerId STARTS_WITH '{batch.name}' AND ExecutionStatus='Completed'"
    async with asyncio.timeout(_PATIENCE):
        while (await client.count_workflows(query)).count < len(batch.ids):
            await asyncio.sleep(0.5)
    listed = [each.raw_info async for each in client.list_workflows(query)]
    return [(info.history_length, info.history_size_bytes) for info in listed]


def cost(
    system: str,
    number: int,
    batch: Batch,
    seen: dict[str, list[float]],
    histories: list[tuple[int, int]],
    cpu: Mapping[str, float],
) -> Cost:
    """Sum a round up. Raises RuntimeError if it has not one run and one backup for each job."""
    outcome = Outcome.read(system, number, batch, seen, len(histories))
    if outcome.lost or outcome.repeated or outcome.started_twice:
        raise RuntimeError(f"not one run and one backup for each job: {outcome}")
    in_ms = {part: round(seconds * 1000 / outcome.jobs, 2) for part, seconds in cpu.items()}
    return Cost(
        system=system,
        round=number,
        runs=outcome.jobs,
        events=median(events for events, _ in histories),
        kib=round(median(size for _, size in histories) / _KIB, 2),
        temporal_ms=in_ms["temporal"],
        worker_ms=in_ms["worker"],
        seconds=outcome.last_done,
    )


def tables(measured: Measured) -> list[Table]:
    """History, CPU time and seconds, and ours divided by the bare workflow."""
    fields = ("events", "kib", "temporal_ms", "worker_ms", "cpu_ms", "seconds")
    rows = [
        [system, *(spread_text(measured.rounds(system, field).values(), 1) for field in fields)] for system in SYSTEMS
    ]
    ratios = [figures.ratios(measured.rounds(OURS, field), measured.rounds(BARE, field)).values() for field in fields]
    return [
        Table(
            name="run",
            title=f"A run, of {SIZE} due at one moment: history, CPU time in ms, seconds until the last is done",
            columns=["", "events", "KiB", "CPU: Temporal", "CPU: worker", "CPU: both", "seconds for all"],
            rows=[*rows, ["ours / bare", *(spread_text(values, 2) for values in ratios)]],
        )
    ]


def draw(_: Measured) -> dict[str, Any]:
    """Draw nothing."""
    return {}
