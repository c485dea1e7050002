"""Ends processes, their children and whatever they left behind."""

import math
import time
from collections.abc import Iterable
from contextlib import suppress

import psutil

MARK = "DEVSTACK_STATE_DIR"
"""Environment variable that every process of a stack carries, with the stack's state folder as its value.

It is how daemons are found that left their parent and its process group, such as Erlang's port mapper.
"""


_PATIENCE = 5
"""Seconds until even a process that was killed should be gone."""


def of_stack(state_dir: str) -> list[psutil.Process]:
    """Return all processes that belong to the stack of that state folder, whoever their parent is."""
    return [process for process in psutil.process_iter() if _mark(process) == state_dir]


def end(processes: Iterable[psutil.Process], grace: float, again_after: float = math.inf) -> None:
    """Send SIGTERM, again every `again_after` seconds, and kill those that are still there after `grace` seconds."""
    alive = list(processes)
    deadline = time.monotonic() + grace
    while alive and (left := deadline - time.monotonic()) > 0:
        for process in alive:
            _signal(process, kill=False)
        _, alive = psutil.wait_procs(alive, timeout=min(left, again_after))
    for process in alive:
        _signal(process, kill=True)
    psutil.wait_procs(alive, timeout=_PATIENCE)


def sweep(state_dir: str, grace: float = 0) -> None:
    """End all processes of a stack, those too that others start meanwhile; kill them after `grace` seconds.

    One that is dead but that its parent has not waited for shows no environment any more, so it counts as gone.
    """
    began = time.monotonic()
    told = set[psutil.Process]()
    while (left := of_stack(state_dir)) and (passed := time.monotonic() - began) < grace + _PATIENCE:
        for process in left:
            if passed >= grace:
                _signal(process, kill=True)
            elif process not in told:
                _signal(process, kill=False)
                told.add(process)
        time.sleep(0.02)


def _signal(process: psutil.Process, *, kill: bool) -> None:
    with suppress(psutil.NoSuchProcess):
        process.kill() if kill else process.terminate()


def _mark(process: psutil.Process) -> str | None:
    try:
        return process.environ().get(MARK)
    except (psutil.Error, OSError):  # another user's, or gone meanwhile
        return None
