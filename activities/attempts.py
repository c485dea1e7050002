"""What every attempt at a backup has in common: heartbeats, log fields, and handing over when the worker stops."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from typing import NoReturn, TypeVar

import structlog
from pydantic import BaseModel, ValidationError
from temporalio import activity
from temporalio.exceptions import ApplicationError

from backup_scheduler.runs.task import BackupTask
from backup_scheduler.texts import clean

HEARTBEAT_INTERVAL = timedelta(seconds=1)
"""Also how soon progress shows in the Web UI and how soon a cancellation arrives, as it rides on heartbeats."""

_FIRST_HEARTBEAT = timedelta(seconds=2)
"""Until then the Web UI shows no step."""

_AT_ONCE = timedelta(seconds=1)
"""Another worker may take over after this; no back-off, as the backup itself did nothing wrong."""

M = TypeVar("M", bound=BaseModel)

log = structlog.stdlib.get_logger(__name__)


class Progress(BaseModel):
    """Heartbeat details, read by people in the Web UI. Fields that an engine cannot know stay None."""

    step: str
    percent: float | None = None
    files_done: int | None = None
    files_total: int | None = None
    bytes_done: int | None = None
    bytes_total: int | None = None


def kept(model: type[M]) -> list[M]:
    """Return what earlier attempts of this activity wanted this one to know (`Attempt.keep`)."""
    found = []
    for detail in activity.info().heartbeat_details[1:]:
        with suppress(ValidationError):  # of another release
            found.append(model.model_validate(detail))
    return found


class Attempt:
    """One attempt of an activity, which beats from its beginning to its end."""

    def __init__(self, step: str) -> None:
        self.progress = Progress(step=step)
        """What the next heartbeat tells; assign a new one to tell more."""
        self._kept: list[BaseModel] = []

    def step(self, step: str) -> None:
        """Tell what is being done now."""
        self.progress = Progress(step=step)

    def keep(self, *kept: BaseModel) -> None:
        """Tell at once what a next attempt has to know, and with each heartbeat from now on."""
        self._kept = list(kept)
        self._beat()

    def _beat(self) -> None:
        activity.heartbeat(self.progress, *self._kept)

    async def beat(self, every: timedelta) -> NoReturn:
        """Send a heartbeat again and again; a backup that is done before the first is due spares the server one."""
        await asyncio.sleep(min(every, _FIRST_HEARTBEAT).total_seconds())
        while True:
            self._beat()
            await asyncio.sleep(every.total_seconds())


@asynccontextmanager
async def attempt(task: BackupTask, step: str, every: timedelta = HEARTBEAT_INTERVAL) -> AsyncIterator[Attempt]:
    """Beat while the body runs, also while it is being cancelled, and log how it ends.

    A body that is cancelled because the worker stops fails so that Temporal gives it to another worker at once; one
    that is cancelled because its run is, ends cancelled.
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
        this = Attempt(step)
        beating = asyncio.create_task(this.beat(every))
        try:
            yield this
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
                next_retry_delay=_AT_ONCE,
            ) from None
        except ApplicationError as error:
            fit = _fit(error)
            log.warning("backup attempt failed", error=fit.message, retried=not fit.non_retryable)
            raise fit from None
        except Exception as error:
            log.exception("backup attempt failed unexpectedly")
            raise ApplicationError(clean(f"{type(error).__name__}: {error}"), type=type(error).__name__) from None
        finally:
            beating.cancel()


def _fit(error: ApplicationError) -> ApplicationError:
    """Clean what the outside world put into a failure: with a text that cannot be encoded all of it would be lost.

    It would be tried again then, whatever it says of that.
    """
    return ApplicationError(
        clean(error.message),
        *error.details,
        type=error.type,
        non_retryable=error.non_retryable,
        next_retry_delay=error.next_retry_delay,
    )
