"""The backup service of a soak: it keeps what it is sent, and at random is slow, refuses or breaks off."""

import asyncio
import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from random import Random
from typing import Final
from urllib.parse import unquote

from aiohttp import web

from lab.parts.backup_service import backup_service

Form = tuple[tuple[str, str], ...]
"""The fields of a request, ordered by name."""

LATER: Final = "soak-later"
"""Policy of backups that end later than the answer, when the service reports it."""

PLACE: Final = "POST /backup"
"""Method and path of a request for a backup."""

_KEY = re.compile(r".*-(?P<due>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ)~.*")


@dataclass
class Request:
    """A request for a backup."""

    key: str
    """Idempotency-Key: a job, the nominal time of an occurrence, and an id of the run."""
    form: Form
    place: str = PLACE
    """Method and path."""
    succeeded: bool = False
    """It was answered well, so the backup was made, or has begun."""


@dataclass
class Target:
    """Answers most requests soon and well, some late, some with 503 and some not at all."""

    random: Random
    slowness: float
    """Seconds that most answers take at most; the longer, the more backups are under way when a worker is killed."""
    url: str = ""
    requests: list[Request] = field(default_factory=list)
    arrivals: list[tuple[float, float]] = field(default_factory=list)
    """Moments at which requests arrived, each with the nominal time of its run; both of the epoch."""
    begun: asyncio.Queue[str] = field(default_factory=asyncio.Queue)
    """The keys of backups that have begun and end later, again for each request that begins one."""

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Answer one request for a backup."""
        arrived = time.time()
        fields = sorted((name, str(value)) for name, value in (await request.post()).items())
        received = Request(unquote(request.headers.get("Idempotency-Key", "")), tuple(fields))
        self.requests.append(received)
        match = _KEY.fullmatch(received.key)
        due = datetime.fromisoformat(match["due"]).timestamp() if match else 0.0
        self.arrivals.append((arrived, due))
        mood = self.random.random()
        if mood >= 0.05 and ("policy_name", LATER) in received.form:
            received.succeeded = True
            self.begun.put_nowait(received.key)
        await asyncio.sleep(2 * self.slowness if mood > 0.95 else mood * self.slowness)
        if mood < 0.02 and request.transport is not None:
            request.transport.abort()
        elif mood < 0.05:
            return web.Response(status=503)
        else:
            received.succeeded = True
        return web.json_response({"accepted": True})


def later_policy(url: str) -> str:
    """Return the policy LATER, as it is written in a policy file."""
    return f'[policies.{LATER}]\ntype = "http"\nurl = "{url}"\ncompletion = "report"\ncompletes_within = 3600\n'


@asynccontextmanager
async def backup_target(random: Random, slowness: float, host: str) -> AsyncIterator[Target]:
    """Serve a target on a free port of an address."""
    target = Target(random, slowness)
    # A backup whose worker was killed is made all the same, as by most services.
    async with backup_service(target.answer, cancel_abandoned=False, host=host) as service:
        target.url = f"{service.url}/backup"
        yield target
