"""The backup target of a soak: a real HTTP endpoint that counts what it is asked for, and is not always well."""

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
    """By workflow id (a job and the nominal time of one occurrence), by Idempotency-Key: how often it was answered."""
    arrivals: list[tuple[float, float]] = field(default_factory=list)
    """When requests arrived, and for what nominal time; both of the epoch."""

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer one request for a backup."""
        await request.post()
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
    app = web.Application()
    app.router.add_post("/backup", target.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    target.url = f"http://127.0.0.1:{runner.addresses[0][1]}/backup"
    try:
        yield target
    finally:
        await runner.cleanup()
