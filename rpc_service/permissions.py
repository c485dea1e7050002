"""Permissions of RabbitMQ that the service's user lacks, named as `rabbitmqctl set_permissions` names them."""

import re
from typing import Final

from amqp.exceptions import AccessRefused

_RIGHTS: Final = {
    "Exchange.declare": "configure",
    "Queue.declare": "configure",
    "Basic.consume": "read",
    "Basic.publish": "write",
}
_REFUSED: Final = re.compile(r"access to (?P<kind>\w+) '(?P<name>[^']*)'")


def missing_permission(error: AccessRefused) -> str:
    """Return the permission, such as "configure of queue 'rpc-scheduler'", or RabbitMQ's own text."""
    refused = _REFUSED.search(str(error))
    if refused is None:
        return str(error)
    kind, name = refused["kind"], refused["name"]
    # A binding needs to write to the queue and to read from the exchange.
    right = _RIGHTS.get(error.method_name) or ("write" if kind == "queue" else "read")
    return f"{right} of {kind} {name!r}"
