"""Bursts: many jobs that are due at one moment, at ours and at the peer."""

import asyncio
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pydantic import BaseModel
from temporalio.client import Client
from temporalio.service import RPCError

from lab.bench import jobs, ours
from lab.bench.peer.scheduler import seed
from lab.bench.processes import Child
from lab.bench.target import Target
from lab.parts.waiting import eventually

OURS = "ours"
THREADS = (10, 100)
"""Of the peer: what APScheduler has by itself, and as many as one worker of ours makes backups at once by itself."""
_PATIENCE = 240
_PATIENCE_EACH = 0.1
"""Seconds that a burst may take, and those for each of its jobs."""
_STANDSTILL = 75
"""Seconds without an answer after which missing backups are lost: twice the time to notice a lost attempt."""
_FIRST = 60
"""Jobs that tell how fast they are made."""
_EXPLAINED = 5
"""Lost jobs of which the result says what Temporal knows of them."""
_POINTS = 40
_SEEDING = 0.008
"""Seconds that a peer's job takes to be made, at most."""


def peer_with(threads: int) -> str:
    """Return the name of the peer with so many threads, as the tables have it."""
    return f"peer, {threads} threads"


@dataclass(frozen=True)
class Batch:
    """Jobs that are due at one moment."""

    name: str
    ids: list[str]
    due: datetime

    @classmethod
    def of(cls, count: int, due: datetime) -> "Batch":
        """Give jobs their ids."""
        name = f"burst-{uuid.uuid4().hex}"
        return cls(name, [f"{name}-{number:05}" for number in range(count)], due)


class Outcome(BaseModel):
    """Outcome of a burst; times in seconds from the moment at which all jobs were due."""

    system: str
    jobs: int
    round: int
    last_done: float
    lost: int
    """Jobs without a backup."""
    repeated: int
    """Backups made again for a job that had one."""
    started_twice: int | None
    """Runs of ours above one for each job, by Temporal's own list; the peer keeps no record of its runs."""
    curve: list[float]
    """Seconds until each fortieth part of the jobs was done."""
    cpu: dict[str, float] = {}
    """CPU seconds of each process from the due moment on."""
    known_of_lost: list[str] = []
    """What Temporal knows of some of the jobs that were lost, a sentence for each."""

    @classmethod
    def read(
        cls, system: str, number: int, batch: Batch, seen: dict[str, list[float]], runs: int | None = None
    ) -> "Outcome":
        """Sum up what the target has seen of these jobs, and how many runs Temporal has of them."""
        firsts = sorted(min(seen[each]) - batch.due.timestamp() for each in batch.ids if seen.get(each))
        total = sum(len(seen.get(each, [])) for each in batch.ids)
        places = {max(0, len(firsts) * part // _POINTS - 1) for part in range(1, _POINTS + 1)} if firsts else set()
        return cls(
            system=system,
            jobs=len(batch.ids),
            round=number,
            last_done=round(firsts[-1], 2) if firsts else 0.0,
            lost=len(batch.ids) - len(firsts),
            repeated=total - len(firsts),
            started_twice=None if runs is None else max(0, runs - len(batch.ids)),
            curve=[round(firsts[place], 2) for place in sorted(places)],
        )

    def points(self) -> list[tuple[float, float]]:
        """Return the curve: seconds, and the backups done by then."""
        done = self.jobs - self.lost
        return [(0.0, 0.0), *((at, done * part / len(self.curve)) for part, at in enumerate(self.curve, 1))]


@dataclass
class OurBursts:
    """Makes jobs in our service, and measures how fast that goes."""

    client: Client
    runner: asyncio.Runner
    per_second: float = 0.0
    """Jobs that are surely made in a second; none is known before the first ones."""
    make_one: jobs.Make = jobs.create

    def make(self, count: int, spare: float = 3.0) -> Batch:
        """Make jobs that are due soon after the last one is made."""
        if not self.per_second:  # jobs that come due while others are being made would hold those up
            tomorrow = datetime.now(UTC) + timedelta(days=1)
            eventually(lambda: self._is_made(Batch.of(1, tomorrow)))
            self._make(Batch.of(min(count, _FIRST), tomorrow))
        while True:
            batch = Batch.of(count, jobs.moment_in(count / self.per_second + spare))
            self._make(batch)
            if datetime.now(UTC) < batch.due:
                return batch

    def _is_made(self, batch: Batch) -> bool:
        """Make jobs; False if a server that has just started is not up to it yet."""
        with suppress(RPCError):
            self._make(batch)
            return True
        return False

    def _make(self, batch: Batch) -> None:
        began = time.monotonic()
        alignments = [jobs.alignment(each, batch.due) for each in batch.ids]
        self.runner.run(jobs.create_all(self.client, alignments, self.make_one))
        self.per_second = min(len(batch.ids) / (time.monotonic() - began) * 0.75, 100.0)

    def outcome(self, number: int, batch: Batch, goal: Target) -> Outcome:
        """Wait until no run is open, and sum up."""
        self.runner.run(ours.all_closed(self.client))
        runs = self.runner.run(ours.runs_of(self.client, batch.name, len(batch.ids)))
        seen = goal.seen(batch.name)
        outcome = Outcome.read(OURS, number, batch, seen, runs)
        lost = [scheduler_id for scheduler_id in batch.ids if scheduler_id not in seen]
        outcome.known_of_lost = [self.runner.run(ours.known_of(self.client, each)) for each in lost[:_EXPLAINED]]
        return outcome


def wait_until_done(
    goal: Target,
    batch: Batch,
    meanwhile: Callable[[int], None] = lambda _: None,
    standstill: float = _STANDSTILL,
) -> None:
    """Wait until every job is backed up, or nothing has happened for `standstill` seconds."""
    wanted = set(batch.ids)
    deadline = time.monotonic() + _PATIENCE + _PATIENCE_EACH * len(wanted)
    last, count = time.monotonic(), goal.count(batch.name)
    while time.monotonic() < deadline and time.monotonic() - last < standstill:
        now = goal.count(batch.name)
        if now != count:
            last, count = time.monotonic(), now
        meanwhile(now)
        if now >= len(wanted) and wanted <= goal.seen(batch.name).keys():
            return
        time.sleep(0.1)


@dataclass
class PeerRun:
    """A peer with a database of its own, in which the jobs of a batch are."""

    name: str
    threads: int
    database: Path
    batch: Batch
    goal: Target
    amqp_uri: str
    process: Child | None = None
    started_at: float = 0.0
    restarted: bool = False

    def start(self) -> None:
        """Start the peer, without waiting until it is ready."""
        self.started_at = time.time()
        environ = {"AMQP_URI": self.amqp_uri, "PEER_BACKUP_URL": self.goal.url}
        self.process = Child("lab.bench.peer", str(self.database), self.name, str(self.threads), environ=environ)

    def kill_and_start_again(self) -> None:
        """End it as a power cut does (kill -9), and start it at once."""
        if self.process:
            self.process.kill()
        self.restarted = True
        self.start()

    def outcome(self, number: int) -> Outcome:
        """Sum up."""
        return Outcome.read(peer_with(self.threads), number, self.batch, self.goal.seen(self.batch.name))


@contextmanager
def peer(
    folder: Path, amqp_uri: str, goal: Target, count: int, threads: int, *, is_up: bool = True
) -> Iterator[PeerRun]:
    """Run the peer with `count` jobs due at one moment.

    It `is_up` when the moment comes, which is some seconds after the jobs are made; else it starts only afterwards.
    """
    spare = 3.0
    while True:
        batch = Batch.of(count, jobs.moment_in(spare + count * _SEEDING))
        database = folder / f"{batch.name}.db"
        seed(database, [jobs.arguments(each, duration=0) for each in batch.ids], batch.due)
        run = PeerRun(f"peer-{batch.name}", threads, database, batch, goal, amqp_uri)
        is_in_time = datetime.now(UTC) < batch.due
        try:
            if is_in_time and not is_up:
                jobs.sleep_until(batch.due)
                time.sleep(1)
            if is_in_time:
                run.start()
                if run.process:
                    run.process.first_line()
                if not is_up or datetime.now(UTC) < batch.due:
                    yield run
                    return
        finally:
            if run.process:
                run.process.end()
        spare *= 2
