"""Temporal's errors become ours, in this one place; a bound on the time that a call waits for it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from temporalio.api.errordetails.v1 import NamespaceNotFoundFailure
from temporalio.client import Client
from temporalio.service import RetryConfig, RPCError, RPCStatusCode

from backup_scheduler.contract.errors import (
    JobNotFound,
    NamespaceNotFound,
    TemporalOverloaded,
    TemporalTimeout,
    TemporalUnavailable,
)

DEADLINE: Final = 4.5
"""Seconds that a call may wait for Temporal: the only bound, as nameko never tells that a caller gave up."""

RETRIES: Final = RetryConfig(max_elapsed_time_millis=3000)
"""Ends the client's own retries before DEADLINE does: of a server that is down a caller hears 503, not 504."""

_CONNECTION_BROKE: Final = "transport error"
"""What the client says, with the status UNKNOWN, when the server dies while it answers."""

_TIMED_OUT: Final = "Timeout expired"
"""What the client says, with the status CANCELLED, when it gives up; a server that stops cancels calls, too."""


@asynccontextmanager
async def answering(client: Client, scheduler_id: str = "", seconds: float = DEADLINE) -> AsyncIterator[None]:
    """Turn what Temporal raises into our errors; bounded by `seconds`."""
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError:
        raise TemporalTimeout(seconds) from None
    except RPCError as error:
        if error.status == RPCStatusCode.NOT_FOUND:
            if not is_missing(error):
                raise NamespaceNotFound(client.namespace) from error
            raise JobNotFound(scheduler_id) from error
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
        if "client connect" not in str(error):
            raise
        raise TemporalUnavailable from error  # what a lazy client raises instead of an RPCError


def is_missing(error: RPCError) -> bool:
    """Tell whether the schedule is not there, though its namespace is."""
    return error.status == RPCStatusCode.NOT_FOUND and not any(
        detail.Is(NamespaceNotFoundFailure.DESCRIPTOR) for detail in error.grpc_status.details
    )


def is_new_namespace(error: RPCError) -> bool:
    """Tell whether our search attributes are not registered yet, so that no job can be there."""
    texts = ("no mapping defined for search attribute", "invalid search attribute")
    return error.status == RPCStatusCode.INVALID_ARGUMENT and any(text in error.message for text in texts)


def may_pass(error: RPCError) -> bool:
    """Tell whether the same request may succeed later, as nothing is wrong but the server's state."""
    return error.message == _CONNECTION_BROKE or error.status in (
        RPCStatusCode.UNAVAILABLE,
        RPCStatusCode.CANCELLED,
        RPCStatusCode.DEADLINE_EXCEEDED,
        RPCStatusCode.RESOURCE_EXHAUSTED,
    )
