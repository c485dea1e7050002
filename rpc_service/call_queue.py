"""The queue of calls: made with the wanted type, or taken with the type that it has."""

from typing import Final

import structlog
from amqp.exceptions import NotFound, PreconditionFailed
from kombu import Connection, Queue

_log = structlog.stdlib.get_logger(__name__)

_ARGUMENT: Final = "x-queue-type"
_TYPES: Final = {"classic": None, "quorum": {_ARGUMENT: "quorum"}}
"""Arguments of the queue by its type. nameko makes a queue without any, which is a classic one."""


def declare(connection: Connection, queue: Queue, queue_type: str) -> None:
    """Make the queue, or take it as it is: RabbitMQ does not change the type of a queue that is there.

    Raises OSError while the one node that has a classic queue is away, upon which the service connects anew.
    """
    try:
        _declare(connection, queue, queue_type)
    except PreconditionFailed as error:
        if _ARGUMENT not in str(error):
            raise
        [found] = _TYPES.keys() - {queue_type}
        _declare(connection, queue, found)
        _log.warning(
            "the queue of calls has another type than SCHEDULER_QUEUE_TYPE, and keeps it until it is deleted",
            queue=queue.name,
            queue_type=found,
        )


def _declare(connection: Connection, queue: Queue, queue_type: str) -> None:
    queue.queue_arguments = _TYPES[queue_type]
    channel = connection.channel()  # of its own, because an error closes it
    try:
        queue(channel).declare()
    except NotFound as error:
        raise OSError(f"the node of RabbitMQ that has the queue of calls is away: {error}") from error
    channel.close()
