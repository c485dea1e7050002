"""AMQP messages to the service, past any client."""

import json
import uuid
from typing import Any

from kombu import Connection, Exchange, Producer, Queue

from backup_scheduler.contract.methods import GET
from lab.parts.waiting import eventually


class Wire:
    """Puts messages straight into the service's exchange and takes the replies out."""

    def __init__(self, connection: Connection) -> None:
        self.exchange = Exchange("nameko-rpc", type="topic", durable=True)
        self.name = uuid.uuid4().hex
        channel = connection.channel()
        self.replies = Queue(self.name, self.exchange, routing_key=self.name, auto_delete=True)(channel)
        self.replies.declare()
        self.producer = Producer(channel, exchange=self.exchange)

    def send(self, method: str, body: Any, **properties: Any) -> None:
        options = {
            "routing_key": f"scheduler.{method}",
            "reply_to": self.name,
            "correlation_id": uuid.uuid4().hex,
            "content_type": "application/json",
            "content_encoding": "utf-8",
        } | properties
        options = {key: value for key, value in options.items() if value is not None}
        self.producer.publish(body if isinstance(body, bytes) else json.dumps(body), **options)

    def reply(self) -> dict[str, Any]:
        message = eventually(lambda: self.replies.get(no_ack=True))
        decoded: dict[str, Any] = message.decode()
        return decoded

    def is_answered(self) -> bool:
        """Return whether a good call is still answered, and nothing else was."""
        self.send(GET, {"args": ["nobody"], "kwargs": {}})
        reply = self.reply()
        return bool(reply["result"]["code"] == 404) and self.replies.get(no_ack=True) is None
