"""What a restic of ours leaves that did not end by itself: it may still be at work, or its lock may stay behind.

Nothing is done to what is not provably ours: a restic that this machine shows under the pid and the start time that
an attempt recorded, and the lock that names its host, its pid and its user and is not older than it.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Final

from activities.restic import locations
from activities.restic.failures import transient
from activities.restic.locks import Lock, lock_ids, read_lock
from activities.restic.processes import Fate, StartedRestic, end, ended, fate, pid_is_unambiguous

RENEWED_WITHIN: Final = timedelta(minutes=6)
"""restic renews its lock every 5 minutes: after this an unchanged one belongs to nobody who is at work."""

_CHECK_INTERVAL: Final = 10
"""Seconds between two looks at the locks of a repository."""

_DYING: Final = 5
"""Seconds within which a process is gone that was killed."""

Reading = Callable[[Sequence[str]], Awaitable[list[str]]]
"""Runs a command of restic that only reads, and returns the lines that it printed; none when it failed."""


class Aftermath:
    """Looks after what earlier attempts left in one repository."""

    def __init__(self, read: Reading, folder: Path | None, step: Callable[[str], None], stop_time: timedelta) -> None:
        self._read = read
        self._folder = folder
        """Of a local repository: only there can one lock be removed."""
        self._step = step
        self._stop_time = stop_time

    async def settle(self, earlier: Sequence[StartedRestic]) -> list[str]:
        """Wait until no earlier restic of this run is at work, and remove their locks.

        Returns a sentence for each lock that stays. Raises ApplicationError when one is at work where it cannot be
        ended: two at once would make two snapshots.
        """
        remain: list[str] = []
        for restic in earlier:
            if fate(restic) is Fate.ALIVE:
                self._step(f"ending restic of an earlier attempt, pid {restic.pid}")
                await end(restic, self._stop_time.total_seconds())
            if fate(restic) is Fate.UNKNOWN:
                remain += await self._outwait(restic)
            else:
                remain += await self.clear(restic)
        return remain

    async def clear(self, restic: StartedRestic) -> list[str]:
        """Remove the locks of a restic of ours that is gone; return a sentence for each one that stays."""
        await ended(restic, _DYING)
        locks = await self._locks_of(restic)
        if not locks:
            return []
        if self._folder is None or not await asyncio.to_thread(_is_provably_gone, restic, self._folder):
            return [_stays(lock) for lock in locks]
        for lock in locks:
            await asyncio.to_thread((self._folder / "locks" / lock.id).unlink, missing_ok=True)
        return []

    async def _outwait(self, restic: StartedRestic) -> list[str]:
        """Wait for a restic that nobody can look at from here, as long as its lock may mean that it is at work."""
        locks = await self._locks_of(restic)
        first, began = {lock.id for lock in locks}, time.monotonic()
        while locks:
            if {lock.id for lock in locks} != first:
                raise transient(
                    f"restic of an earlier attempt of this run is still at work, as pid {restic.pid} on {restic.host}: "
                    "its worker has lost Temporal, or was killed alone"
                )
            if time.monotonic() - began > RENEWED_WITHIN.total_seconds():
                return [_stays(lock) for lock in locks]
            self._step(f"waiting for restic of an earlier attempt, pid {restic.pid} on {restic.host}, or its silence")
            await asyncio.sleep(_CHECK_INTERVAL)
            locks = await self._locks_of(restic)
        return []

    async def _locks_of(self, restic: StartedRestic) -> list[Lock]:
        if self._folder and not await asyncio.to_thread(_any_file, self._folder / "locks"):
            return []  # restic itself takes a second to open a repository
        found = []
        for lock_id in lock_ids(await self._read(["list", "locks"])):
            lock = read_lock(lock_id, await self._read(["cat", "lock", lock_id]))
            if lock and lock.is_of(restic):
                found.append(lock)
        return found


def _is_provably_gone(restic: StartedRestic, folder: Path) -> bool:
    return fate(restic) is Fate.GONE and pid_is_unambiguous(restic) and locations.is_on_local_disk(folder)


def _any_file(folder: Path) -> bool:
    try:
        return any(folder.iterdir())
    except OSError:
        return True  # restic says what is the matter


def _stays(lock: Lock) -> str:
    return (
        f"the repository has a {lock}, which an earlier attempt of this run left and which keeps prune and check out: "
        "when no restic runs there, `restic unlock` removes it"
    )
