"""A backup service that takes a while to answer, as a process of its own: `python -m lab.bench.target SECONDS`."""

import asyncio
import json
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

from aiohttp import web

from lab.bench.processes import Child
from lab.parts.backup_service import backup_service


class Target:
    """The target as a benchmark sees it."""

    def __init__(self, child: Child) -> None:
        self._child = child
        self._address = child.first_line()
        self.url = f"{self._address}/backup"
        self.pid = child.pid

    def seen(self) -> dict[str, list[float]]:
        """Return the moments (of the epoch) at which each job's backups were answered."""
        with urllib.request.urlopen(f"{self._address}/seen", timeout=10) as answer:  # noqa: S310  # our own address
            read: dict[str, list[float]] = json.load(answer)
        return read

    def count(self) -> int:
        """Return how many backups were answered, repeated ones included."""
        with urllib.request.urlopen(f"{self._address}/count", timeout=10) as answer:  # noqa: S310  # our own address
            return int(answer.read())


@contextmanager
def target(seconds: float) -> Iterator[Target]:
    """Run a target around the block; each backup takes it so many seconds."""
    started = Child("lab.bench.target", str(seconds))
    try:
        yield Target(started)
    finally:
        started.end()


async def _serve(seconds: float) -> None:
    answered: dict[str, list[float]] = {}
    total = 0

    async def back_up(request: web.Request) -> web.StreamResponse:
        nonlocal total
        job = str((await request.post())["job"])
        await asyncio.sleep(seconds)
        answered.setdefault(job, []).append(time.time())
        total += 1
        return web.json_response({"accepted": True})

    async def seen(_: web.Request) -> web.Response:
        return web.json_response(answered)

    async def count(_: web.Request) -> web.Response:
        return web.Response(text=str(total))

    questions = [web.get("/seen", seen), web.get("/count", count)]
    async with backup_service(back_up, routes=questions, cancel_abandoned=False) as service:
        print(service.url, flush=True)  # noqa: T201  # tells the benchmark that it is ready
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_serve(float(sys.argv[1])))
