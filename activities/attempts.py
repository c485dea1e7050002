"""The common part of all attempts at a backup: heartbeats, log fields, and the hand-over when the worker stops."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from typing import NoReturn, TypeVar

import structlog
from pydantic import BaseModel, ValidationError
from temporalio import activity
from temporalio.client import AsyncActivityCancelledError
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode

from backup_scheduler.runs.task import BackupTask
from backup_scheduler.texts import clean

HEARTBEAT_INTERVAL = timedelta(seconds=1)
"""Bounds how late the Web UI shows progress and how late a cancellation arrives
(docs/temporal-facts.md#heartbeats-carry-cancellation)."""

_FIRST_HEARTBEAT = timedelta(seconds=2)
"""Longest wait for the first heartbeat; the Web UI shows no step before it."""

_HAND_OVER_DELAY = timedelta(seconds=1)
"""Delay before another worker takes over. No back-off: the backup itself did not fail."""

_LONGEST_ANSWER = timedelta(seconds=5)
"""Time in which Temporal has to answer a heartbeat; then another one is sent."""

_PAUSE = 0.5
"""Seconds between attempts to get an answer."""

M = TypeVar("M", bound=BaseModel)
Tell = Callable[[Sequence[BaseModel]], Awaitable[None]]
"""Lets Temporal take the details of a heartbeat; returns once it has."""

log = structlog.stdlib.get_logger(__name__)


class Progress(BaseModel):
    """Heartbeat details for people who read the Web UI. Fields that an engine does not know stay None."""

    step: str
    percent: float | None = None
    files_done: int | None = None
    files_total: int | None = None
    bytes_done: int | None = None
    bytes_total: int | None = None


def kept(model: type[M]) -> list[M]:
    """Return the details that earlier attempts kept for this one (`Attempt.keep`)."""
    found = []
    for detail in activity.info().heartbeat_details[1:]:
        with suppress(ValidationError):  # from another release
            found.append(model.model_validate(detail))
    return found


async def tell(details: Sequence[BaseModel]) -> None:
    """Send a heartbeat, again and again while Temporal is away, until it has taken one.

    The SDK's own heartbeats return at once, whatever becomes of them. Raises ApplicationError when Temporal has given
    this attempt up. In an attempt that is to be cancelled it does not return: the SDK cancels it soon.
    """
    handle = activity.client().get_async_activity_handle(task_token=activity.info().task_token)
    while True:
        try:
            return await handle.heartbeat(*details, rpc_timeout=_LONGEST_ANSWER)
        except AsyncActivityCancelledError:
            pass
        except (RPCError, RuntimeError) as error:
            if isinstance(error, RPCError) and error.status is RPCStatusCode.NOT_FOUND:
                raise ApplicationError("Temporal has given this attempt up", type="GivenUp") from None
        await asyncio.sleep(_PAUSE)


class Attempt:
    """One attempt of an activity, with heartbeats from its beginning to its end."""

    def __init__(self, step: str, tell: Tell = tell) -> None:
        self._tell = tell
        self.progress = Progress(step=step)
        """Details of the next heartbeat. To change them, assign a new Progress."""
        self._kept: list[BaseModel] = []

    def step(self, step: str) -> None:
        """Set the current step."""
        self.progress = Progress(step=step)

    def keep(self, *kept: BaseModel) -> None:
        """Keep details for the next attempt: send them at once, and with each later heartbeat."""
        self._kept = list(kept)
        self._beat()

    async def confirm(self) -> None:
        """Wait until Temporal has what was kept, and has said that this attempt counts. Raises ApplicationError."""
        await self._tell([self.progress, *self._kept])

    def _beat(self) -> None:
        activity.heartbeat(self.progress, *self._kept)

    async def beat(self, every: timedelta) -> NoReturn:
        """Send heartbeats until cancelled. The first one comes late, so that a short backup sends none."""
        await asyncio.sleep(min(every, _FIRST_HEARTBEAT).total_seconds())
        while True:
            self._beat()
            await asyncio.sleep(every.total_seconds())


@asynccontextmanager
async def attempt(
    task: BackupTask, step: str, every: timedelta = HEARTBEAT_INTERVAL, tell: Tell = tell
) -> AsyncIterator[Attempt]:
    """Send heartbeats while the body runs, also while it is being cancelled, and log how it ends.

    When the worker stops, the attempt fails with a short delay, so that another worker takes over. When the run is
    cancelled, the attempt ends as cancelled.
    """
    info = activity.info()
    fields = {
        "scheduler_id": task.request.scheduler_id,
        "policy_name": task.request.policy_name,
        "workflow_id": info.workflow_id,
        "run_id": info.workflow_run_id,
        "attempt": info.attempt,
    }
    with structlog.contextvars.bound_contextvars(**fields):
        log.info("backup attempt started", activity=info.activity_type)
        current = Attempt(step, tell)
        beating = asyncio.create_task(current.beat(every))
        try:
            yield current
            log.info("backup attempt succeeded")
        except asyncio.CancelledError:
            details = activity.cancellation_details()
            if details is None or not details.worker_shutdown:
                log.warning("backup attempt cancelled")
                raise
            log.warning("backup attempt handed over")
            raise ApplicationError(
                "the worker was stopped during the backup, another one takes over",
                type="WorkerStopped",
                next_retry_delay=_HAND_OVER_DELAY,
            ) from None
        except ApplicationError as error:
            failure = _encodable(error)
            log.warning("backup attempt failed", error=failure.message, retried=not failure.non_retryable)
            raise failure from None
        except Exception as error:
            log.exception("backup attempt failed unexpectedly")
            raise ApplicationError(clean(f"{type(error).__name__}: {error}"), type=type(error).__name__) from None
        finally:
            beating.cancel()


def _encodable(error: ApplicationError) -> ApplicationError:
    """Return the failure with texts that the SDK can encode.

    With a lone surrogate the failure would become another one, which Temporal retries even if this one is
    non-retryable (docs/temporal-facts.md#lone-surrogates-break-failures).
    """
    return ApplicationError(
        clean(error.message),
        *error.details,
        type=error.type,
        non_retryable=error.non_retryable,
        next_retry_delay=error.next_retry_delay,
    )
