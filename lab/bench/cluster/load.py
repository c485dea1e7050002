"""Bursts on a cluster, and an outage of a minute of all its nodes; what PostgreSQL keeps of each run."""

import asyncio
import os
import signal
import tempfile
import time
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from temporalio.service import RPCError

from devstack.running import StackInfo
from lab.bench import ours
from lab.bench.cluster import parts
from lab.bench.cluster.parts import Stored
from lab.bench.due_at_once import OURS, OurBursts, Outcome, wait_until_done
from lab.bench.figures import Spread
from lab.bench.jobs import sleep_until
from lab.bench.outage import Recovery
from lab.bench.plan import Plan
from lab.bench.results import Table
from lab.bench.target import Target, target
from lab.parts.waiting import eventually

SIZES = (200, 1_000)
SECONDS = 1.0
"""Seconds that the target takes for a backup."""
OUTAGE = 60.0
"""Seconds after which the nodes are started again."""


class Burst(BaseModel):
    """One burst, and what it left behind."""

    outcome: Outcome
    rows: float
    """Rows in PostgreSQL for each run."""
    kib: float
    """KiB in PostgreSQL for each run, indexes included."""


class Measured(BaseModel):
    """All rounds of bursts, and the outage."""

    bursts: list[Burst] = []
    outage: Recovery

    def of(self, size: int) -> list[Burst]:
        """Return the rounds of a size."""
        return [each for each in self.bursts if each.outcome.jobs == size]

    def sizes(self) -> list[int]:
        """Return the sizes that were measured."""
        return sorted({each.outcome.jobs for each in self.bursts})


def measure(plan: Plan) -> Measured:
    """Let jobs come due at one moment, first with all nodes up, then with none for a minute."""
    keep_alive = 5.0 if plan.tiny else OUTAGE
    with (
        tempfile.TemporaryDirectory(prefix="bench-cluster-") as name,
        target(SECONDS) as goal,
        asyncio.Runner() as runner,
    ):
        state = Path(name)
        with ours.ours(state, goal.url, keep_alive=keep_alive, program="lab.cluster") as stack:
            bursts = OurBursts(runner.run(ours.connected(stack)), runner)
            sizes = (5, 10) if plan.tiny else SIZES
            found = [_burst(bursts, stack, state, goal, size, number) for number in plan.each_round() for size in sizes]
            return Measured(bursts=found, outage=_outage(bursts, stack, goal, max(sizes)))


def _burst(bursts: OurBursts, stack: StackInfo, state: Path, goal: Target, size: int, number: int) -> Burst:
    batch = bursts.make(size)
    stored = Stored.now(stack, state)
    sleep_until(batch.due, timedelta(seconds=0.5))
    before = parts.cpu_seconds(stack.pids)
    wait_until_done(goal, batch)
    used = parts.cpu_seconds(stack.pids)
    outcome = bursts.outcome(number, batch, goal)
    outcome.cpu = {part: round(seconds - before[part], 2) for part, seconds in used.items()}
    rows, size_of_run = Stored.now(stack, state).since(stored, size)
    return Burst(outcome=outcome, rows=round(rows, 1), kib=round(size_of_run / 1024, 1))


def _outage(bursts: OurBursts, stack: StackInfo, goal: Target, size: int) -> Recovery:
    batch = bursts.make(size, spare=8)
    sleep_until(batch.due, timedelta(seconds=2))
    for service, pid in stack.pids.items():
        if parts.part_of(service) == "temporal":
            os.kill(pid, signal.SIGKILL)
    sleep_until(batch.due)
    eventually(lambda: _answers(bursts), patience=OUTAGE + 60)
    began = time.time()
    wait_until_done(goal, batch)
    return Recovery.of(OURS, bursts.outcome(0, batch, goal), batch.due.timestamp(), began)


def _answers(bursts: OurBursts) -> bool:
    with suppress(RPCError):
        bursts.runner.run(bursts.client.count_workflows("WorkflowType='BackupWorkflow'"))
        return True
    return False


def tables(measured: Measured) -> list[Table]:
    """Bursts, the outage, CPU time, and what is kept of a run."""
    rows = []
    for size in measured.sizes():
        found = measured.of(size)
        outcomes = [each.outcome for each in found]
        rows.append(
            [
                f"{size:,} jobs due at one moment",
                Spread.of(each.last_done for each in outcomes).text(1),
                *(str(sum(values)) for values in zip(*(_counted(each) for each in outcomes), strict=True)),
            ]
        )
    outage = measured.outage
    lost = [str(each) for each in (outage.lost, outage.repeated, outage.started_twice or 0)]
    rows.append([f"{outage.jobs:,} jobs, all nodes killed for a minute", f"{outage.seconds:.1f}", *lost])
    largest = measured.of(measured.sizes()[-1])
    cpu = [
        Spread.of(each.outcome.cpu[part] * 1000 / each.outcome.jobs for each in largest).text(1)
        for part in (*parts.PARTS,)
    ]
    kept = [Spread.of(each.rows for each in largest).text(0), Spread.of(each.kib for each in largest).text(1)]
    return [
        Table(
            name="cluster-load",
            title="Jobs due at one moment on a cluster, the target takes 1 s: seconds until the last is done",
            columns=["", "seconds until the last", "lost", "backed up twice", "runs started twice"],
            rows=rows,
        ),
        Table(
            name="cluster-run",
            title="A run on a cluster: CPU time in ms, and what PostgreSQL keeps until its retention is over",
            columns=["", *parts.PARTS, "rows", "KiB"],
            rows=[["a run", *cpu, *kept]],
        ),
    ]


def _counted(outcome: Outcome) -> tuple[int, int, int]:
    return outcome.lost, outcome.repeated, outcome.started_twice or 0


def draw(_: Measured) -> dict[str, Any]:
    """Draw nothing."""
    return {}
