"""Clean-up after earlier attempts whose restic did not end by itself: it may still run, or its lock may remain.

It touches only what is provably ours. A restic is ours when this machine shows it under the pid and the start time that
an attempt recorded. A lock is ours when it names the host, the pid and the user of that restic and is not older.
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
from activities.restic.processes import Fate, StartedRestic, fate, pid_is_unambiguous, stop, wait_until_ended

RENEWED_WITHIN: Final = timedelta(minutes=6)
"""restic renews its lock every 5 minutes: a lock that stays unchanged this long belongs to no running restic."""

_CHECK_INTERVAL: Final = 10
"""Seconds between two checks of the locks of a repository."""

_TIME_TO_DIE: Final = 5
"""Seconds within which a killed process is gone."""

ReadLines = Callable[[Sequence[str]], Awaitable[list[str]]]
"""Runs a restic command that only reads; returns the lines that it printed, none when it failed."""


class Aftermath:
    """Cleans up after earlier attempts in one repository."""

    def __init__(
        self, read_lines: ReadLines, folder: Path | None, step: Callable[[str], None], stop_time: timedelta
    ) -> None:
        self._read_lines = read_lines
        self._folder = folder
        """Folder of a local repository; only there can a single lock be removed."""
        self._step = step
        self._stop_time = stop_time

    async def settle(self, earlier: Sequence[StartedRestic]) -> list[str]:
        """End every earlier restic of this run, or wait for its end, and remove its locks.

        Returns a sentence for each lock that stays. Raises ApplicationError when a restic runs where it cannot be
        ended: two at once would make two snapshots.
        """
        remaining: list[str] = []
        for restic in earlier:
            if fate(restic) is Fate.ALIVE:
                self._step(f"ending restic of an earlier attempt, pid {restic.pid}")
                await stop(restic, self._stop_time.total_seconds())
            if fate(restic) is Fate.UNKNOWN:
                remaining += await self._outwait(restic)
            else:
                remaining += await self.clear(restic)
        return remaining

    async def clear(self, restic: StartedRestic) -> list[str]:
        """Remove the locks of a restic of ours that is gone; return a sentence for each lock that stays."""
        await wait_until_ended(restic, _TIME_TO_DIE)
        locks = await self._locks_of(restic)
        if not locks:
            return []
        if self._folder is None or not await asyncio.to_thread(_is_provably_gone, restic, self._folder):
            return [_stays(lock) for lock in locks]
        for lock in locks:
            await asyncio.to_thread((self._folder / "locks" / lock.id).unlink, missing_ok=True)
        return []

    async def _outwait(self, restic: StartedRestic) -> list[str]:
        """Wait for a restic that cannot be seen from here, as long as its lock may mean that it runs."""
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
            return []  # spares a command: restic takes a second to open a repository
        found = []
        for lock_id in lock_ids(await self._read_lines(["list", "locks"])):
            lock = read_lock(lock_id, await self._read_lines(["cat", "lock", lock_id]))
            if lock and lock.is_of(restic):
                found.append(lock)
        return found


def _is_provably_gone(restic: StartedRestic, folder: Path) -> bool:
    return fate(restic) is Fate.GONE and pid_is_unambiguous(restic) and locations.is_on_local_disk(folder)


def _any_file(folder: Path) -> bool:
    try:
        return any(folder.iterdir())
    except OSError:
        return True  # restic reports the fault


def _stays(lock: Lock) -> str:
    return (
        f"the repository has a {lock}, which an earlier attempt of this run left and which keeps prune and check out: "
        "when no restic runs there, `restic unlock` removes it"
    )
