"""Bursts: many jobs that are due at one moment, at ours and at the peer."""

import asyncio
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pydantic import BaseModel
from temporalio.client import Client

from lab.bench import jobs
from lab.bench.peer.scheduler import seed
from lab.bench.processes import Child
from lab.bench.target import Target, target

_PATIENCE = 240
_PATIENCE_EACH = 0.1
"""Seconds that a burst may take, and those for each of its jobs."""
_STANDSTILL = 75
"""Seconds without an answer after which missing backups are lost: twice the time to notice a lost attempt."""
_POINTS = 40
_SEEDING = 0.008
"""Seconds that a peer's job takes to be made, at most."""


class Outcome(BaseModel):
    """Outcome of a burst; times in seconds from the moment at which all jobs were due."""

    system: str
    jobs: int
    round: int
    last_done: float
    lost: int
    repeated: int
    """Backups made again for a run that had one."""
    curve: list[float]
    """Seconds until each fortieth part of the jobs was done."""
    cpu: dict[str, float] = {}
    """CPU seconds of each process from the due moment on."""

    @classmethod
    def read(cls, system: str, number: int, ids: list[str], due: datetime, seen: dict[str, list[float]]) -> "Outcome":
        """Sum up these jobs' backups at the target."""
        firsts = sorted(min(seen[each]) - due.timestamp() for each in ids if each in seen)
        total = sum(len(seen.get(each, [])) for each in ids)
        places = {max(0, len(firsts) * part // _POINTS - 1) for part in range(1, _POINTS + 1)} if firsts else set()
        return cls(
            system=system,
            jobs=len(ids),
            round=number,
            last_done=round(firsts[-1], 2) if firsts else 0.0,
            lost=len(ids) - len(firsts),
            repeated=total - len(firsts),
            curve=[round(firsts[place], 2) for place in sorted(places)],
        )


@dataclass
class Burst:
    """Jobs that are made, and the moment at which they are due."""

    ids: list[str]
    due: datetime


@dataclass
class OurBursts:
    """Makes jobs in our service, and measures how fast that goes."""

    client: Client
    runner: asyncio.Runner
    per_second: float = 65.0

    def make(self, count: int, spare: float = 3.0) -> Burst:
        """Make jobs that are due soon after the last one is made."""
        while True:
            ids = [f"burst-{uuid.uuid4().hex}" for _ in range(count)]
            due = jobs.moment_in(count / self.per_second + spare)
            began = time.monotonic()
            self.runner.run(jobs.create_all(self.client, [jobs.alignment(each, due) for each in ids]))
            took = time.monotonic() - began
            self.per_second = min(count / took * 0.75, 100.0)
            if datetime.now(UTC) < due:
                return Burst(ids, due)


def wait_until_done(
    goal: Target,
    ids: list[str],
    meanwhile: Callable[[int], None] = lambda _: None,
    standstill: float = _STANDSTILL,
) -> None:
    """Wait until every job is backed up, or nothing has happened for `standstill` seconds."""
    wanted = set(ids)
    deadline = time.monotonic() + _PATIENCE + _PATIENCE_EACH * len(wanted)
    last, count = time.monotonic(), goal.count()
    while time.monotonic() < deadline and time.monotonic() - last < standstill:
        now = goal.count()
        if now != count:
            last, count = time.monotonic(), now
        meanwhile(now)
        if now >= len(wanted) and wanted <= goal.seen().keys():
            return
        time.sleep(0.1)


@dataclass
class PeerRun:
    """One peer with jobs of its own in a database of its own, and a target of its own."""

    name: str
    database: Path
    ids: list[str]
    due: datetime
    goal: Target
    amqp_uri: str
    process: Child | None = None
    started_at: float = 0.0
    restarted: bool = False

    def start(self) -> None:
        """Start the peer, without waiting until it is ready."""
        self.started_at = time.time()
        environ = {"AMQP_URI": self.amqp_uri, "PEER_BACKUP_URL": self.goal.url}
        self.process = Child("lab.bench.peer", str(self.database), self.name, environ=environ)

    def kill_and_start_again(self) -> None:
        """End it as a power cut does (kill -9), and start it at once."""
        if self.process:
            self.process.kill()
        self.restarted = True
        self.start()

    def outcome(self, number: int) -> Outcome:
        """Sum up."""
        return Outcome.read("peer", number, self.ids, self.due, self.goal.seen())


@contextmanager
def peers(
    folder: Path, amqp_uri: str, count: int, many: int, delay: float, lead: float | None
) -> Iterator[list[PeerRun]]:
    """Run so many peers side by side, each with `count` jobs due at one moment.

    The moment is about `lead` seconds ahead, later where the peers are not ready by then; without `lead` it passes
    before they start. Each peer uses a twentieth of a core in a burst, so they do not disturb each other. One after
    the other they would take too long.
    """
    while True:
        with ExitStack() as stack:
            runs = _seeded(stack, folder, amqp_uri, count, many, delay, lead or 2)
            if lead is None:
                jobs.sleep_until(runs[0].due)
                time.sleep(1)
            stack.callback(_end, runs)
            for run in runs:
                run.start()
            for run in runs:
                if run.process:
                    run.process.first_line()
            if lead is None or datetime.now(UTC) < runs[0].due:
                yield runs
                return
            lead *= 2


def _seeded(
    stack: ExitStack, folder: Path, amqp_uri: str, count: int, many: int, delay: float, lead: float
) -> list[PeerRun]:
    ids = [f"burst-{uuid.uuid4().hex}" for _ in range(count)]
    terms = [jobs.arguments(each, duration=0) for each in ids]
    due = jobs.moment_in(lead + count * many * _SEEDING)
    runs = []
    for database in (folder / f"peer-{uuid.uuid4().hex}.db" for _ in range(many)):
        seed(database, terms, due)
        goal = stack.enter_context(target(delay))
        runs.append(PeerRun(f"peer-{database.stem}", database, ids, due, goal, amqp_uri))
    return runs


def _end(runs: list[PeerRun]) -> None:
    for run in runs:
        if run.process:
            run.process.end()
