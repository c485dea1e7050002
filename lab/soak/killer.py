"""Faults of the parts of a running stack, one step after the other, each timed until everything works again."""

import asyncio
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext, suppress

import psutil

from backup_scheduler.contract.methods import GET
from lab.parts.answers import Reply
from lab.parts.restic_processes import Seen, watching
from lab.soak.faults import Kind, Step
from lab.soak.outages import Outage
from lab.soak.processes import Processes
from lab.soak.rpc import Rpc
from lab.soak.slow_restic import SlowRestic
from lab.soak.target import Target

_PAUSE = 0.1
_PATIENCE = 120
"""Seconds in which a stack has to recover."""


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

    def answered(self, over: float) -> float | None:
        """Return the moment of the first answer 200 to a call that was sent after the faults were over."""
        return min((ended for began, ended in self._answered[-1000:] if began > over), default=None)


class Killer:
    """Makes faults step by step, and watches the stack until it has recovered from each."""

    def __init__(
        self,
        processes: Processes,
        steps: Iterator[Step],
        prober: Prober,
        target: Target,
        restic: SlowRestic,
        say: Callable[[str], None],
    ) -> None:
        self.outages: list[Outage] = []
        self.complaints: list[str] = []
        self._processes = processes
        self._steps = steps
        self._prober = prober
        self._target = target
        self._restic = restic
        self._say = say

    def disturbed(self, since: float) -> bool:
        """Whether the stack was in trouble at any time since that moment."""
        return any(outage.calm >= since for outage in self.outages)

    def split(self, since: float) -> bool:
        """Whether nodes of Temporal could not reach each other at any time since that moment."""
        return any(outage.calm >= since and outage.step.splits for outage in self.outages)

    async def work(self, stop: asyncio.Event, every: float, most: int) -> None:
        """Make a step every `every` seconds, later where the stack has not recovered by then."""
        following = time.time()
        while not self._processes.all_worked(0) and not await _stopped(stop, _PAUSE):
            if time.time() > following + _PATIENCE:
                self.complaints.append(f"never seen at work: {', '.join(self._processes.idle(0))}")
                return
        while not stop.is_set() and len(self.outages) < most:
            following = max(following + every, time.time())
            if await _stopped(stop, following - time.time()):
                return
            await self._make(next(self._steps), stop)

    async def _make(self, step: Step, stop: asyncio.Event) -> None:
        if step.amid and not await self._backup_under_way(step.amid, stop):
            return
        # Two restics of one run would begin while an attempt is lost, so the others need no look.
        async with watching(self._restic.mark) if step.amid else nullcontext(Seen()) as seen:
            outage = Outage(step, time.time())
            self.outages.append(outage)
            with struck(step, self._processes) as killed:
                await _stopped(stop, max(fault.seconds for fault in step.faults))
            await self.ended(step, killed)
            outage.over = time.time()
            await self.recovery(outage, outage.over)
        self.complaints += [f"{step}: two restics at once for {each}" for each in sorted(seen.at_once)]
        await self._back(killed)

    async def _backup_under_way(self, whose: str, stop: asyncio.Event) -> bool:
        """Wait until a worker has a slow restic at work; return False when the soak ends meanwhile."""
        deadline = time.time() + _PATIENCE
        with self._restic.slow(whose):
            while not await asyncio.to_thread(self._restic.slow_ones, whose):
                if time.time() > deadline:
                    self.complaints.append(f"no backup of {whose} was under way within {_PATIENCE} s")
                    return False
                if await _stopped(stop, _PAUSE):
                    return False
        return True

    async def ended(self, step: Step, killed: dict[str, int]) -> None:
        """Wait until killed processes have ended; one that was told to and does not is killed, and complained of."""
        deadline = time.time() + _PATIENCE
        while alive := [name for name, pid in killed.items() if _alive(pid)]:  # devstack waits for them, not we
            if time.time() > deadline:
                self.complaints.append(f"{step}: {', '.join(alive)} did not end within {_PATIENCE} s")
                for name in alive:
                    with suppress(ProcessLookupError):
                        os.kill(killed[name], signal.SIGKILL)
                deadline += _PATIENCE
            await asyncio.sleep(_PAUSE)

    async def recovery(self, outage: Outage, over: float) -> None:
        """Wait until everything works again; `over` is the moment since which no fault lasts."""
        while True:
            signs = (self._prober.answered(over), self._reached(over), self._processes.all_worked(over))
            moments = [moment for moment in signs if moment is not None]
            if len(moments) == len(signs):
                break
            if time.time() > over + _PATIENCE:
                outage.given_up = time.time()
                idle = ", ".join(self._processes.idle(over))
                self._say(f"{outage.step}: the stack did not recover within {_PATIENCE} s; idle: {idle}")
                return
            await asyncio.sleep(_PAUSE)
        outage.recovered = max(moments)
        self._say(f"{outage.step}: all works again after {outage.seconds:.1f} s")

    def _reached(self, over: float) -> float | None:
        """Return the moment at which the first run due after the faults were over reached its target."""
        times = [arrived for arrived, due in self._target.arrivals[-500:] if due > over and arrived > over]
        return min(times, default=None)

    async def _back(self, killed: dict[str, int]) -> None:
        """Wait until the processes that took the places of killed ones are known, so that they can be struck, too."""
        deadline = time.time() + _PATIENCE
        while any(self._processes.pid(name) in (None, pid) for name, pid in killed.items()):
            if time.time() > deadline:
                raise RuntimeError(f"{', '.join(killed)} did not come back")
            await asyncio.sleep(_PAUSE)


@contextmanager
def struck(step: Step, processes: Processes) -> Iterator[dict[str, int]]:
    """Make the faults of a step; at the end of the block let frozen processes go on, and mend links.

    Yields the killed processes. Raises RuntimeError when the stack is gone.
    """
    killed = {}
    if any(fault.kind is Kind.UPGRADE for fault in step.faults):
        processes.prepare_upgrade()
    with ExitStack() as undone:
        for fault in step.faults:
            if fault.kind is Kind.CUT:
                link = processes.link(fault.where)
                link.cut()
                undone.callback(link.mend)
                continue
            pid = processes.pid(fault.where)
            if pid is None:
                raise RuntimeError(f"{fault.where} is away")
            os.kill(pid, signal.SIGTERM if fault.kind is Kind.UPGRADE else signal.Signals[fault.kind])
            if fault.is_kill:
                killed[fault.where] = pid
            else:
                undone.callback(_go_on, pid)
        yield killed


def _go_on(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGCONT)


def _alive(pid: int) -> bool:
    with suppress(psutil.NoSuchProcess):
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    return False


async def _stopped(stop: asyncio.Event, seconds: float) -> bool:
    with suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), seconds)
    return stop.is_set()
