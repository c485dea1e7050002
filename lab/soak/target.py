"""The backup service of a soak: it counts the backups that it makes, and at random is slow, refuses or breaks off."""

import asyncio
import re
import time
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from random import Random
from urllib.parse import unquote

from aiohttp import web

from lab.parts.backup_service import backup_service

_KEY = re.compile(r"(?P<run>.*-(?P<due>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ))~.*")


@dataclass
class Target:
    """Answers most requests soon and well, some late, some with 503 and some not at all."""

    random: Random
    slowness: float
    """Seconds that most answers take at most; the longer, the more backups are under way when a worker is killed."""
    url: str = ""
    requests: int = 0
    successes: dict[str, dict[str, int]] = field(default_factory=lambda: defaultdict(lambda: defaultdict(int)))
    """How often a backup was answered well: by workflow id (a job and the nominal time of an occurrence), by
    Idempotency-Key."""
    arrivals: list[tuple[float, float]] = field(default_factory=list)
    """Moments at which requests arrived, each with the nominal time of its run; both of the epoch."""

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Answer one request for a backup."""
        self.requests += 1
        key = unquote(request.headers["Idempotency-Key"])
        match = _KEY.fullmatch(key)
        run, due = (match["run"], match["due"]) if match else (key, "1970-01-01T00:00:00Z")
        self.arrivals.append((time.time(), datetime.fromisoformat(due).timestamp()))
        mood = self.random.random()
        await asyncio.sleep(2 * self.slowness if mood > 0.95 else mood * self.slowness)
        if mood < 0.02 and request.transport is not None:
            request.transport.abort()
        elif mood < 0.05:
            return web.Response(status=503)
        else:
            self.successes[run][key] += 1
        return web.json_response({"accepted": True})


@asynccontextmanager
async def backup_target(random: Random, slowness: float) -> AsyncIterator[Target]:
    """Serve a target on a free port of the loopback interface."""
    target = Target(random, slowness)
    # A backup whose worker was killed is made all the same, as by most services.
    async with backup_service(target.answer, cancel_abandoned=False) as service:
        target.url = f"{service.url}/backup"
        yield target
