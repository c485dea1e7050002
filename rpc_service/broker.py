"""The service's connection to the broker: calls come in on it, and answers go out on the same one."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import structlog
from eventlet.semaphore import Semaphore
from kombu import Connection, Producer
from kombu.exceptions import ConnectionError as BrokerGone
from kombu.exceptions import OperationalError
from kombu.message import Message
from nameko.constants import PERSISTENT
from nameko.messaging import QueueConsumer, QueueConsumerStopped

_log = structlog.stdlib.get_logger(__name__)

_LONGEST_PAUSE = 4
"""Seconds between two attempts to reach a broker that is away."""


class DeliveryVoid(Exception):
    """The connection on which a message came is gone: the broker delivers it again, to us or to another process."""


class Replier:
    """Answers one message and settles its delivery, both in one go: a kill leaves both undone or both done."""

    def __init__(self, consumer: "SturdyQueueConsumer", message: Message, writing: Semaphore) -> None:
        self._consumer = consumer
        self._message = message
        self._writing = writing

    def publish(self, payload: Any, *, serializer: str, exchange: Any, routing_key: str, correlation_id: Any) -> None:
        """Send the reply as nameko's own publisher does, but on the connection of the delivery."""
        channel = self._message.channel
        if channel.connection is None:
            raise DeliveryVoid("its connection is lost")
        producer = Producer(channel, exchange=exchange, serializer=serializer, auto_declare=False)
        try:
            with self._writing:
                producer.publish(
                    payload, routing_key=routing_key, correlation_id=correlation_id, delivery_mode=PERSISTENT
                )
                self._consumer.ack_message(self._message)
        except (BrokerGone, OperationalError, OSError) as error:
            raise DeliveryVoid(repr(error)) from error


class SturdyQueueConsumer(QueueConsumer):  # type: ignore[misc]  # nameko has no type information
    """Leaves when it is told to: after the answers to calls in flight, and even though the broker is away.

    Stock nameko closes its connection before calls in flight are answered, so that the broker delivers them again, and
    waits for ever for the return of a broker that is away.
    """

    _pending_remove_providers: dict[Any, Any]

    def __init__(self) -> None:
        super().__init__()
        self._unsettled: set[Message] = set()
        self._writing = Semaphore()

    def replier(self, message: Message) -> Replier:
        """Return what answers the message."""
        return Replier(self, message, self._writing)

    def run(self) -> None:
        """Consume until told to leave; those who wait for that are released, however it ends."""
        try:
            super().run()
        except QueueConsumerStopped as stopped:
            _log.info("left without the broker, which is away")
            if not self._consumers_ready.ready():
                self._consumers_ready.send_exception(stopped)
        finally:
            for released in self._pending_remove_providers.values():
                released.send()

    @contextmanager
    def establish_connection(self) -> Iterator[Connection]:
        """Connect, trying again until it succeeds; stock nameko comes to wait 30 s between two attempts."""
        self._unsettled.clear()
        with self.create_connection() as connection:
            connection.ensure_connection(
                self.on_connection_error,
                interval_start=1,
                interval_step=1,
                interval_max=_LONGEST_PAUSE,
                callback=self._leave_if_told,
            )
            yield connection

    def handle_message(self, provider: Any, body: Any, message: Message) -> None:
        """Remember the message until it is settled."""
        self._unsettled.add(message)
        super().handle_message(provider, body, message)

    def ack_message(self, message: Message) -> None:
        """Settle the delivery: the broker forgets the message."""
        super().ack_message(message)
        self._unsettled.discard(message)

    def requeue_message(self, message: Message) -> None:
        """Settle the delivery: the broker hands the message to another process."""
        super().requeue_message(message)
        self._unsettled.discard(message)

    def on_iteration(self) -> None:
        """Stop once nothing is consumed any more and everything is settled."""
        self._cancel_consumers_if_requested()
        if not self._consumers and not self._unsettled:
            self.should_stop = True

    def _leave_if_told(self) -> None:
        if self._pending_remove_providers or not self._providers:
            raise QueueConsumerStopped

    def _cancel_consumers_if_requested(self) -> None:
        asked = self._pending_remove_providers
        try:
            super()._cancel_consumers_if_requested()
        except Exception:
            self._pending_remove_providers = asked  # the broker went away meanwhile
            raise
