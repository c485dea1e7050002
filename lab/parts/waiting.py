"""Waiting for a fact of another process or thread."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")

_PAUSE = 0.05
"""Seconds between two looks."""


def eventually(ask: Callable[[], T | None], patience: float = 60) -> T:
    """Ask until the answer is true and return it; raises AssertionError after `patience` seconds."""
    deadline = time.monotonic() + patience
    while not (answer := ask()):
        if time.monotonic() >= deadline:
            raise AssertionError(f"still not true after {patience} s")
        time.sleep(_PAUSE)
    return answer


async def eventually_async(ask: Callable[[], Awaitable[T | None]], patience: float = 60) -> T:
    """Ask until the answer is true and return it; raises TimeoutError after `patience` seconds."""
    async with asyncio.timeout(patience):
        while not (answer := await ask()):
            await asyncio.sleep(_PAUSE)
        return answer
