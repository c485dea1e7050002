"""An outage: all jobs come due while everything is down; their runs are made up for afterwards."""

import asyncio
import tempfile
import time
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from lab.bench import charts, ours
from lab.bench.due_at_once import OurBursts, Outcome, peers, wait_until_done
from lab.bench.figures import Spread
from lab.bench.jobs import sleep_until
from lab.bench.plan import Plan
from lab.bench.results import Table
from lab.bench.target import Target, target

LEVELS = (10, 100, 1_000, 10_000)
_ONCE = 10_000
"""A number of jobs that is measured in the first round only: one round takes a quarter of an hour."""
_SYSTEMS = ("ours", "peer")


class Recovery(BaseModel):
    """Seconds from the start of the processes until the last missed run was made up for."""

    system: str
    jobs: int
    round: int
    seconds: float
    lost: int


class Measured(BaseModel):
    """All levels."""

    recoveries: list[Recovery] = []

    def of(self, system: str, jobs: int) -> list[Recovery]:
        """Return the rounds of one system."""
        return [each for each in self.recoveries if (each.system, each.jobs) == (system, jobs)]

    def seconds(self, system: str, jobs: int) -> Spread:
        """Return the time that they took."""
        return Spread.of(each.seconds for each in self.of(system, jobs))

    def levels(self) -> list[int]:
        """Return the numbers of jobs that were measured."""
        return sorted({each.jobs for each in self.recoveries})


def measure(plan: Plan) -> Measured:
    """Make jobs, stop everything before they are due, and start it again afterwards; the target answers at once."""
    measured = Measured()
    with tempfile.TemporaryDirectory(prefix="bench-outage-") as name, target(0) as goal:
        folder = Path(name)
        levels = plan.up_to_most_jobs((5, 10) if plan.tiny else LEVELS)
        for number in plan.each_round():
            sizes = [level for level in levels if level < _ONCE or number == 0]
            measured.recoveries += [_ours(folder / f"state-{number}-{size}", goal, size, number) for size in sizes]
            with ours.ours(folder / f"broker-{number}") as stack:
                measured.recoveries += [_peer(folder, stack.amqp_uri, size, number) for size in sizes]
    return measured


def _ours(state: Path, goal: Target, count: int, number: int) -> Recovery:
    with asyncio.Runner() as runner:
        with ours.ours(state, goal.url) as stack:
            burst = OurBursts(runner.run(ours.connected(stack)), runner).make(count, spare=8)
        sleep_until(burst.due)
        time.sleep(1)
        began = time.time()
        with ours.ours(state, goal.url):
            wait_until_done(goal, burst.ids)
    return _recovery(Outcome.read("ours", number, burst.ids, burst.due, goal.seen()), burst.due.timestamp(), began)


def _peer(folder: Path, amqp_uri: str, count: int, number: int) -> Recovery:
    with peers(folder, amqp_uri, count, 1, 0, lead=None) as [run]:
        wait_until_done(run.goal, run.ids)
        return _recovery(run.outcome(number), run.due.timestamp(), run.started_at)


def _recovery(outcome: Outcome, due: float, began: float) -> Recovery:
    seconds = round(due + outcome.last_done - began, 2)
    return Recovery(system=outcome.system, jobs=outcome.jobs, round=outcome.round, seconds=seconds, lost=outcome.lost)


def tables(measured: Measured) -> list[Table]:
    """One row for each number of jobs."""
    rows = []
    for level in measured.levels():
        took = [measured.seconds(system, level).text(1) for system in _SYSTEMS]
        lost = [str(sum(each.lost for each in measured.of(system, level))) for system in _SYSTEMS]
        rows.append([f"{level:,}", *took, *lost])
    return [
        Table(
            name="outage",
            title="All jobs missed their moment in an outage: seconds from the start until all are made up for",
            columns=["jobs", "ours", "peer", "lost by ours", "lost by the peer"],
            rows=rows,
        )
    ]


def draw(measured: Measured) -> dict[str, Any]:
    """Draw both over the number of jobs."""
    levels = measured.levels()
    series: dict[str, list[float | None]] = {
        system: [measured.seconds(system, level).median for level in levels] for system in _SYSTEMS
    }
    labels = [f"{level:,}" for level in levels]
    return {"outage": charts.growth("Time to make up for what all jobs missed", "seconds", labels, series)}
