"""Kills of the parts of a running stack, one after the other, each timed until everything works again."""

import asyncio
import math
import os
import signal
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from random import Random

import psutil

from backup_scheduler.contract.methods import GET
from devstack.running import StackInfo
from lab.parts.answers import Reply
from lab.soak.rpc import Rpc
from lab.soak.target import Target

PARTS = ("rpc", "worker", "temporal", "rabbitmq")

_TERM_SHARE = 0.25
"""Share of kills by SIGTERM; the others are kill -9."""

_PAUSE = 0.1
_PATIENCE = 120
"""Seconds in which a stack has to recover."""


@dataclass
class Kill:
    """One part killed; times of the epoch."""

    part: str
    signal: str
    at: float
    recovered: float | None = None
    """Moment by which a later call had been answered with 200, and a run that came due later had reached its target."""
    given_up: float | None = None
    """Moment at which the soak stopped waiting for that."""

    @property
    def end(self) -> float:
        """Moment since which the stack counts as whole again; infinite while the soak waits for that.

        A stack that has not recovered in time has failed, and is no excuse for what comes later.
        """
        return next((moment for moment in (self.recovered, self.given_up) if moment is not None), math.inf)

    def meanwhile(self, spans: Iterable[tuple[float, float]]) -> int:
        """Return the number of these spans of time that overlap the outage."""
        return sum(began <= self.end and ended >= self.at for began, ended in spans)

    @property
    def seconds(self) -> float | None:
        """Time to recover, the start of the new process included."""
        return None if self.recovered is None else self.recovered - self.at


class Prober:
    """Calls get_job for one job all the time, to find the moment since which the service answers."""

    def __init__(self, rpc: Rpc, scheduler_id: str) -> None:
        self._answered: list[tuple[float, float]] = []
        self._rpc = rpc
        self._scheduler_id = scheduler_id

    async def work(self, stop: asyncio.Event, judge: Callable[[float, Reply | None], None]) -> None:
        """Ask until `stop` is set."""
        while not stop.is_set():
            began = time.time()
            reply = await self._rpc.call(GET, {"scheduler_id": self._scheduler_id})
            judge(began, reply)
            if reply is not None and reply["code"] == 200:
                self._answered.append((began, time.time()))
            await asyncio.sleep(0.25)
        await self._rpc.close()

    def answered(self, gone: float) -> float | None:
        """Return the moment of the first answer 200 to a call that was sent after the part was gone."""
        return min((ended for began, ended in self._answered[-1000:] if began > gone), default=None)


class Killer:
    """Draws parts from a shuffled deck, so that each gets its share even in a short soak."""

    def __init__(
        self, state_dir: Path, random: Random, prober: Prober, target: Target, say: Callable[[str], None]
    ) -> None:
        self.kills: list[Kill] = []
        self._state_dir = state_dir
        self._random = random
        self._prober = prober
        self._target = target
        self._say = say

    def disturbed(self, since: float) -> bool:
        """Whether the stack was in trouble at any time since that moment."""
        return any(kill.end >= since for kill in self.kills)

    async def work(self, stop: asyncio.Event, every: float, most: int) -> None:
        """Kill a part every `every` seconds, later where the stack has not recovered by then."""
        deck: list[str] = []
        following = time.time()
        while not stop.is_set() and len(self.kills) < most:
            following = max(following + every, time.time())
            if await _stopped(stop, following - time.time()):
                return
            if not deck:
                deck = self._random.sample(PARTS, len(PARTS))
            await self._kill(deck.pop(), signal.SIGTERM if self._random.random() < _TERM_SHARE else signal.SIGKILL)

    async def _kill(self, part: str, number: signal.Signals) -> None:
        info = StackInfo.read(self._state_dir)
        if info is None:
            raise RuntimeError("the stack is gone")
        pid = info.pids[part]
        kill = Kill(part, number.name, time.time())
        self.kills.append(kill)
        os.kill(pid, number)
        while _alive(pid):  # the process is devstack's child, not ours
            await asyncio.sleep(_PAUSE)
        gone = time.time()
        while (answered := self._prober.answered(gone)) is None or (reached := self._reached(gone)) is None:
            if time.time() > kill.at + _PATIENCE:
                kill.given_up = time.time()
                self._say(f"{part} {number.name}: the stack did not recover within {_PATIENCE} s")
                return
            await asyncio.sleep(_PAUSE)
        kill.recovered = max(answered, reached)
        self._say(f"{part} {number.name}: all works again after {kill.seconds:.1f} s")
        await self._healthy(part, pid)

    def _reached(self, gone: float) -> float | None:
        """Return the moment at which the first run due after the part was gone reached its target."""
        times = [arrived for arrived, due in self._target.arrivals[-500:] if due > gone and arrived > gone]
        return min(times, default=None)

    async def _healthy(self, part: str, old_pid: int) -> None:
        """Wait until devstack names the new process, so that it can be killed too."""
        deadline = time.time() + _PATIENCE
        while (info := StackInfo.read(self._state_dir)) is not None and info.pids.get(part) == old_pid:
            if time.time() > deadline:
                raise RuntimeError(f"{part} did not come back")
            await asyncio.sleep(_PAUSE)


def _alive(pid: int) -> bool:
    with suppress(psutil.NoSuchProcess):
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    return False


async def _stopped(stop: asyncio.Event, seconds: float) -> bool:
    with suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), seconds)
    return stop.is_set()
