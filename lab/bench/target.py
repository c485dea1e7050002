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
    """The target as a benchmark sees it. A batch of jobs has ids that begin with its name and a hyphen."""

    def __init__(self, child: Child) -> None:
        self._child = child
        self._address = child.first_line()
        self.url = f"{self._address}/backup"
        self.pid = child.pid

    def seen(self, batch: str) -> dict[str, list[float]]:
        """Return the moments (of the epoch) at which the backups of each job of a batch were answered."""
        read: dict[str, list[float]] = json.loads(self._ask(f"seen/{batch}"))
        return read

    def count(self, batch: str) -> int:
        """Return how many backups of a batch were answered, repeated ones included."""
        return int(self._ask(f"count/{batch}"))

    def _ask(self, path: str) -> bytes:
        try:
            with urllib.request.urlopen(f"{self._address}/{path}", timeout=10) as answer:  # noqa: S310  # our own address
                read: bytes = answer.read()
        except OSError as error:
            error.add_note(f"exit code of the target: {self._child.process.poll()}")
            raise
        return read


@contextmanager
def target(seconds: float) -> Iterator[Target]:
    """Run a target around the block; each backup takes it so many seconds."""
    started = Child("lab.bench.target", str(seconds))
    try:
        yield Target(started)
    finally:
        started.end()


async def _serve(seconds: float) -> None:
    answered: dict[str, dict[str, list[float]]] = {}
    totals: dict[str, int] = {}

    async def back_up(request: web.Request) -> web.StreamResponse:
        job = str((await request.post())["job"])
        batch = job.rpartition("-")[0]
        await asyncio.sleep(seconds)
        answered.setdefault(batch, {}).setdefault(job, []).append(time.time())
        totals[batch] = totals.get(batch, 0) + 1
        return web.json_response({"accepted": True})

    async def seen(request: web.Request) -> web.Response:
        return web.json_response(answered.get(request.match_info["batch"], {}))

    async def count(request: web.Request) -> web.Response:
        return web.Response(text=str(totals.get(request.match_info["batch"], 0)))

    questions = [web.get("/seen/{batch}", seen), web.get("/count/{batch}", count)]
    async with backup_service(back_up, routes=questions, cancel_abandoned=False) as service:
        print(service.url, flush=True)  # noqa: T201  # tells the benchmark that it is ready
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_serve(float(sys.argv[1])))
