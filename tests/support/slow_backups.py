"""Backups of the stack's backup service that go on until the test lets them end."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from aiohttp import web

from lab.parts.backup_service import BackupService


@contextmanager
def slow(endpoint: BackupService) -> Iterator[threading.Event]:
    """Let the next backup go on until the event is set, at the latest at the end of the block."""
    may_end = threading.Event()  # the endpoint has a loop of its own

    async def answer(_: web.Request) -> web.StreamResponse:
        while not may_end.is_set():
            await asyncio.sleep(0.02)
        return web.json_response({"id": 7})

    endpoint.answers.insert(0, answer)
    try:
        yield may_end
    finally:
        may_end.set()
