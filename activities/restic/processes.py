"""Processes of restic: a later attempt learns from /proc whether the restic of an earlier one is gone."""

import asyncio
import os
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from enum import Enum, auto
from pathlib import Path
from typing import Final

from pydantic import BaseModel

_MACHINES_OWN: Final = "pid:[4026531836]"
"""A machine's initial PID namespace, whose processes see those of all others (include/linux/proc_ns.h)."""


class StartedRestic(BaseModel):
    """Identity of a restic process of ours. Heartbeats carry it, so it outlasts a lost worker."""

    host: str
    boot: str
    """The kernel's id of the current boot of the machine; a container has the id of its machine."""
    pid_namespace: str
    pid: int
    uid: int
    started: int
    """Clock ticks from the boot to its start; they tell it from a later process with the same pid."""
    since: datetime
    """A moment before its start."""


class Fate(Enum):
    """State of a process that was started earlier, perhaps elsewhere."""

    ALIVE = auto()
    GONE = auto()
    UNKNOWN = auto()
    """It ran on another machine, before a restart, or in another PID namespace, so it cannot be seen from here."""


def identify(pid: int, since: datetime) -> StartedRestic | None:
    """Return the identity of a child process; None when it has ended already."""
    started = _start_of(pid)
    if started is None:
        return None
    return StartedRestic(
        host=socket.gethostname(),
        boot=_boot(),
        pid_namespace=_namespace(),
        pid=pid,
        uid=os.getuid(),
        started=started,
        since=since,
    )


def fate(restic: StartedRestic) -> Fate:
    """Tell whether a restic of ours still runs; UNKNOWN when that is not certain."""
    if (restic.boot, restic.pid_namespace) != (_boot(), _namespace()):
        return Fate.UNKNOWN
    if _start_of(restic.pid) == restic.started:
        return Fate.ALIVE
    # The mount option hidepid hides the processes of other users.
    return Fate.GONE if _sees_all() else Fate.UNKNOWN


def pid_is_unambiguous(restic: StartedRestic) -> bool:
    """Tell whether no other process of this machine can have written this pid into a lock.

    A container on the host's network has the host's name, but its own pids. Only the machine's initial PID namespace
    sees the processes of all others.
    """
    if not restic.pid_namespace == _namespace() == _MACHINES_OWN or not _sees_all():
        return False
    return not any(restic.pid in _pids(process) for process in Path("/proc").glob("[0-9]*"))


async def stop(restic: StartedRestic, seconds: float) -> None:
    """Stop a running restic: send SIGINT, on which it removes its lock, and after `seconds` SIGKILL.

    When this user may not send signals to it, wait until it ends by itself.
    """
    with _open(restic) as process:
        if process is None:
            return
        for signum in (signal.SIGINT, signal.SIGKILL):
            with suppress(PermissionError, ProcessLookupError):
                signal.pidfd_send_signal(process, signum)
                if await _wait(process, seconds):
                    return
        await _wait(process, None)


async def wait_until_ended(restic: StartedRestic, seconds: float) -> bool:
    """Wait until a restic has ended; return False when it has not ended within `seconds`."""
    with _open(restic) as process:
        return process is None or await _wait(process, seconds)


@contextmanager
def _open(restic: StartedRestic) -> Iterator[int | None]:
    """Yield a descriptor of this very process, also when its pid is reused later; None when it is gone."""
    try:
        process = os.pidfd_open(restic.pid)
    except ProcessLookupError:
        yield None
        return
    try:
        yield process if fate(restic) is Fate.ALIVE else None
    finally:
        os.close(process)


async def _wait(process: int, seconds: float | None) -> bool:
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_reader(process, ended.set)
    try:
        await asyncio.wait_for(ended.wait(), seconds)
    except TimeoutError:
        return False
    finally:
        loop.remove_reader(process)
    return True


def _start_of(pid: int) -> int | None:
    """Return the start of a process in clock ticks (proc(5): the 22nd field of stat); None when it has ended."""
    try:
        # The name of the program, in brackets, may hold any character.
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] in "ZX" else int(fields[19])


def _pids(process: Path) -> list[int]:
    """Return the pids of a process, in this namespace and in those below it; none when it has ended."""
    try:
        status = (process / "status").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    fields = dict(line.split(":", 1) for line in status.splitlines() if ":" in line)
    return [] if fields["State"].split()[0] in "ZX" else [int(pid) for pid in fields["NSpid"].split()]


def _sees_all() -> bool:
    return Path("/proc/1/status").exists()


def _boot() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()


def _namespace() -> str:
    return str(Path("/proc/self/ns/pid").readlink())
