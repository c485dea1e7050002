"""The engines: one row for each, with its activity, its retries and its way to ask a worker for a backup."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, ApplicationError, TimeoutType
from temporalio.exceptions import TimeoutError as TimedOut

with workflow.unsafe.imports_passed_through():
    from activities.http.backup import HttpBackup
    from activities.restic.backup import TIME_TO_STOP, ResticBackup
    from backup_scheduler.runs.results import BackupReport
    from backup_scheduler.runs.task import BackupTask

HTTP_RETRIES: Final = RetryPolicy(
    initial_interval=timedelta(seconds=5), backoff_coefficient=2, maximum_interval=timedelta(minutes=2)
)
"""Frequent enough to notice soon that the target is well again; time alone limits how long it goes on."""

RESTIC_RETRIES: Final = RetryPolicy(
    initial_interval=timedelta(seconds=15),
    backoff_coefficient=2,
    maximum_interval=timedelta(minutes=10),
    maximum_attempts=20,
)
"""Outlasts a prune that locks the repository, and many lost or restarted workers, but fails after about three hours: a
person hears of a fault that nobody foresaw. An attempt may outlive an outage of Temporal: the first wait gives it time
to hear that it is given up, and to end its restic, before the next attempt begins (2 to 13 s)."""

SHORTEST_TRYING: Final = timedelta(minutes=15)
"""Shortest time for trying an http target, however short the window (contract)."""

LONGEST_WAIT: Final = timedelta(minutes=5)
"""Longest wait of an http backup for a worker before it is asked for anew. Temporal counts the time for trying from the
asking on: this wait is added to it, so it is short. Each asking is 5 of the 51,200 events of a history, so it is not
shorter."""

HEARTBEAT_TIMEOUT: Final = timedelta(seconds=30)
"""Time after which a lost worker is noticed; activities beat every second."""

_SPARE: Final = timedelta(seconds=30)
"""An http attempt ends by itself at its limit. If it does not, Temporal ends it so much later."""

_ASKS_ANEW: Final = "ask-anew-for-a-worker"
"""Patch: runs from before it failed when no worker had taken their backup."""


@dataclass(frozen=True)
class Backup:
    """A backup that a run asks for."""

    task: BackupTask
    attempt_limit: timedelta
    """The policy's time limit for one attempt."""
    window_end: datetime
    latest_start: datetime
    """Moment after which the backup is too late to begin."""


@dataclass(frozen=True)
class Engine:
    """A way to make backups."""

    activity: Callable[[Any, BackupTask], Awaitable[BackupReport]]
    retries: RetryPolicy
    ask: Callable[["Engine", Backup], Awaitable[BackupReport]]
    """Asks workers for the backup, and waits for its report. Raises FailureError."""

    async def make(self, backup: Backup) -> BackupReport:
        """Make a backup. Raises FailureError when there is none in the end."""
        return await self.ask(self, backup)

    async def execute(
        self,
        backup: Backup,
        attempt_limit: timedelta,
        schedule_to_close: timedelta,
        schedule_to_start: timedelta | None = None,
    ) -> BackupReport:
        """Execute the activity once, all its attempts included."""
        return await workflow.execute_activity_method(
            self.activity,
            backup.task,
            start_to_close_timeout=attempt_limit,
            schedule_to_start_timeout=schedule_to_start,
            schedule_to_close_timeout=schedule_to_close,
            heartbeat_timeout=HEARTBEAT_TIMEOUT,
            retry_policy=self.retries,
            # The default would close the run while the backup goes on, and the job's next run could begin beside it.
            cancellation_type=workflow.ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
        )


async def _ask_once(engine: Engine, backup: Backup) -> BackupReport:
    """Ask once; the time of all attempts is the wait until `latest` and one whole attempt."""
    attempt_limit = backup.attempt_limit + TIME_TO_STOP
    return await engine.execute(backup, attempt_limit, schedule_to_close=_until(backup.latest_start) + attempt_limit)


async def _ask_until_taken(engine: Engine, backup: Backup) -> BackupReport:
    """Ask anew until a worker takes the backup, and again when its worker was lost.

    A worker that takes it by `latest` has the whole time for trying. Temporal's limit for all attempts counts from the
    asking on and cannot tell waiting from trying: hence more than one asking for a backup that may wait long.
    """
    attempt_limit = backup.attempt_limit + _SPARE
    trying = max(SHORTEST_TRYING, attempt_limit)
    last_failure: BaseException | None = None
    while True:
        may_wait = _until(backup.latest_start)
        wait_and_try = LONGEST_WAIT + max(_until(backup.window_end), trying)
        is_last = may_wait < wait_and_try  # there is no time for another one after it
        try:
            if is_last:
                return await engine.execute(backup, attempt_limit, may_wait + trying)
            return await engine.execute(backup, attempt_limit, wait_and_try, schedule_to_start=LONGEST_WAIT)
        except ActivityError as error:
            if not isinstance(error.cause, TimedOut):
                raise
            is_over = _is_over(error.cause, backup.latest_start)  # before the cause gets a cause of its own
            last_failure = _keep_last_failure(error, error.cause, last_failure)
            if is_over or not workflow.patched(_ASKS_ANEW):
                raise


def _keep_last_failure(
    error: ActivityError, timed_out: TimedOut, last_failure: BaseException | None
) -> BaseException | None:
    """Return the last failure of an attempt; an asking that no worker took gets it as its cause, as Temporal does."""
    if error.started_event_id:
        return timed_out
    timed_out.__cause__ = timed_out.__cause__ or last_failure
    return timed_out.__cause__


def _is_over(timed_out: TimedOut, latest_start: datetime) -> bool:
    waited = timed_out.type == TimeoutType.SCHEDULE_TO_START
    failed = not waited and isinstance(timed_out.cause, ApplicationError)  # else its worker was lost
    return failed or workflow.now() > latest_start or workflow.cancellation_reason() is not None


def _until(moment: datetime) -> timedelta:
    return max(moment - workflow.now(), timedelta(0))


ENGINES: Final = {
    "http": Engine(HttpBackup.http_backup, HTTP_RETRIES, _ask_until_taken),
    "restic": Engine(ResticBackup.restic_backup, RESTIC_RETRIES, _ask_once),
}
"""The engine of each type of policy."""
