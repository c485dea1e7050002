"""An rpc entrypoint that no message can kill, and that leaves judging arguments to the method."""

from collections.abc import Callable
from typing import Any, TypeVar

import structlog
from kombu.message import Message
from nameko.constants import AMQP_URI_CONFIG_KEY
from nameko.exceptions import MalformedRequest
from nameko.rpc import Responder, Rpc, RpcConsumer, get_rpc_exchange

from rpc_service.broker import MOST_ANSWERS, DeliveryVoid, SturdyQueueConsumer

_log = structlog.stdlib.get_logger(__name__)

F = TypeVar("F", bound=Callable[..., Any])

REQUEST_ID = "request_id"
REDELIVERED = "redelivered"
"""Keys of a worker's context data: identifies the AMQP request, the same when it is delivered again; whether it was."""

_CALL_ID_STACK = "nameko.call_id_stack"


class SturdyRpcConsumer(RpcConsumer):  # type: ignore[misc]  # nameko has no type information
    """Drops what cannot be answered, and answers all else exactly when it settles the delivery.

    Stock nameko dies of a message that it cannot answer, which then returns to the queue and kills the next process
    too. And it answers on another connection, before it settles the delivery: were it killed between the two, a caller
    could have its answer and go on, and the call be carried out again after the caller's next ones.
    """

    queue_consumer = SturdyQueueConsumer()

    def handle_message(self, body: Any, message: Message) -> None:
        """Hand a message to its method, unless it names no way to answer it."""
        missing = [name for name in ("reply_to", "content_type") if not message.properties.get(name)]
        if missing:
            self._drop(message, f"it has no {' and no '.join(missing)}")
            return
        if self.queue_consumer.is_answered_in_vain(message):
            self._drop(message, f"it came again after {MOST_ANSWERS} answers")
            return
        stack = message.headers.get(_CALL_ID_STACK)
        if not (isinstance(stack, list) and all(isinstance(call, str) for call in stack)):
            message.headers.pop(_CALL_ID_STACK, None)
        super().handle_message(body, message)

    def handle_result(self, message: Message, result: Any, exc_info: Any) -> Any:
        """Answer and settle the delivery."""
        config = self.container.config
        responder = Responder(config[AMQP_URI_CONFIG_KEY], get_rpc_exchange(config), None, message)
        replier = self.queue_consumer.replier(message)
        responder.publisher_cls = lambda *_, **__: replier
        try:
            result, exc_info = responder.send_response(result, exc_info)
            return replier.instead or result, exc_info
        except DeliveryVoid as error:
            _log.warning("reply not sent", reason=repr(error), call=message.properties.get("correlation_id"))
        except Exception as error:
            self._drop(message, f"it cannot be answered ({error!r})")
        return result, exc_info

    def _drop(self, message: Message, reason: str) -> None:
        _log.warning("message dropped", reason=reason, routing_key=message.delivery_info.get("routing_key"))
        self.queue_consumer.ack_message(message)


class SturdyRpc(Rpc):  # type: ignore[misc]  # nameko has no type information
    """Lets every argument through: the methods answer a wrong signature themselves (contract)."""

    rpc_consumer = SturdyRpcConsumer()

    def check_signature(self, args: Any, kwargs: Any) -> None:
        """Refuse only what is no call at all; the caller gets MalformedRequest."""
        if not isinstance(args, list) or not isinstance(kwargs, dict):
            raise MalformedRequest("args must be a list and kwargs a dict")

    def unpack_message_headers(self, message: Message) -> dict[str, Any]:
        """Give the method nameko's context, and an id of this request, the same when it is delivered again."""
        context: dict[str, Any] = super().unpack_message_headers(message)
        # A caller's correlation ids are unique among its own; where it takes its replies makes them so among all.
        if correlation_id := message.properties.get("correlation_id"):
            context[REQUEST_ID] = f"{message.properties['reply_to']} {correlation_id}"
        context[REDELIVERED] = bool(message.delivery_info.get("redelivered"))
        return context


rpc: Callable[[F], F] = SturdyRpc.decorator
