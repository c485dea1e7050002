"""The one fake backup service: it remembers what it receives, and each user decides what it answers."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from threading import Event, Thread
from typing import Any

from aiohttp import web

from backup_scheduler.policies.http import HttpPolicy

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]

_BACKLOG = 2048
"""Connections that may wait; a burst of benchmarks opens a thousand at once."""


@dataclass
class Received:
    """One request."""

    method: str
    path: str
    headers: dict[str, str]
    form: list[tuple[str, str]]
    at: float
    """When it arrived, of the epoch."""


def answering(status: int = 200, **response: Any) -> Answer:
    """Return an answer that is always the same."""

    async def answer(_: web.Request) -> web.StreamResponse:
        return web.Response(status=status, **response)

    return answer


@dataclass
class BackupService:
    """A backup service that gives its answers one after the other; the last one stays."""

    answers: list[Answer] = field(default_factory=list)
    url: str = ""
    received: list[Received] = field(default_factory=list)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Remember a request and answer it."""
        at = time.time()
        form = [(name, str(value)) for name, value in (await request.post()).items()]
        self.received.append(Received(request.method, request.path, dict(request.headers), form, at))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return await answer(request)

    def policy(self, **changes: Any) -> HttpPolicy:
        """Return a policy whose backups this service makes."""
        return HttpPolicy(**({"type": "http", "url": f"{self.url}/start"} | changes))


@asynccontextmanager
async def backup_service(
    *answers: Answer,
    routes: Sequence[web.RouteDef] = (),
    cancel_abandoned: bool = True,
    host: str = "127.0.0.1",
) -> AsyncIterator[BackupService]:
    """Serve a BackupService on a free port of an address, on every path that none of the `routes` takes.

    `cancel_abandoned` ends an answer whose caller has left; else the service goes on with the backup.
    """
    service = BackupService(list(answers))
    app = web.Application()
    app.add_routes([*routes, web.route("*", "/{path:.*}", service.handle)])
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1, handler_cancellation=cancel_abandoned)
    await runner.setup()
    await web.TCPSite(runner, host, 0, backlog=_BACKLOG).start()
    service.url = f"http://{host}:{runner.addresses[0][1]}"
    try:
        yield service
    finally:
        await runner.cleanup()


@contextmanager
def backup_service_in_thread(*answers: Answer) -> Iterator[BackupService]:
    """Serve a BackupService from a thread with an event loop of its own, for a caller that has none."""
    services: list[BackupService] = []
    is_up, is_over = Event(), Event()

    async def serve() -> None:
        async with backup_service(*answers) as service:
            services.append(service)
            is_up.set()
            await asyncio.to_thread(is_over.wait)

    thread = Thread(target=asyncio.run, args=(serve(),), daemon=True)
    thread.start()
    if not is_up.wait(10):
        raise RuntimeError("the backup service did not start within 10 s")
    try:
        yield services[0]
    finally:
        is_over.set()
        thread.join()
