"""The engines: one row for each, with its activity, its retries and how the activity is executed."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, ApplicationError, FailureError, TimeoutType
from temporalio.exceptions import TimeoutError as TimedOut

with workflow.unsafe.imports_passed_through():
    from activities.http import backup as http
    from activities.restic import backup as restic
    from backup_scheduler.policies.file import ChosenEngine, Policies
    from backup_scheduler.runs.reports import RunReport
    from backup_scheduler.runs.results import BackupReport, BegunBackup, Outcome
    from backup_scheduler.runs.task import BackupTask, PollTask
    from backup_scheduler.texts import clean
    from workflows import sentences
    from workflows.make_repository import MakeRepositoryWorkflow
    from workflows.reports import Reports, Tell

HTTP_RETRIES: Final = RetryPolicy(
    initial_interval=timedelta(seconds=5), backoff_coefficient=2, maximum_interval=timedelta(minutes=2)
)
"""Frequent enough to notice soon that the target works again. Only time limits the number of attempts."""

RESTIC_RETRIES: Final = RetryPolicy(
    initial_interval=timedelta(seconds=15),
    backoff_coefficient=2,
    maximum_interval=timedelta(minutes=10),
    maximum_attempts=20,
)
"""Outlasts a prune that locks the repository, and many lost or restarted workers. Fails after waits of 2 h 26 min, so
that people learn of an unexpected fault. An attempt may outlive its heartbeat time-out: the first wait gives it time to
end a restic that Temporal could not learn of (2 to 13 s, after KNOWN_WITHIN of activities/restic/session.py), before
the next attempt begins."""

SHORTEST_TRYING: Final = timedelta(minutes=15)
"""Shortest time for the attempts at an http target, for a window of any length (docs/api.md#what-a-run-does)."""

LONGEST_WAIT: Final = timedelta(minutes=5)
"""Longest wait for a worker in one execution of the http activity. It is short, because it adds to the time for trying
(docs/temporal-facts.md#limits-count-waiting). It is not shorter, because each execution adds 5 events to a history,
which may have 51,200 (docs/temporal-facts.md#histories-are-limited)."""

HEARTBEAT_TIMEOUT: Final = timedelta(seconds=30)
"""Time after which a lost worker is noticed; activities send a heartbeat every second, or every 5 s for http."""

_SPARE: Final = timedelta(seconds=30)
"""An http attempt ends by itself at its limit; if it does not, Temporal ends it this much later."""

_ASKS_ANEW: Final = "ask-anew-for-a-worker"
"""Patch: older runs failed when no worker had taken their backup."""

_HEEDS_CANCELLATION: Final = "heeds-cancellation-at-the-answer"
"""Patch: older runs that were cancelled as the answer came waited for the end of the backup all the same."""


@dataclass(frozen=True)
class Backup:
    """The backup of one run: its task and its times."""

    task: BackupTask
    choice: ChosenEngine
    """The policy's engine and time limits."""
    window_end: datetime
    latest_start: datetime
    """The backup must not begin after this moment."""
    reports: Reports
    """What the backup service reports of the run."""
    tell: Tell
    """Shows what the run does."""


@dataclass(frozen=True)
class Engine:
    """A way to make backups: an activity, and how to execute it."""

    activity: Callable[[Any, BackupTask], Awaitable[BackupReport]]
    retries: RetryPolicy
    strategy: Callable[["Engine", Backup], Awaitable[BackupReport]]
    """How to execute the activity: once, or again until a worker takes it. Raises FailureError."""
    activities: Callable[[Policies], list[Callable[..., Any]]]
    """Makes the activity, and others that the engine needs, for a worker."""
    workflows: Sequence[type] = ()
    """Workflows that the engine needs beside BackupWorkflow."""

    async def make(self, backup: Backup) -> BackupReport:
        """Make a backup. Raises FailureError when no backup was made."""
        return await self.strategy(self, backup)

    async def execute(
        self,
        backup: Backup,
        attempt_limit: timedelta,
        schedule_to_close: timedelta,
        schedule_to_start: timedelta | None = None,
    ) -> BackupReport:
        """Execute the activity once, with all its attempts."""
        return await workflow.execute_activity_method(
            self.activity,
            backup.task,
            start_to_close_timeout=attempt_limit,
            schedule_to_start_timeout=schedule_to_start,
            schedule_to_close_timeout=schedule_to_close,
            heartbeat_timeout=HEARTBEAT_TIMEOUT,
            retry_policy=self.retries,
            summary=backup.task.request.summary,
            # The default would close the run while the backup goes on, and the job's next run could begin beside it
            # (docs/temporal-facts.md#cancelled-runs-close-early).
            cancellation_type=workflow.ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
        )


async def _execute_once(engine: Engine, backup: Backup) -> BackupReport:
    """Execute the activity once; the limit of all attempts is the wait until `latest_start` and one whole attempt."""
    attempt_limit = backup.choice.timeout + restic.TIME_TO_STOP
    return await engine.execute(backup, attempt_limit, schedule_to_close=_until(backup.latest_start) + attempt_limit)


async def _execute_until_taken(engine: Engine, backup: Backup) -> BackupReport:
    """Execute the activity again until a worker takes the backup, and when its worker was lost.

    A worker that takes it by `latest_start` has the whole time for trying. Temporal's limit for all attempts includes
    the wait (docs/temporal-facts.md#limits-count-waiting): a backup that may wait long needs more than one execution.
    """
    attempt_limit = backup.choice.timeout + _SPARE
    trying = max(SHORTEST_TRYING, attempt_limit)
    last_failure: BaseException | None = None
    while True:
        may_wait = _until(backup.latest_start)
        wait_and_try = LONGEST_WAIT + max(_until(backup.window_end), trying)
        is_last = may_wait < wait_and_try  # no time for another execution after this one
        try:
            if is_last:
                return await engine.execute(backup, attempt_limit, may_wait + trying)
            return await engine.execute(backup, attempt_limit, wait_and_try, schedule_to_start=LONGEST_WAIT)
        except ActivityError as error:
            if not isinstance(error.cause, TimedOut):
                raise
            # Judged before the time-out gets an earlier failure as its cause.
            is_over = _is_over(error.cause, backup)
            last_failure = _keep_last_failure(error, error.cause, last_failure)
            if is_over or not workflow.patched(_ASKS_ANEW):
                raise


async def _execute_until_ended(engine: Engine, backup: Backup) -> BackupReport:
    """Execute the activity until a worker takes it; if its answer is not the end, wait for the end.

    No patch for that: the history of an older run has a choice without `completion`, which is "answer".
    """
    if backup.choice.completion == "answer":
        return await _execute_until_taken(engine, backup)
    if backup.choice.completion == "report":
        return await _wait_for_report(engine, backup)
    begun = await _begin(engine, backup)
    if begun.ended:
        return begun
    # A request that is answered before it learns of the cancellation ends as if there were none.
    if workflow.cancellation_reason() is not None and workflow.patched(_HEEDS_CANCELLATION):
        raise asyncio.CancelledError
    return await _poll(engine, backup, begun)


async def _begin(engine: Engine, backup: Backup) -> BegunBackup:
    begun = await _execute_until_taken(replace(engine, activity=http.HttpBackup.http_begin), backup)
    return BegunBackup.model_validate(begun, from_attributes=True)


async def _poll(engine: Engine, backup: Backup, begun: BegunBackup) -> BackupReport:
    """Wait for the end of a backup that has begun, by looks at its status.

    An activity of its own: however often its attempts are lost, the service is not asked for the backup again.
    """
    limit = backup.choice.completes_within
    backup.tell(_goes_on(begun), sentences.HOW_FAR)
    return await workflow.execute_activity_method(
        http.HttpBackup.http_poll,
        PollTask(**dict(backup.task), begun=begun, limit=limit),
        schedule_to_close_timeout=limit + _SPARE,
        heartbeat_timeout=HEARTBEAT_TIMEOUT,
        retry_policy=engine.retries,
        summary=sentences.POLLS,
        cancellation_type=workflow.ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
    )


async def _wait_for_report(engine: Engine, backup: Backup) -> BackupReport:
    """Wait until the service reports the end of the backup; it may do so before its answer is read."""
    reports, limit = backup.reports, backup.choice.completes_within
    reports.expect(limit, backup.tell)
    asking = asyncio.create_task(_begin(engine, backup))
    try:
        await workflow.wait_condition(lambda: asking.done() or reports.final is not None)
    finally:
        # The run is cancelled, or the answer means nothing any more: also that of a service that then failed to answer.
        if not asking.done():
            asking.cancel()
            with suppress(FailureError, asyncio.CancelledError):
                await asking
    if reports.final is not None:
        return _reported(reports.final, None if asking.cancelled() or asking.exception() else asking.result())
    begun = asking.result()
    backup.tell(reports.last_words or _goes_on(begun))
    with suppress(TimeoutError):
        await workflow.wait_condition(
            lambda: reports.final is not None, timeout=limit, timeout_summary=sentences.AWAITS_REPORT
        )
    if reports.final is None:
        raise ApplicationError(sentences.never_reported(limit, reports.last_words), type="NeverReported")
    return _reported(reports.final, begun)


def _goes_on(begun: BegunBackup) -> str:
    return f"{begun.message}, the backup goes on there"


def _reported(report: RunReport, begun: BegunBackup | None) -> BackupReport:
    """Return what a service reported as the report of its engine. Raises ApplicationError when no backup was made."""
    outcome = Outcome(report.outcome)
    message = report.message or f"the backup service reported the backup as {outcome}"
    if outcome is Outcome.FAILED:
        raise ApplicationError(clean(message), type="ReportedAsFailed")
    return BackupReport(
        outcome=outcome,
        message=message,
        files=report.files,
        bytes_processed=report.bytes,
        snapshot_id=report.snapshot_id,
        answer=begun and begun.answer,
    )


def _keep_last_failure(
    error: ActivityError, timed_out: TimedOut, last_failure: BaseException | None
) -> BaseException | None:
    """Return the last failure of an attempt. A time-out without an attempt gets it as its cause, as in Temporal."""
    if error.started_event_id:
        return timed_out
    timed_out.__cause__ = timed_out.__cause__ or last_failure
    return timed_out.__cause__


def _is_over(timed_out: TimedOut, backup: Backup) -> bool:
    waited = timed_out.type == TimeoutType.SCHEDULE_TO_START
    failed = not waited and isinstance(timed_out.cause, ApplicationError)  # otherwise its worker was lost
    unwanted = workflow.cancellation_reason() is not None or backup.reports.final is not None
    return failed or unwanted or workflow.now() > backup.latest_start


def _until(moment: datetime) -> timedelta:
    return max(moment - workflow.now(), timedelta(0))


ENGINES: Final = {
    "http": Engine(http.HttpBackup.http_backup, HTTP_RETRIES, _execute_until_ended, http.activities),
    "restic": Engine(
        restic.ResticBackup.restic_backup, RESTIC_RETRIES, _execute_once, restic.activities, [MakeRepositoryWorkflow]
    ),
}
"""The engine of each type of policy."""
