"""Bursts: 200 and 1,000 jobs due at one moment; the target takes a second for each backup."""

import asyncio
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from devstack.running import StackInfo
from lab.bench import charts, figures, ours
from lab.bench.due_at_once import OurBursts, Outcome, peers, wait_until_done
from lab.bench.figures import Spread
from lab.bench.jobs import sleep_until
from lab.bench.plan import Plan
from lab.bench.processes import cpu_seconds, used_since
from lab.bench.results import Table
from lab.bench.target import Target, target

SECONDS = 1.0
"""Seconds that the target takes for a backup."""
SIZES = (200, 1000)


class Measured(BaseModel):
    """All rounds."""

    outcomes: list[Outcome] = []

    def of(self, system: str, jobs: int) -> list[Outcome]:
        """Return the rounds of one system."""
        return [outcome for outcome in self.outcomes if (outcome.system, outcome.jobs) == (system, jobs)]

    def sizes(self) -> list[int]:
        """Return the sizes that were measured."""
        return sorted({outcome.jobs for outcome in self.outcomes})


def measure(plan: Plan) -> Measured:
    """Run our bursts one after the other, and the peer's side by side, as they hardly use the machine."""
    measured = Measured()
    sizes = (20,) if plan.tiny else SIZES
    with tempfile.TemporaryDirectory(prefix="bench-burst-") as name, target(SECONDS) as goal:
        folder = Path(name)
        with ours.ours(folder / "state", goal.url) as stack, asyncio.Runner() as runner:
            bursts = OurBursts(runner.run(ours.connected(stack)), runner)
            rounds = 0
            for number in plan.each_round():
                measured.outcomes += [_ours(bursts, stack, goal, size, number) for size in sizes]
                rounds += 1
            measured.outcomes += _peers(folder, stack.amqp_uri, sizes, rounds)
    return measured


def _ours(bursts: OurBursts, stack: StackInfo, goal: Target, size: int, number: int) -> Outcome:
    burst = bursts.make(size)
    sleep_until(burst.due, timedelta(seconds=0.5))
    before = cpu_seconds(stack.pids)
    wait_until_done(goal, burst.ids)
    bursts.runner.run(ours.all_closed(bursts.client))
    outcome = Outcome.read("ours", number, burst.ids, burst.due, goal.seen())
    outcome.cpu = used_since(before, stack.pids)
    return outcome


def _peers(folder: Path, amqp_uri: str, sizes: Sequence[int], rounds: int) -> list[Outcome]:
    outcomes = []
    with ExitStack() as stack:
        started = []
        for size in sorted(
            sizes, reverse=True
        ):  # the larger ones take longer, and have begun by the time of the others
            for number, run in enumerate(stack.enter_context(peers(folder, amqp_uri, size, rounds, SECONDS, lead=8))):
                pids = {"peer": run.process.pid} if run.process else {}
                started.append((number, run, pids, cpu_seconds(pids)))
        for number, run, pids, before in started:
            wait_until_done(run.goal, run.ids)
            outcome = run.outcome(number)
            outcome.cpu = used_since(before, pids)
            outcomes.append(outcome)
    return outcomes


def tables(measured: Measured) -> list[Table]:
    """Time, losses and CPU."""
    rows, usage = [], []
    for size in measured.sizes():
        mine, others = measured.of("ours", size), measured.of("peer", size)
        times = [{each.round: each.last_done for each in system} for system in (mine, others)]
        faster = figures.ratio(times[1], times[0])
        rows.append(
            [
                f"{size:,} jobs",
                *(Spread.of(system.values()).text(1) for system in times),
                faster.text(2) if faster else "",
                *(str(sum(each.lost for each in system)) for system in (mine, others)),
            ]
        )
        names = ["temporal", "worker", "rpc", "rabbitmq"]
        per_run = [Spread.of([each.cpu.get(name, 0) * 1000 / size for each in mine]) for name in names]
        peer = Spread.of([each.cpu["peer"] * 1000 / size for each in others])
        usage.append([f"{size:,} jobs", *(value.text(1) for value in [*per_run, peer])])
    return [
        Table(
            name="burst",
            title="Jobs due at one moment, the target takes 1 s: seconds until the last is done",
            columns=["", "ours", "peer", "peer / ours", "lost by ours", "lost by the peer"],
            rows=rows,
        ),
        Table(
            name="burst-cpu",
            title="CPU time per run, in ms",
            columns=["", "Temporal", "worker", "RPC service", "RabbitMQ", "peer"],
            rows=usage,
        ),
    ]


def draw(measured: Measured) -> dict[str, Any]:
    """Draw the progress of the largest burst, in the median round of each system."""
    size = measured.sizes()[-1]
    series = {}
    for system in ("ours", "peer"):
        outcomes = sorted(measured.of(system, size), key=lambda each: each.last_done)
        curve = outcomes[len(outcomes) // 2].curve
        series[system] = [(0.0, 0.0), *((at, size * part / len(curve)) for part, at in enumerate(curve, 1))]
    return {"burst": charts.curves(f"{size:,} jobs due at one moment", "seconds", "backups done", series)}
