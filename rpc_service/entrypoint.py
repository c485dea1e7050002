"""An rpc entrypoint that no message can kill, and that leaves the check of arguments to the methods."""

from collections.abc import Callable
from typing import Any, TypeVar

import structlog
from kombu.message import Message
from nameko.constants import AMQP_URI_CONFIG_KEY
from nameko.exceptions import MalformedRequest
from nameko.rpc import Responder, Rpc, RpcConsumer, get_rpc_exchange

from rpc_service.broker import MOST_REPLIES, DeliveryVoid, SturdyQueueConsumer

_log = structlog.stdlib.get_logger(__name__)

F = TypeVar("F", bound=Callable[..., Any])

AMQP_REQUEST_ID = "request_id"
"""Key of a worker's context data: the id of the AMQP request, the same one when the request is redelivered."""

REDELIVERED = "redelivered"
"""Key of a worker's context data: whether the broker has delivered the request before."""

_CALL_ID_STACK = "nameko.call_id_stack"


class SturdyRpcConsumer(RpcConsumer):  # type: ignore[misc]  # nameko has no type information
    """Drops messages that cannot be answered; answers all others in the same step in which it settles the delivery.

    Stock nameko dies of a message that it cannot answer; the message returns to the queue and kills the next process,
    too. And it answers on another connection, before it settles the delivery. If it is killed between the two, the
    caller has its reply and goes on, and the call may be carried out again after the caller's next calls.
    """

    queue_consumer = SturdyQueueConsumer()

    def handle_message(self, body: Any, message: Message) -> None:
        """Hand a message to its method, unless it cannot be answered or keeps coming back."""
        missing = [name for name in ("reply_to", "content_type") if not message.properties.get(name)]
        if missing:
            self._drop(message, f"it has no {' and no '.join(missing)}")
            return
        if self.queue_consumer.is_answered_in_vain(message):
            self._drop(message, f"it came again after {MOST_REPLIES} answers")
            return
        stack = message.headers.get(_CALL_ID_STACK)
        if not (isinstance(stack, list) and all(isinstance(call_id, str) for call_id in stack)):
            message.headers.pop(_CALL_ID_STACK, None)
        super().handle_message(body, message)

    def handle_result(self, message: Message, result: Any, exc_info: Any) -> Any:
        """Answer a message and settle its delivery."""
        config = self.container.config
        responder = Responder(config[AMQP_URI_CONFIG_KEY], get_rpc_exchange(config), None, message)
        replier = self.queue_consumer.replier(message)
        responder.publisher_cls = lambda *_, **__: replier
        try:
            result, exc_info = responder.send_response(result, exc_info)
            return replier.short_reply or result, exc_info
        except DeliveryVoid as error:
            _log.warning("reply not sent", reason=repr(error), call=message.properties.get("correlation_id"))
        except Exception as error:
            self._drop(message, f"it cannot be answered ({error!r})")
        return result, exc_info

    def _drop(self, message: Message, reason: str) -> None:
        _log.warning("message dropped", reason=reason, routing_key=message.delivery_info.get("routing_key"))
        self.queue_consumer.ack_message(message)


class SturdyRpc(Rpc):  # type: ignore[misc]  # nameko has no type information
    """Lets every argument through: the methods answer wrong arguments themselves (docs/api.md#what-raises)."""

    rpc_consumer = SturdyRpcConsumer()

    def handle_message(self, body: Any, message: Message) -> None:
        """Hand the arguments on; one without any, whatever it is, is refused in the same way."""
        super().handle_message(body if isinstance(body, dict) else {}, message)

    def check_signature(self, args: Any, kwargs: Any) -> None:
        """Refuse only a message that is no call; the caller gets MalformedRequest."""
        if not isinstance(args, list) or not isinstance(kwargs, dict):
            raise MalformedRequest("args must be a list and kwargs a dict")

    def unpack_message_headers(self, message: Message) -> dict[str, Any]:
        """Return nameko's context, with the id of the AMQP request and whether it is redelivered."""
        context: dict[str, Any] = super().unpack_message_headers(message)
        # A correlation id is unique among those of one caller; with the caller's reply queue it is unique among all.
        if correlation_id := message.properties.get("correlation_id"):
            context[AMQP_REQUEST_ID] = f"{message.properties['reply_to']} {correlation_id}"
        context[REDELIVERED] = bool(message.delivery_info.get("redelivered"))
        return context


rpc: Callable[[F], F] = SturdyRpc.decorator
