"""Ends processes, their children and the processes that they left behind."""

import math
import time
from collections.abc import Iterable
from contextlib import suppress

import psutil

MARK = "DEVSTACK_STATE_DIR"
"""Environment variable that every process of a stack carries, with the stack's state folder as its value.

It finds daemons that left their parent and its process group, such as Erlang's port mapper.
"""

_PATIENCE = 5
"""Seconds in which a killed process should be gone."""


def of_stack(state_dir: str) -> list[psutil.Process]:
    """Return all processes of the stack with that state folder, whichever parents they have."""
    return [process for process in psutil.process_iter() if _mark(process) == state_dir]


def end(processes: Iterable[psutil.Process], grace: float, repeat_every: float = math.inf) -> None:
    """Send SIGTERM, repeat it every `repeat_every` seconds, and kill processes that remain after `grace` seconds."""
    alive = list(processes)
    deadline = time.monotonic() + grace
    while alive and (left := deadline - time.monotonic()) > 0:
        for process in alive:
            _signal(process, kill=False)
        _, alive = psutil.wait_procs(alive, timeout=min(left, repeat_every))
    for process in alive:
        _signal(process, kill=True)
    psutil.wait_procs(alive, timeout=_PATIENCE)


def sweep(state_dir: str, grace: float = 0) -> None:
    """End all processes of a stack, also those that start meanwhile; kill them after `grace` seconds.

    A dead process for which its parent has not waited shows no environment any more, so it counts as gone.
    """
    began = time.monotonic()
    terminated = set[psutil.Process]()
    while (left := of_stack(state_dir)) and (passed := time.monotonic() - began) < grace + _PATIENCE:
        for process in left:
            if passed >= grace:
                _signal(process, kill=True)
            elif process not in terminated:
                _signal(process, kill=False)
                terminated.add(process)
        time.sleep(0.02)


def _signal(process: psutil.Process, *, kill: bool) -> None:
    with suppress(psutil.NoSuchProcess):
        process.kill() if kill else process.terminate()


def _mark(process: psutil.Process) -> str | None:
    try:
        return process.environ().get(MARK)
    except (psutil.Error, OSError):  # another user's, or gone meanwhile
        return None
