"""Looks at paths of the worker's machine, any of which may be on a network file system that hangs.

A look that hangs cannot be ended: its thread is lost until the file system answers. So looks have threads of their own,
not those in which Python looks names of hosts up, and a path that hangs is not looked at again meanwhile.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any, Final, TypeVar

THREADS: Final = 8
"""So many different paths may hang at a time before none can be looked at any more."""

LONGEST_LOOK: Final = timedelta(seconds=20)
"""A disk that spins up answers within this."""

T = TypeVar("T")


class PathHangsError(Exception):
    """A path does not answer; the text is a sentence for people."""


class PathLooks:
    """Looks at paths for all backups of a worker; each path that hangs takes one thread, however many ask for it."""

    def __init__(self, threads: int = THREADS, limit: timedelta = LONGEST_LOOK) -> None:
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix="path")
        self._threads = threads
        self._limit = limit
        self._locks: dict[Path, asyncio.Lock] = {}
        self._hanging: dict[Path, Future[Any]] = {}

    async def __call__(self, path: Path, look: Callable[[Path], T]) -> T:
        """Return what `look` finds at the path, or raise what it raises; PathHangsError when it does not come back."""
        try:
            async with asyncio.timeout(self._limit.total_seconds()):
                async with self._locks.setdefault(path, asyncio.Lock()):
                    self._refuse_if_hopeless(path)
                    return await self._look(path, look)
        except TimeoutError:  # also that of a file system which gave up by itself
            self._refuse_if_hopeless(path)
            raise PathHangsError(_silent(path)) from None

    async def _look(self, path: Path, look: Callable[[Path], T]) -> T:
        future = self._executor.submit(look, path)
        try:
            return await asyncio.wrap_future(future)
        finally:
            if not future.done() and not future.cancel():
                self._hanging[path] = future

    def _refuse_if_hopeless(self, path: Path) -> None:
        self._hanging = {hung: future for hung, future in self._hanging.items() if not future.done()}
        if path not in self._hanging and len(self._hanging) >= self._threads:
            hung = ", ".join(sorted(map(str, self._hanging)))
            raise PathHangsError(f"the worker cannot look at {path}, because too many others do not answer: {hung}")
        if path in self._hanging:
            raise PathHangsError(_silent(path))


def _silent(path: Path) -> str:
    return f"the path {path} does not answer (a network file system that hangs?)"
