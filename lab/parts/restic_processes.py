"""The restic processes of this machine that make backups, by their runs."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote

import psutil

_TAG = "--tag=run="
_PAUSE = 0.1
"""Seconds between two looks."""


def backing_up(environ: Mapping[str, str] | None = None) -> dict[str, set[int]]:
    """Return the process ids of those that are at work, by the occurrence (workflow id and run id).

    With `environ` only those that have these variables.
    """
    found: dict[str, set[int]] = defaultdict(set)
    for process in psutil.process_iter():
        try:
            words = process.cmdline()
            # The process between worker and restic has the same words behind its own.
            if not words or Path(words[0]).name != "restic" or "backup" not in words or not process.is_running():
                continue
            if environ is None or environ.items() <= process.environ().items():
                for word in words:
                    if word.startswith(_TAG):
                        found[unquote(word.removeprefix(_TAG))].add(process.pid)
        except psutil.Error:  # gone meanwhile
            continue
    return found


@dataclass
class Seen:
    """What was seen of them over some time."""

    processes: dict[str, set[int]] = field(default_factory=lambda: defaultdict(set))
    """All process ids, by occurrence."""
    at_once: set[str] = field(default_factory=set)
    """Occurrences that two of them worked on at one moment."""


@asynccontextmanager
async def watching(environ: Mapping[str, str] | None = None) -> AsyncIterator[Seen]:
    """Look at them all the time during the block; with `environ` only at those that have these variables."""
    seen, over = Seen(), asyncio.Event()

    async def watch() -> None:
        while not over.is_set():
            for occurrence, pids in (await asyncio.to_thread(backing_up, environ)).items():
                seen.processes[occurrence] |= pids
                if len(pids) > 1:
                    seen.at_once.add(occurrence)
            await asyncio.sleep(_PAUSE)

    looking = asyncio.create_task(watch())
    try:
        yield seen
    finally:
        over.set()
        await looking
