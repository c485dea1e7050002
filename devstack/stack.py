"""Starts all services in the order of their dependencies, watches them and ends them."""

import fcntl
import math
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TextIO

from devstack import compose, machine, processes, service
from devstack.errors import StackError
from devstack.log import LogStream
from devstack.plan import Plan
from devstack.ports import Ports
from devstack.running import StackInfo
from devstack.service import Service
from devstack.signals import StopSignals

_TICK = 0.05
_GRACE_AFTER_FAILURE = 5
"""Seconds: a service may wait for ever for a server that is gone, and not end."""


def up(
    environ: Mapping[str, str],
    state_dir: Path,
    stop: StopSignals,
    *,
    keep_alive: float | None = None,
    file: Path = compose.FILE,
    plan: Callable[[Mapping[str, str], Path, Ports, LogStream], Plan] = machine.plan,
) -> int:
    """Run a stack until a signal. Return the exit code: 0 after a signal, 1 if the stack could not go on.

    With `keep_alive` all services, the servers too, are started again that many seconds after they died, however often.
    `plan` gives the services of the file their places on this machine.
    """
    log = LogStream(compose.names(file))
    state_dir = state_dir.resolve()
    try:
        state_dir.mkdir(parents=True, exist_ok=True)
        with _locked(state_dir), Ports() as ports:
            _end_leftovers(state_dir, log)
            return Stack(plan(environ, state_dir, ports, log), state_dir, log, keep_alive=keep_alive).run(stop)
    except (StackError, OSError) as error:
        log.say(str(error), "bold red")
        return 1


class Stack:
    """Running services with one state folder."""

    def __init__(self, plan: Plan, state_dir: Path, log: LogStream, *, keep_alive: float | None) -> None:
        self._plan = plan
        self._state_dir = state_dir
        self._log = log
        self._keep_alive = keep_alive
        self._services = {spec.name: Service(spec, plan.environ, plan.directory, log) for spec in plan.specs}
        self._began = time.monotonic()
        self._announced = False

    def run(self, stop: StopSignals) -> int:
        """Run until a signal. However it ends, nothing is left running."""
        stop.on_second = self._kill
        most_grace = math.inf
        try:
            while not stop.count:
                self._tick()
                time.sleep(_TICK)
            self._log.say("Ending all services; Ctrl-C again kills them.")
            return 0
        except StackError as error:
            self._log.say(str(error), "bold red")
            most_grace = _GRACE_AFTER_FAILURE
            return 1
        finally:
            self._end(most_grace)

    def _tick(self) -> None:
        for each in self._services.values():
            if each.process is None and self._may_start(each):
                each.start()
            each.watch()
            if each.died:
                self._restart(each)
        if not self._announced and all(each.ready for each in self._services.values()):
            self._announce(time.monotonic() - self._began)

    def _may_start(self, candidate: Service) -> bool:
        needed = (self._services.get(name) for name in candidate.spec.depends_on)
        return time.monotonic() >= candidate.not_before and all(each is None or each.ready for each in needed)

    def _restart(self, dead: Service) -> None:
        name, code = dead.spec.name, dead.exit_code
        if self._keep_alive is None and dead.restarts >= dead.spec.restarts:
            raise StackError(f"{name} ended by itself (exit code {code}).{dead.last_lines()}")
        self._log.say(f"{name} ended by itself (exit code {code}): starting it again.", "bold red")
        self._announced = False
        self._began = time.monotonic()
        dead.restart_after(self._keep_alive or 0)

    def _announce(self, seconds: float) -> None:
        info = StackInfo(
            **self._plan.addresses.model_dump(),
            pid=os.getpid(),
            pids={name: each.process.pid for name, each in self._services.items() if each.process and each.alive},
            restarts={name: each.restarts for name, each in self._services.items()},
        )
        info.write(self._state_dir)
        self._announced = True
        self._log.say(f"All services are healthy after {seconds:.1f} s. Ctrl-C ends them.", "bold green")
        for line in self._plan.notes:
            self._log.say(line, "bold green")

    def _end(self, most_grace: float) -> None:
        StackInfo.remove(self._state_dir)
        remaining = dict(self._services)
        while remaining:  # first the services on which no other depends
            needed = {name for each in remaining.values() for name in each.spec.depends_on}
            last = [each for name, each in remaining.items() if name not in needed]
            service.end(last, most_grace)
            for each in last:
                del remaining[each.spec.name]
            for each in remaining.values():
                each.muted = True  # servers complain at length about clients that are gone
        self._kill()  # processes that the services started and did not end

    def _kill(self) -> None:
        processes.sweep(str(self._state_dir))


def _locked(state_dir: Path) -> TextIO:
    """Lock the state folder against other stacks; the lock ends with this process, however it ends."""
    lock = (state_dir / "lock").open("a+")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.seek(0)
        raise StackError(f"A stack is already running in {state_dir} (process {lock.read().strip()}).") from None
    lock.truncate(0)
    lock.write(str(os.getpid()))
    lock.flush()
    return lock


def _end_leftovers(state_dir: Path, log: LogStream) -> None:
    """End the processes of an earlier stack that was killed before it could end them."""
    StackInfo.remove(state_dir)
    if leftovers := processes.of_stack(str(state_dir)):
        log.say(f"Ending {len(leftovers)} processes of an earlier stack that was killed.")
        processes.sweep(str(state_dir), grace=3)
