"""Finds consumers of the service's queue that are not of this service: they would take a part of its calls."""

import time
from typing import Any, Final

import structlog
from eventlet.semaphore import Semaphore
from eventlet.timeout import Timeout
from kombu import Connection, Consumer, Queue
from kombu.exceptions import ChannelError

_log = structlog.stdlib.get_logger(__name__)

_FIRST_PAUSE: Final = 2.0
_LONGEST_PAUSE: Final = 60.0
"""Seconds between two looks: short at first, because an old service may still run when this one replaces it."""

_LONGEST_ANSWER: Final = 30
"""Seconds in which the broker has to answer; on a connection that is dead unnoticed no answer comes."""


_strangers: dict[str, int] = {}
"""By queue, as this process saw it last."""


def strangers() -> int | None:
    """Return how many consumers of the service's queue are of another service; None where this process cannot look."""
    return sum(_strangers.values()) if _strangers else None


class Presence:
    """Compares the consumers of the service's queue with those of a queue that only processes of this service consume.

    The broker gives the number of a queue's consumers, but not their owners. It is asked in the greenlet that reads the
    connection, between two messages.
    """

    def __init__(self, queue: str) -> None:
        self._queue = queue
        self._ours = f"{queue}.processes"
        self._channel: Any = None  # kombu's, which is without types
        self._pause = _FIRST_PAUSE
        self._next_look = 0.0
        self._suspected = False

    def announce(self, connection: Connection) -> None:
        """Count as a process of this service, on a new connection; call this before anything is consumed."""
        marker = Queue(
            self._ours, auto_delete=True, expires=300, queue_arguments={"x-queue-type": "classic"}, durable=True
        )
        self._suspected = False
        self._pause, self._next_look = _FIRST_PAUSE, 0.0
        _strangers.pop(self._queue, None)
        self._channel = connection.channel()
        try:
            Consumer(self._channel, [marker], no_ack=True, on_message=lambda _: None).consume()
        except ChannelError as error:
            self._give_up(error)

    def look(self, writing: Semaphore) -> None:
        """Compare the counts if a look is due, and log other services; `writing` guards the connection's socket.

        Raises OSError when the broker does not answer: the connection is lost.
        """
        if self._channel is None or time.monotonic() < self._next_look:
            return
        try:
            with writing, Timeout(_LONGEST_ANSWER, OSError(f"the broker did not answer within {_LONGEST_ANSWER} s")):
                others = self._consumers(self._queue) - self._consumers(self._ours)
        except ChannelError as error:
            self._give_up(error)
            return
        # A process of this service may be starting or stopping, so a second look comes before an alarm.
        _strangers[self._queue] = others if others > 0 and self._suspected else 0
        if _strangers[self._queue]:
            _log.error(
                "another service takes calls from our queue: stop it",
                queue=self._queue,
                consumers_not_of_this_service=others,
            )
        self._pause = _FIRST_PAUSE if others > 0 and not self._suspected else min(2 * self._pause, _LONGEST_PAUSE)
        self._suspected = others > 0
        self._next_look = time.monotonic() + self._pause

    def _consumers(self, queue: str) -> int:
        return int(self._channel.queue_declare(queue, passive=True).consumer_count)

    def _give_up(self, error: ChannelError) -> None:
        self._channel = None
        _strangers.pop(self._queue, None)
        _log.warning("cannot look for other services on our queue", queue=self._queue, error=str(error))
