"""Greenlets await coroutines: the only file that knows both eventlet and asyncio."""

import asyncio
from collections.abc import Coroutine
from functools import cache
from typing import Any, Protocol, TypeVar

import eventlet
from eventlet.event import Event
from eventlet.green.selectors import DefaultSelector

T = TypeVar("T")


class Awaiter(Protocol):
    """Waits in a greenlet for the result or the error of a coroutine."""

    def __call__(self, coroutine: Coroutine[Any, Any, T], /) -> T:
        """Run the coroutine to its end and return its result."""


@cache
def guest_loop() -> Awaiter:
    """Return the process's awaiter, whose asyncio loop is a guest on eventlet's hub.

    The loop's selector is green, so waiting for it lets other greenlets run. asyncio allows one running loop per
    thread, hence one per process, however many services run in it.
    """
    loop = asyncio.SelectorEventLoop(DefaultSelector())
    eventlet.spawn_n(loop.run_forever)

    def wait_for(coroutine: Coroutine[Any, Any, T]) -> T:
        finished = Event()
        tasks: list[asyncio.Task[T]] = []

        def start() -> None:
            task = loop.create_task(coroutine)
            tasks.append(task)
            task.add_done_callback(finished.send)

        loop.call_soon_threadsafe(start)
        try:
            task: asyncio.Task[T] = finished.wait()
        except BaseException:  # this greenlet was killed: nobody waits for the task any longer
            loop.call_soon_threadsafe(lambda: [task.cancel() for task in tasks])
            raise
        return task.result()

    return wait_for
