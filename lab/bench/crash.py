"""Runs lost to a kill -9 in the middle of a burst."""

import asyncio
import os
import signal
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import psutil
from pydantic import BaseModel

from devstack.running import StackInfo
from lab.bench import ours
from lab.bench.due_at_once import OURS, THREADS, OurBursts, Outcome, peer, peer_with, wait_until_done
from lab.bench.figures import NOT_SHOWN, Spread
from lab.bench.plan import Plan
from lab.bench.results import Table
from lab.bench.target import Target, target
from lab.bench.turns import System, in_turns, no_processes

SECONDS = 1.0
SIZE = 400
SYSTEMS = (OURS, *(peer_with(threads) for threads in THREADS))
_KILLED = ("temporal", "rpc", "worker")
_PEER_STANDSTILL = 12
"""Seconds without an answer after which the peer makes no more: it answers, and has started what it will, in three."""


class Measured(BaseModel):
    """All rounds, in the order in which they were measured."""

    outcomes: list[Outcome] = []

    def of(self, system: str) -> list[Outcome]:
        """Return the rounds of one system."""
        return [outcome for outcome in self.outcomes if outcome.system == system]


def measure(plan: Plan) -> Measured:
    """Kill everything of ours but the broker at once, or the peer's one process; start it again at once."""
    with tempfile.TemporaryDirectory(prefix="bench-crash-") as name, target(SECONDS) as goal:
        folder, size = Path(name), plan.size(SIZE, 40)
        state = folder / "state"
        with ours.ours(state, goal.url, keep_alive=0) as stack, asyncio.Runner() as runner:
            our_crash = partial(_ours, state, runner, goal, size)
            systems = [System(OURS, our_crash, processes=lambda: ours.processes(_healthy(state)))]
            for threads in THREADS:
                crash = partial(_peer, folder, stack.amqp_uri, goal, size, threads)
                systems.append(System(peer_with(threads), crash, no_processes))
            return Measured(outcomes=list(in_turns(plan, systems)))


def _peer(folder: Path, amqp_uri: str, goal: Target, size: int, threads: int, number: int) -> Iterator[Outcome]:
    with peer(folder, amqp_uri, goal, size, threads) as run:

        def kill(count: int) -> None:
            if count >= size // 4 and not run.restarted:
                run.kill_and_start_again()

        wait_until_done(goal, run.batch, kill, standstill=_PEER_STANDSTILL)
        yield run.outcome(number)


def _ours(state: Path, runner: asyncio.Runner, goal: Target, size: int, number: int) -> Iterator[Outcome]:
    stack, killed = _healthy(state), False
    bursts = OurBursts(runner.run(ours.connected(stack)), runner)
    batch = bursts.make(size)

    def kill(count: int) -> None:
        nonlocal killed
        if count >= size // 4 and not killed:
            killed = True
            for name in _KILLED:
                os.kill(stack.pids[name], signal.SIGKILL)

    wait_until_done(goal, batch, kill)
    yield bursts.outcome(number, batch, goal)


def _healthy(state: Path) -> StackInfo:
    """Wait until the services run again that the round before killed."""
    while (stack := StackInfo.read(state)) is None or not all(map(psutil.pid_exists, stack.pids.values())):
        time.sleep(0.1)
    return stack


def tables(measured: Measured) -> list[Table]:
    """Losses, repetitions, and when the last was done."""
    rows = []
    for system in SYSTEMS:
        outcomes = measured.of(system)
        per_burst = [
            Spread.of(counted).text(0) if counted else NOT_SHOWN
            for counted in (
                [each.lost for each in outcomes],
                [each.repeated for each in outcomes],
                [each.started_twice for each in outcomes if each.started_twice is not None],
            )
        ]
        rows.append(
            [
                system,
                "server, RPC service and worker" if system == OURS else "its one process",
                str(sum(each.jobs for each in outcomes)),
                *per_burst,
                Spread.of([each.last_done for each in outcomes]).text(1) if outcomes else NOT_SHOWN,
            ]
        )
    return [
        Table(
            name="crash",
            title=f"kill -9 in the middle of a burst of {SIZE} jobs, started again at once",
            columns=[
                "",
                "killed",
                "jobs in all rounds",
                "lost per burst",
                "backed up twice per burst",
                "runs started twice",
                "last done after (s)",
            ],
            rows=rows,
        )
    ]


def draw(_: Measured) -> dict[str, Any]:
    """Draw nothing: the table says it all."""
    return {}
