"""Temporal's errors become errors of the contract, only here; a deadline bounds the wait of a call for Temporal.

Temporal and its client report one fault in several ways (docs/temporal-facts.md#faults-have-many-names).
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from temporalio.api.errordetails.v1 import NamespaceNotFoundFailure
from temporalio.client import Client
from temporalio.service import RetryConfig, RPCError, RPCStatusCode

from backup_scheduler.contract.errors import (
    AccessRefused,
    JobNotFound,
    NamespaceNotFound,
    TemporalOverloaded,
    TemporalTimeout,
    TemporalUnavailable,
)
from backup_scheduler.temporal.client import is_refusal

DEADLINE: Final = 4.5
"""Seconds that a call may wait for Temporal. Nothing else bounds it: nameko never reports that a caller gave up."""

RETRIES: Final = RetryConfig(max_elapsed_time_millis=3000)
"""Ends the client's own retries before DEADLINE: if the server is down, the caller gets 503, not 504."""

_CONNECTION_BROKE: Final = "transport error"
"""The client's message, with the status UNKNOWN, if the server dies while it answers."""

_TIMED_OUT: Final = "Timeout expired"
"""The client's message, with the status CANCELLED, if it gives up. A server that stops cancels calls, too."""


@asynccontextmanager
async def answering(client: Client, scheduler_id: str = "", seconds: float = DEADLINE) -> AsyncIterator[None]:
    """Turn Temporal's errors into errors of the contract, and give up after `seconds`.

    Raises JobNotFound, NamespaceNotFound, AccessRefused, TemporalUnavailable, TemporalOverloaded and TemporalTimeout;
    others pass.
    """
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError:
        raise TemporalTimeout(seconds) from None
    except RPCError as error:
        if is_refusal(error):
            raise AccessRefused(client.namespace) from error
        if error.status == RPCStatusCode.NOT_FOUND:
            if is_missing(error):
                raise JobNotFound(scheduler_id) from error
            raise NamespaceNotFound(client.namespace) from error
        if error.status == RPCStatusCode.UNAVAILABLE or error.message == _CONNECTION_BROKE:
            raise TemporalUnavailable from error
        if error.status == RPCStatusCode.CANCELLED and error.message != _TIMED_OUT:
            raise TemporalUnavailable from error
        if error.status == RPCStatusCode.RESOURCE_EXHAUSTED:
            raise TemporalOverloaded from error
        if error.status in (RPCStatusCode.CANCELLED, RPCStatusCode.DEADLINE_EXCEEDED):
            raise TemporalTimeout(seconds) from error
        raise
    except RuntimeError as error:
        if is_refusal(error):
            raise AccessRefused(client.namespace) from error
        if "client connect" not in str(error):
            raise
        raise TemporalUnavailable from error  # a lazy client that cannot connect raises this, and no RPCError


def is_missing(error: RPCError) -> bool:
    """Return whether there is no such schedule, though its namespace is there."""
    return error.status == RPCStatusCode.NOT_FOUND and not any(
        detail.Is(NamespaceNotFoundFailure.DESCRIPTOR) for detail in error.grpc_status.details
    )


def lacks_search_attributes(error: RPCError) -> bool:
    """Return whether the namespace lacks search attributes of ours: it is new, or was made for an older release."""
    texts = ("no mapping defined for search attribute", "invalid search attribute")
    return error.status == RPCStatusCode.INVALID_ARGUMENT and any(text in error.message for text in texts)


def may_pass(error: RPCError) -> bool:
    """Return whether the same request may succeed later: only the server's state is wrong."""
    return error.message == _CONNECTION_BROKE or error.status in (
        RPCStatusCode.UNAVAILABLE,
        RPCStatusCode.CANCELLED,
        RPCStatusCode.DEADLINE_EXCEEDED,
        RPCStatusCode.RESOURCE_EXHAUSTED,
    )
