"""Runs lost to a kill -9 in the middle of a burst."""

import asyncio
import itertools
import os
import signal
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
from pydantic import BaseModel

from devstack.running import StackInfo
from lab.bench import ours
from lab.bench.due_at_once import OurBursts, Outcome, PeerRun, peers, wait_until_done
from lab.bench.figures import Spread
from lab.bench.plan import Plan
from lab.bench.results import Table
from lab.bench.target import Target, target

SECONDS = 1.0
SIZE = 200
_KILLED = ("temporal", "rpc", "worker")


class Measured(BaseModel):
    """All rounds."""

    outcomes: list[Outcome] = []


def measure(plan: Plan) -> Measured:
    """Kill everything of ours but the broker at once, and the peer's one process; start them again at once."""
    measured = Measured()
    size, rounds = plan.size(SIZE, 12), 1 if plan.tiny else plan.rounds
    with tempfile.TemporaryDirectory(prefix="bench-crash-") as name, target(SECONDS) as goal:
        folder = Path(name)
        with ours.ours(folder / "state", goal.url, keep_alive=0) as stack, asyncio.Runner() as runner:
            with peers(folder, stack.amqp_uri, size, rounds, SECONDS, lead=5) as runs:
                with ThreadPoolExecutor(rounds) as pool:
                    list(pool.map(_kill_in_the_middle, runs))
                measured.outcomes += [run.outcome(number) for number, run in enumerate(runs)]
            for number in itertools.islice(plan.each_round(), rounds):
                measured.outcomes.append(_ours(folder / "state", runner, goal, size, number))
    return measured


def _kill_in_the_middle(run: PeerRun) -> None:
    def kill(count: int) -> None:
        if count >= len(run.ids) // 4 and not run.restarted:
            run.kill_and_start_again()

    wait_until_done(run.goal, run.ids, kill, standstill=15)


def _ours(state: Path, runner: asyncio.Runner, goal: Target, size: int, number: int) -> Outcome:
    stack = _healthy(state)
    bursts = OurBursts(runner.run(ours.connected(stack)), runner)
    before, killed = goal.count(), False
    burst = bursts.make(size)

    def kill(count: int) -> None:
        nonlocal killed
        if count - before >= size // 4 and not killed:
            killed = True
            for name in _KILLED:
                os.kill(stack.pids[name], signal.SIGKILL)

    wait_until_done(goal, burst.ids, kill)
    runner.run(ours.all_closed(bursts.client))
    return Outcome.read("ours", number, burst.ids, burst.due, goal.seen())


def _healthy(state: Path) -> StackInfo:
    """Wait until the services run again that the round before killed."""
    while (stack := StackInfo.read(state)) is None or not all(map(psutil.pid_exists, stack.pids.values())):
        time.sleep(0.1)
    return stack


def tables(measured: Measured) -> list[Table]:
    """Losses, repetitions, and when the last was done."""
    rows = []
    for system, what in (("ours", "server, RPC service and worker"), ("peer", "its one process")):
        outcomes = [each for each in measured.outcomes if each.system == system]
        rows.append(
            [
                f"{system}: {what}",
                str(sum(each.jobs for each in outcomes)),
                *(Spread.of([getattr(each, name) for each in outcomes]).text(0) for name in ("lost", "repeated")),
                Spread.of([each.last_done for each in outcomes]).text(1),
            ]
        )
    return [
        Table(
            name="crash",
            title="kill -9 in the middle of a burst, started again at once",
            columns=["killed", "runs due", "lost per burst", "made twice per burst", "last done after (s)"],
            rows=rows,
        )
    ]


def draw(_: Measured) -> dict[str, Any]:
    """Draw nothing: the table says it all."""
    return {}
