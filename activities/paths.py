"""Probes paths of the worker's machine. A path may be on a network file system that hangs.

Nothing can end a probe that hangs: its thread is lost until the file system answers. So probes have their own threads,
apart from those in which Python resolves host names, and a path that hangs is not probed again until it answers.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any, Final, TypeVar

THREADS: Final = 8
"""Number of paths that may hang at a time; when all threads hang, no other path can be probed."""

LONGEST_PROBE: Final = timedelta(seconds=20)
"""Longest wait for a path. A disk that spins up answers within this time."""

T = TypeVar("T")


class PathHangsError(Exception):
    """A path does not answer; the text is a sentence for people."""


class PathProbe:
    """Probes paths for all backups of a worker. A path that hangs takes one thread, however many backups probe it."""

    def __init__(self, threads: int = THREADS, limit: timedelta = LONGEST_PROBE) -> None:
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix="path")
        self._threads = threads
        self._limit = limit
        self._locks: dict[Path, asyncio.Lock] = {}
        self._hanging: dict[Path, Future[Any]] = {}

    async def __call__(self, path: Path, function: Callable[[Path], T]) -> T:
        """Return the function's result for the path. Raises its error, or PathHangsError when no answer comes."""
        try:
            async with asyncio.timeout(self._limit.total_seconds()):
                async with self._locks.setdefault(path, asyncio.Lock()):
                    self._raise_if_hanging(path)
                    return await self._call(path, function)
        except TimeoutError:  # also from a file system that gave up by itself
            self._raise_if_hanging(path)
            raise PathHangsError(_silent(path)) from None

    async def _call(self, path: Path, function: Callable[[Path], T]) -> T:
        future = self._executor.submit(function, path)
        try:
            return await asyncio.wrap_future(future)
        finally:
            if not future.done() and not future.cancel():
                self._hanging[path] = future

    def _raise_if_hanging(self, path: Path) -> None:
        self._hanging = {hung: future for hung, future in self._hanging.items() if not future.done()}
        if path not in self._hanging and len(self._hanging) >= self._threads:
            hung = ", ".join(sorted(map(str, self._hanging)))
            raise PathHangsError(f"the worker cannot look at {path}, because too many others do not answer: {hung}")
        if path in self._hanging:
            raise PathHangsError(_silent(path))


def _silent(path: Path) -> str:
    return f"the path {path} does not answer (a network file system that hangs?)"
