"""An outage: all jobs come due while everything is down; their runs are made up for afterwards."""

import asyncio
import tempfile
import time
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from lab.bench import charts, ours
from lab.bench.due_at_once import OURS, THREADS, OurBursts, Outcome, peer, wait_until_done
from lab.bench.figures import Spread, total
from lab.bench.jobs import sleep_until
from lab.bench.plan import Plan
from lab.bench.processes import frozen
from lab.bench.results import Table
from lab.bench.target import Target, target
from lab.bench.turns import System, in_turns, no_processes

LEVELS = (1_000, 10_000)
_ONCE = 10_000
"""A number of jobs that is measured in the first round only: one round takes a quarter of an hour."""
_PEER = "peer"
SYSTEMS = (OURS, _PEER)


class Recovery(BaseModel):
    """Runs that were made up for; times in seconds from the start of the processes."""

    system: str
    jobs: int
    round: int
    seconds: float
    """Until the last one was made up for."""
    lost: int
    repeated: int
    started_twice: int | None
    """As in Outcome."""
    curve: list[tuple[float, float]]
    """Moments, and how many were made up for by then."""

    @classmethod
    def of(cls, system: str, outcome: Outcome, due: float, began: float) -> "Recovery":
        """Count from the start instead of the moment at which the jobs were due; both of the epoch."""
        return cls(
            system=system,
            jobs=outcome.jobs,
            round=outcome.round,
            seconds=round(due + outcome.last_done - began, 2),
            lost=outcome.lost,
            repeated=outcome.repeated,
            started_twice=outcome.started_twice,
            curve=[(0.0, 0.0), *((round(due + at - began, 2), done) for at, done in outcome.points()[1:])],
        )


class Measured(BaseModel):
    """All rounds, in the order in which they were measured."""

    recoveries: list[Recovery] = []

    def of(self, system: str, jobs: int) -> list[Recovery]:
        """Return the rounds of one system."""
        return [each for each in self.recoveries if (each.system, each.jobs) == (system, jobs)]

    def levels(self) -> list[int]:
        """Return the numbers of jobs that were measured."""
        return sorted({each.jobs for each in self.recoveries})


def measure(plan: Plan) -> Measured:
    """Make jobs, stop everything before they are due, and start it again afterwards; the target answers at once.

    The peer's broker is that of a stack whose other services are frozen.
    """
    with tempfile.TemporaryDirectory(prefix="bench-outage-") as name, target(0) as goal:
        folder = Path(name)
        levels = plan.up_to_most_jobs((10,) if plan.tiny else LEVELS)
        with ours.ours(folder / "broker") as stack, frozen(ours.processes(stack)):
            systems = [
                System(OURS, partial(_ours, folder, goal, levels), no_processes),
                System(_PEER, partial(_peer, folder, stack.amqp_uri, goal, levels), no_processes),
            ]
            return Measured(recoveries=list(in_turns(plan, systems)))


def _ours(folder: Path, goal: Target, levels: Sequence[int], number: int) -> Iterator[Recovery]:
    for count in _of_round(levels, number):
        state = folder / f"state-{number}-{count}"
        with asyncio.Runner() as runner:
            with ours.ours(state, goal.url) as stack:
                batch = OurBursts(runner.run(ours.connected(stack)), runner).make(count, spare=8)
            sleep_until(batch.due)
            time.sleep(1)
            began = time.time()
            with ours.ours(state, goal.url) as stack:
                wait_until_done(goal, batch)
                outcome = OurBursts(runner.run(ours.connected(stack)), runner).outcome(number, batch, goal)
        yield Recovery.of(OURS, outcome, batch.due.timestamp(), began)


def _peer(folder: Path, amqp_uri: str, goal: Target, levels: Sequence[int], number: int) -> Iterator[Recovery]:
    for count in _of_round(levels, number):
        with peer(folder, amqp_uri, goal, count, min(THREADS), is_up=False) as run:
            wait_until_done(goal, run.batch)
            yield Recovery.of(_PEER, run.outcome(number), run.batch.due.timestamp(), run.started_at)


def _of_round(levels: Sequence[int], number: int) -> list[int]:
    return [level for level in levels if level < _ONCE or number == 0]


def tables(measured: Measured) -> list[Table]:
    """One row for each number of jobs."""
    rows = []
    for level in measured.levels():
        found = [measured.of(system, level) for system in SYSTEMS]
        took = [Spread.of(each.seconds for each in system).text(1) for system in found]
        pace = Spread.of(each.jobs / each.seconds for each in found[0]).text(0)
        counted = [str(sum(getattr(each, name) for each in of)) for name in ("lost", "repeated") for of in found]
        rows.append([f"{level:,}", took[0], pace, took[1], *counted, total(each.started_twice for each in found[0])])
    return [
        Table(
            name="outage",
            title="All jobs missed their moment in an outage: seconds from the start until all are made up for",
            columns=[
                "jobs",
                "ours",
                "runs per second, ours",
                "peer",
                "lost by ours",
                "lost by the peer",
                "backed up twice by ours",
                "backed up twice by the peer",
                "runs of ours started twice",
            ],
            rows=rows,
        )
    ]


def draw(measured: Measured) -> dict[str, Any]:
    """Draw how many were made up for over time, in the median round of each system with the most jobs."""
    level = measured.levels()[-1]
    series: dict[str, list[tuple[float, float]]] = {}
    for system in SYSTEMS:
        rounds = sorted(measured.of(system, level), key=lambda each: each.seconds)
        series[system] = rounds[len(rounds) // 2].curve
    title = f"Runs of {level:,} jobs made up for after an outage"
    return {"outage": charts.curves(title, "seconds from the start", "backups done", series)}
