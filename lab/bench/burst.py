"""Bursts: 1,000 jobs due at one moment; the target takes a second for each backup."""

import asyncio
import tempfile
from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from devstack.running import StackInfo
from lab.bench import charts, figures, ours
from lab.bench.due_at_once import OURS, THREADS, OurBursts, Outcome, peer, peer_with, wait_until_done
from lab.bench.figures import NOT_SHOWN, Spread, spread_text, total
from lab.bench.jobs import sleep_until
from lab.bench.plan import Plan
from lab.bench.processes import cpu_seconds, used_since
from lab.bench.results import Table
from lab.bench.target import Target, target
from lab.bench.turns import System, in_turns, no_processes

SECONDS = 1.0
"""Seconds that the target takes for a backup."""
SIZE = 1000
SYSTEMS = (OURS, *(peer_with(threads) for threads in THREADS))


class Measured(BaseModel):
    """All rounds, in the order in which they were measured."""

    outcomes: list[Outcome] = []

    def of(self, system: str) -> list[Outcome]:
        """Return the rounds of one system."""
        return [outcome for outcome in self.outcomes if outcome.system == system]

    def times(self, system: str) -> dict[int, float]:
        """Return the seconds until the last was done, by round."""
        return figures.by_round(self.of(system), lambda each: each.round, lambda each: each.last_done)


def measure(plan: Plan) -> Measured:
    """Run a burst of each system in turns. The peer with few threads takes 100 s by arithmetic: once is enough."""
    with tempfile.TemporaryDirectory(prefix="bench-burst-") as name, target(SECONDS) as goal:
        folder, size = Path(name), plan.size(SIZE, 20)
        with ours.ours(folder / "state", goal.url) as stack, asyncio.Runner() as runner:
            bursts = OurBursts(runner.run(ours.connected(stack)), runner)
            our_burst = partial(_ours, bursts, stack, goal, size)
            systems = [System(OURS, our_burst, processes=lambda: ours.processes(stack))]
            for threads in THREADS:
                burst = partial(_peer, folder, stack, goal, size, threads)
                once = threads == min(THREADS) and not plan.has_time
                systems.append(System(peer_with(threads), burst, no_processes, once=once))
            return Measured(outcomes=list(in_turns(plan, systems)))


def _ours(bursts: OurBursts, stack: StackInfo, goal: Target, size: int, number: int) -> Iterator[Outcome]:
    batch = bursts.make(size)
    sleep_until(batch.due, timedelta(seconds=0.5))
    before = cpu_seconds(stack.pids)
    wait_until_done(goal, batch)
    outcome = bursts.outcome(number, batch, goal)
    outcome.cpu = used_since(before, stack.pids)
    yield outcome


def _peer(folder: Path, stack: StackInfo, goal: Target, size: int, threads: int, number: int) -> Iterator[Outcome]:
    with peer(folder, stack.amqp_uri, goal, size, threads) as run:
        pids = {**stack.pids, **({"peer": run.process.pid} if run.process else {})}
        before = cpu_seconds(pids)
        wait_until_done(goal, run.batch)
        outcome = run.outcome(number)
        outcome.cpu = used_since(before, pids)
        yield outcome


def against_ours(measured: Measured, system: str) -> dict[int, float]:
    """Return the time of a system divided by ours, by round: how many times as fast ours is."""
    return figures.ratios(measured.times(system), measured.times(OURS))


def tables(measured: Measured) -> list[Table]:
    """Time, losses and CPU."""
    rows = []
    for system in SYSTEMS:
        outcomes = measured.of(system)
        rows.append(
            [
                system,
                str(sum(each.jobs for each in outcomes)),
                spread_text(measured.times(system).values(), 1),
                "" if system == OURS else spread_text(against_ours(measured, system).values(), 2),
                str(sum(each.lost for each in outcomes)),
                str(sum(each.repeated for each in outcomes)),
                total(each.started_twice for each in outcomes),
            ]
        )
    return [
        Table(
            name="burst",
            title=f"{SIZE:,} jobs due at one moment, the target takes 1 s: seconds until the last is done",
            columns=[
                "",
                "jobs in all rounds",
                "seconds",
                "its time / ours",
                "lost",
                "backed up twice",
                "runs started twice",
            ],
            rows=rows,
        ),
        _cpu(measured),
    ]


def _cpu(measured: Measured) -> Table:
    columns = {"Temporal": "temporal", "worker": "worker", "RPC service": "rpc", "RabbitMQ": "rabbitmq"}
    row = ["CPU time"]
    for system, names in ((OURS, list(columns.values())), *((each, ["peer"]) for each in SYSTEMS[1:])):
        for name in names:
            per_run = [each.cpu.get(name, 0) * 1000 / each.jobs for each in measured.of(system)]
            row.append(Spread.of(per_run).text(1) if per_run else NOT_SHOWN)
    return Table(
        name="burst-cpu", title="CPU time per run, in ms", columns=["ms for a run", *columns, *SYSTEMS[1:]], rows=[row]
    )


def draw(measured: Measured) -> dict[str, Any]:
    """Draw the progress of the burst, in the median round of each system."""
    series = {}
    for system in SYSTEMS:
        outcomes = sorted(measured.of(system), key=lambda each: each.last_done)
        series[system] = outcomes[len(outcomes) // 2].points()
    size = max(each.jobs for each in measured.outcomes)
    return {"burst": charts.curves(f"{size:,} jobs due at one moment", "seconds", "backups done", series)}
