"""An outage: all jobs come due while everything is down, and are made up for when it is back."""

import asyncio
import tempfile
import time
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from bench import charts, ours
from bench.due_at_once import OurBursts, Outcome, peers, wait_until_done
from bench.jobs import sleep_until
from bench.plan import Plan
from bench.results import Table
from bench.target import Target, target

LEVELS = (10, 100, 1_000, 10_000)
_SYSTEMS = ("ours", "peer")


class Recovery(BaseModel):
    """Seconds from the start of the processes until the last missed run was made up for."""

    system: str
    jobs: int
    seconds: float
    lost: int


class Measured(BaseModel):
    """All levels."""

    recoveries: list[Recovery] = []


def measure(plan: Plan) -> Measured:
    """Make jobs, stop everything before they are due, and start it again afterwards; the target answers at once."""
    measured = Measured()
    with tempfile.TemporaryDirectory(prefix="bench-outage-") as name, target(0) as goal:
        folder = Path(name)
        for level in plan.up_to_most_jobs((5, 10) if plan.tiny else LEVELS):
            measured.recoveries += [_ours(folder / f"state-{level}", goal, level), _peer(folder, level)]
    return measured


def _ours(state: Path, goal: Target, count: int) -> Recovery:
    with asyncio.Runner() as runner:
        with ours.ours(state, goal.url) as stack:
            burst = OurBursts(runner.run(ours.connected(stack)), runner).make(count, spare=8)
        sleep_until(burst.due)
        time.sleep(1)
        began = time.time()
        with ours.ours(state, goal.url):
            wait_until_done(goal, burst.ids)
    return _recovery(Outcome.read("ours", 0, burst.ids, burst.due, goal.seen()), burst.due.timestamp(), began)


def _peer(folder: Path, count: int) -> Recovery:
    with (
        ours.ours(folder / f"broker-{count}") as stack,
        peers(folder, stack.amqp_uri, count, 1, 0, lead=None) as [run],
    ):
        wait_until_done(run.goal, run.ids)
        return _recovery(run.outcome(0), run.due.timestamp(), run.started_at)


def _recovery(outcome: Outcome, due: float, began: float) -> Recovery:
    seconds = round(due + outcome.last_done - began, 2)
    return Recovery(system=outcome.system, jobs=outcome.jobs, seconds=seconds, lost=outcome.lost)


def tables(measured: Measured) -> list[Table]:
    """One row for each number of jobs."""
    rows = []
    for level in sorted({each.jobs for each in measured.recoveries}):
        found = {each.system: each for each in measured.recoveries if each.jobs == level}
        rows.append([f"{level:,}", *(f"{found[system].seconds:.1f}" for system in _SYSTEMS)])
        rows[-1] += [str(found[system].lost) for system in _SYSTEMS]
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
    levels = sorted({each.jobs for each in measured.recoveries})
    series: dict[str, list[float | None]] = {
        system: [each.seconds for each in measured.recoveries if each.system == system] for system in _SYSTEMS
    }
    labels = [f"{level:,}" for level in levels]
    return {"outage": charts.growth("Time to make up for what all jobs missed", "seconds", labels, series)}
