"""Backups of the stack's backup service that go on until the test lets them end."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import quote

from aiohttp import web

from lab.parts.backup_service import BackupService


def requests_for(endpoint: BackupService, scheduler_id: str) -> int:
    """Return how many requests for backups of a job came."""
    return sum(_is_for(scheduler_id, each.headers["Idempotency-Key"]) for each in endpoint.received)


@contextmanager
def slow(endpoint: BackupService, scheduler_id: str) -> Iterator[threading.Event]:
    """Let the next backup of a job go on until the event is set, at the latest at the end of the block."""
    may_end = threading.Event()  # the endpoint has a loop of its own

    async def answer(request: web.Request) -> web.StreamResponse:
        if not _is_for(scheduler_id, request.headers["Idempotency-Key"]):  # the stack has jobs of other tests, too
            endpoint.answers.insert(0, answer)
            return await endpoint.answers[-1](request)
        while not may_end.is_set():
            await asyncio.sleep(0.02)
        return web.json_response({"id": 7})

    endpoint.answers.insert(0, answer)
    try:
        yield may_end
    finally:
        may_end.set()


def _is_for(scheduler_id: str, idempotency_key: str) -> bool:
    return idempotency_key.startswith(quote(f"backup-{scheduler_id}-", safe=""))
