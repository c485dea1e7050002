"""The service's connection to the broker: calls come in on it, and answers go out on the same one."""

import time
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import structlog
from amqp.exceptions import AccessRefused, PreconditionFailed
from eventlet import sleep, spawn_after
from eventlet.semaphore import Semaphore
from kombu import Connection, Producer
from kombu.exceptions import ConnectionError as BrokerGone
from kombu.exceptions import OperationalError
from kombu.message import Message
from kombu.serialization import dumps
from nameko.constants import (
    AMQP_SSL_CONFIG_KEY,
    DEFAULT_HEARTBEAT,
    DEFAULT_TRANSPORT_OPTIONS,
    HEARTBEAT_CONFIG_KEY,
    LOGIN_METHOD_CONFIG_KEY,
    PERSISTENT,
    TRANSPORT_OPTIONS_CONFIG_KEY,
)
from nameko.messaging import QueueConsumer, QueueConsumerStopped

from backup_scheduler.contract.errors import ReplyTooLarge
from backup_scheduler.contract.replies import Reply, fail
from backup_scheduler.settings import load_settings
from rpc_service.call_queue import declare
from rpc_service.permissions import missing_permission
from rpc_service.presence import Presence
from rpc_service.tls import CheckingConnection

_log = structlog.stdlib.get_logger(__name__)

_LONGEST_PAUSE = 4
"""Most seconds between two attempts to reach a broker that is away."""

_LEAVES_AFTER: Final = 15
"""Seconds after which a service that was asked to stop takes its connection for lost."""

MAX_REPLY_BYTES: Final = 8 * 1024 * 1024
"""Half of RabbitMQ 4's default limit; 10,000 plain jobs have 3.5 MB."""

_SURELY_TAKEN: Final = 16 * 1024
"""Bytes of a reply that every broker takes. A message that the broker refuses breaks its channel, so a larger reply is
sent on a connection of its own, and the broker has to confirm it."""

_CONFIRMED_WITHIN: Final = 30
"""Seconds in which the broker has to confirm or refuse a large reply."""

MOST_REPLIES: Final = 3
"""Replies to one request; if its message comes once more, it is dropped."""

_REQUESTS_KEPT: Final = 1000
"""Requests whose replies are counted, the latest ones."""


class DeliveryVoid(Exception):
    """The connection of a message is gone: the broker delivers the message again, to this process or to another."""


class Replier:
    """Answers one message and settles its delivery in one step: a kill leaves both undone or both done."""

    def __init__(self, consumer: "SturdyQueueConsumer", message: Message, writing: Semaphore) -> None:
        self._consumer = consumer
        self._message = message
        self._writing = writing
        self.short_reply: Reply | None = None
        """The reply that was sent in the place of one that was too large."""

    def publish(self, payload: Any, *, serializer: str, exchange: Any, routing_key: str, correlation_id: Any) -> None:
        """Send the reply as nameko's own publisher does, but on the connection of the delivery.

        A large reply goes out first, on a connection of its own; if it is too large, a short one takes its place. Large
        replies are lists of jobs only, which may be made twice. Raises DeliveryVoid.
        """
        channel = self._message.channel
        if channel.connection is None:
            raise DeliveryVoid("its connection is lost")
        self._consumer.count_reply(self._message)
        way = {"routing_key": routing_key, "correlation_id": correlation_id, "delivery_mode": PERSISTENT}
        try:
            sent = self._send_if_large(payload, serializer, exchange, way)
            with self._writing:
                if not sent:
                    producer = Producer(channel, exchange=exchange, serializer=serializer, auto_declare=False)
                    producer.publish(
                        {"result": self.short_reply, "error": None} if self.short_reply else payload, **way
                    )
                self._consumer.ack_message(self._message)
        except (BrokerGone, OperationalError, OSError) as error:
            raise DeliveryVoid(repr(error)) from error

    def _send_if_large(self, payload: Any, serializer: str, exchange: Any, way: dict[str, Any]) -> bool:
        content_type, content_encoding, body = dumps(payload, serializer)
        if len(body) <= _SURELY_TAKEN:
            return False
        try:
            if len(body) > MAX_REPLY_BYTES:
                raise PreconditionFailed
            with self._consumer.confirming_connection() as connection:
                producer = Producer(connection.default_channel, exchange=exchange, auto_declare=False)
                producer.publish(
                    body,
                    content_type=content_type,
                    content_encoding=content_encoding,
                    confirm_timeout=_CONFIRMED_WITHIN,
                    **way,
                )
        except (BrokerGone, OperationalError, OSError):
            return False  # it may not have arrived, so it is sent like a small reply
        except PreconditionFailed:
            described = payload["result"]["description"]
            error = ReplyTooLarge(len(body), len(described) if isinstance(described, list) else 1)
            self.short_reply = fail(error.code, str(error))
            return False
        return True


class SturdyQueueConsumer(QueueConsumer):  # type: ignore[misc]  # nameko has no type information
    """Stops only after the calls in flight are answered, and stops even while the broker is away.

    Stock nameko closes its connection before calls in flight are answered, so the broker delivers them again. And it
    waits for ever for the return of a broker that is away.
    """

    _pending_remove_providers: dict[Any, Any]

    def __init__(self) -> None:
        super().__init__()
        self._unsettled: set[Message] = set()
        self._writing = Semaphore()
        self._replies: OrderedDict[str, int] = OrderedDict()
        self._presences: list[Presence] = []
        self._awake = self._may_hang = 0.0

    @property
    def connection(self) -> Connection:
        """The parameters of a connection, as nameko has them; with TLS it checks the host name."""
        config = self.container.config
        return CheckingConnection(
            self.amqp_uri,
            heartbeat=config.get(HEARTBEAT_CONFIG_KEY, DEFAULT_HEARTBEAT),
            transport_options=config.get(TRANSPORT_OPTIONS_CONFIG_KEY, DEFAULT_TRANSPORT_OPTIONS),
            ssl=config.get(AMQP_SSL_CONFIG_KEY),
            login_method=config.get(LOGIN_METHOD_CONFIG_KEY),
        )

    def replier(self, message: Message) -> Replier:
        """Return the replier of a message."""
        return Replier(self, message, self._writing)

    def count_reply(self, message: Message) -> None:
        """Count a reply to a message, before it is sent."""
        request_id = _request_id(message)
        self._replies[request_id] = self._replies.pop(request_id, 0) + 1
        if len(self._replies) > _REQUESTS_KEPT:
            self._replies.popitem(last=False)

    def is_answered_in_vain(self, message: Message) -> bool:
        """Return whether a message keeps coming back although it is answered."""
        request_id = _request_id(message)
        if not message.delivery_info.get("redelivered"):
            self._replies.pop(request_id, None)  # of an earlier request: the caller uses its correlation ids again
        return self._replies.get(request_id, 0) >= MOST_REPLIES

    @contextmanager
    def confirming_connection(self) -> Iterator[Connection]:
        """Connect for one message; publishing it waits until the broker confirms or refuses it."""
        with self.create_connection() as connection:
            connection.transport_options = {**connection.transport_options, "confirm_publish": True}
            yield connection

    def run(self) -> None:
        """Consume until asked to stop. However that ends, release all that wait for it."""
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
        """Connect, with as many attempts as it takes; stock nameko waits up to 30 s between two attempts.

        A permission that the service's user lacks counts as a lost connection: somebody may give it meanwhile.
        """
        try:
            with self._connected() as connection:
                yield connection
        except AccessRefused as error:
            _log.error("RabbitMQ refuses a permission, trying again", permission=missing_permission(error))
            sleep(_LONGEST_PAUSE)
            raise OSError("a permission is missing") from None

    @contextmanager
    def _connected(self) -> Iterator[Connection]:
        self._unsettled.clear()
        with self.create_connection() as connection:
            connection.ensure_connection(
                self.on_connection_error,
                interval_start=1,
                interval_step=1,
                interval_max=_LONGEST_PAUSE,
                callback=self._stop_if_asked,
            )
            for provider in self._providers:
                declare(connection, provider.queue, load_settings().queue_type)
            self._presences = [Presence(provider.queue.name) for provider in self._providers]
            for presence in self._presences:
                presence.announce(connection)
            transport = connection.connection
            self._may_hang = (transport.heartbeat or DEFAULT_HEARTBEAT) / 2
            self._awake = time.monotonic()
            # amqp would read the connection before it writes a reply, while another greenlet reads it; with TLS that
            # fails. Being told that the broker blocks publishers would gain nothing: the reply waits all the same.
            transport.client_properties.get("capabilities", {}).pop("connection.blocked", None)
            try:
                yield connection
            except connection.connection_errors:
                transport.collect()  # a close in good order would wait for a broker that may be out of reach
                raise

    def unregister_provider(self, provider: Any) -> None:
        """Ask to consume no more, and wait for that, but not without end for a broker that does not answer."""
        # It may stop answering at any time until the connection is closed, so nothing takes this back.
        spawn_after(_LEAVES_AFTER, self._gt.kill, OSError(f"not left within {_LEAVES_AFTER} s"))
        super().unregister_provider(provider)

    def handle_message(self, provider: Any, body: Any, message: Message) -> None:
        """Hand the message on, and remember it until it is settled. Raises OSError if this process hung."""
        self._stay_awake()
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
        """Look for other services; stop once nothing is consumed any more and everything is settled.

        Raises OSError if this process hung.
        """
        self._stay_awake()
        self._cancel_consumers_if_requested()
        if self._consumers:
            for presence in self._presences:
                presence.look(self._writing)
        if not self._consumers and not self._unsettled:
            self.should_stop = True

    def _stay_awake(self) -> None:
        """Raise OSError if this process did nothing for so long that the broker may have given it up.

        Then another process has its calls, carried them out, and later ones as well; but the messages are still in this
        process's socket, not marked as redelivered. With the connection they are lost, and come again, marked.
        """
        asleep, self._awake = time.monotonic() - self._awake, time.monotonic()
        if asleep > self._may_hang:
            _log.warning("this process hung: connecting anew", seconds=round(asleep, 1))
            raise OSError(f"this process hung for {asleep:.1f} s")

    def _stop_if_asked(self) -> None:
        if self._pending_remove_providers or not self._providers:
            raise QueueConsumerStopped

    def _cancel_consumers_if_requested(self) -> None:
        pending = self._pending_remove_providers
        try:
            super()._cancel_consumers_if_requested()
        except Exception:
            self._pending_remove_providers = pending  # the broker went away meanwhile
            raise


def _request_id(message: Message) -> str:
    return f"{message.properties.get('reply_to')} {message.properties.get('correlation_id')}"
