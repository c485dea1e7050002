"""Faults are made and undone, and a stack has recovered only when each of its processes is seen at work again."""

import asyncio
import json
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any, cast

import psutil
import pytest

from devstack.running import LOG
from lab.parts.waiting import eventually
from lab.soak import killer
from lab.soak.faults import Fault, Kind, Step
from lab.soak.killer import Killer, struck
from lab.soak.outages import Outage
from lab.soak.processes import Processes
from lab.soak.sites import DEVELOPMENT
from lab.soak.target import Target
from lab.soak.twins import Link, Twins

LINK = "worker-2|temporal"
KILL = Step((Fault(Kind.KILL, "worker"),))


class Recorder(Link):
    """A way that leads nowhere."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def cut(self) -> None:
        self.said.append("cut")

    def mend(self) -> None:
        self.said.append("mended")


class Some(Processes):
    """One process, called worker, and one link."""

    def __init__(self, pid: int | None) -> None:
        self.relay = Recorder()
        self._pid = pid

    def pid(self, name: str) -> int | None:
        return self._pid if name == "worker" else None

    def link(self, name: str) -> Link:
        assert name == LINK
        return self.relay


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["sleep", "60"]) as process:
        yield process
        process.kill()


@pytest.mark.programs
def test_a_frozen_process_goes_on_at_the_end(sleeper: subprocess.Popen[bytes]) -> None:
    with struck(Step((Fault(Kind.FREEZE, "worker", 1),)), Some(sleeper.pid)) as killed:
        eventually(lambda: psutil.Process(sleeper.pid).status() == psutil.STATUS_STOPPED)
    assert killed == {}
    eventually(lambda: psutil.Process(sleeper.pid).status() != psutil.STATUS_STOPPED)


@pytest.mark.programs
@pytest.mark.parametrize("kind", [Kind.KILL, Kind.TERMINATE])
def test_a_killed_process_is_named(sleeper: subprocess.Popen[bytes], kind: Kind) -> None:
    with struck(Step((Fault(kind, "worker"),)), Some(sleeper.pid)) as killed:
        assert killed == {"worker": sleeper.pid}
        assert sleeper.wait(10) < 0


def test_a_link_is_mended_at_the_end() -> None:
    some = Some(None)
    with struck(Step((Fault(Kind.CUT, LINK, 1),)), some):
        assert some.relay.said == ["cut"]
    assert some.relay.said == ["cut", "mended"]


def test_a_link_is_mended_when_the_other_fault_cannot_be_made() -> None:
    some = Some(None)
    with (
        pytest.raises(RuntimeError, match="worker is away"),
        struck(Step((Fault(Kind.CUT, LINK, 1), *KILL.faults)), some),
    ):
        raise AssertionError
    assert some.relay.said == ["cut", "mended"]


class Answering:
    """A prober to which every call is answered."""

    def answered(self, over: float) -> float:
        return over + 1


def watching(folder: Path, arrivals: list[tuple[float, float]]) -> Killer:
    """Return a killer of a stack whose RPC process and worker write into devstack's log in this folder."""
    prober, nothing = cast("Any", Answering()), cast("Any", None)
    target = Target(Random(1), slowness=0, arrivals=arrivals)
    return Killer(Processes(DEVELOPMENT, folder, Twins({}, {})), iter(()), prober, target, nothing, lambda _: None)


def work(folder: Path, service: str, *events: str) -> None:
    fields = {"code": 200, "seconds": 0.0, "run_id": "a", "attempt": 1, "timestamp": datetime.now(UTC).isoformat()}
    with (folder / LOG).open("a") as log:
        log.writelines(f"{service:>9} │ {json.dumps({'event': event, **fields})}\n" for event in events)


async def test_a_stack_has_recovered_when_calls_runs_and_each_process_work_again(tmp_path: Path) -> None:
    over = time.time()
    outage = Outage(KILL, at=over - 1, over=over)
    arrivals: list[tuple[float, float]] = []
    watched = watching(tmp_path, arrivals)
    recovering = asyncio.create_task(watched.recovery(outage, over))
    signs: list[Callable[[], None]] = [
        lambda: work(tmp_path, "rpc", "call answered"),
        lambda: arrivals.append((over + 2, over + 1)),
        lambda: work(tmp_path, "worker", "backup attempt started", "backup attempt succeeded"),
    ]
    for sign in signs:
        done, _ = await asyncio.wait([recovering], timeout=0.3)
        assert not done
        sign()
    await recovering
    assert outage.recovered is not None
    assert outage.recovered >= over + 2


@pytest.mark.programs
async def test_a_process_that_was_told_to_end_and_does_not_is_complained_of_and_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(killer, "_PATIENCE", 0.3)
    step = Step((Fault(Kind.TERMINATE, "worker"),))
    stubborn = await asyncio.create_subprocess_exec(
        "bash", "-c", "trap '' TERM; echo; exec sleep 60", stdout=asyncio.subprocess.PIPE
    )
    assert stubborn.stdout is not None
    await stubborn.stdout.readline()  # it heeds SIGTERM no more
    with struck(step, Some(stubborn.pid)) as killed:
        pass
    watched = watching(tmp_path, [])
    await watched.ended(step, killed)
    assert watched.complaints == [f"{step}: worker did not end within 0.3 s"]
    assert await stubborn.wait() == -signal.SIGKILL


async def test_a_stack_with_an_idle_process_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(killer, "_PATIENCE", 0.3)
    over = time.time()
    outage = Outage(KILL, at=over - 1, over=over)
    work(tmp_path, "rpc", "call answered")
    await watching(tmp_path, [(over + 2, over + 1)]).recovery(outage, over)
    assert (outage.recovered, outage.seconds) == (None, None)
    assert outage.given_up is not None
