"""One run of a job, from the moment at which Temporal starts it to its result."""

import asyncio
from datetime import datetime, timedelta
from typing import Final

from temporalio import workflow
from temporalio.common import RetryPolicy, SearchAttributeKey
from temporalio.exceptions import (
    ActivityError,
    ApplicationError,
    FailureError,
    RetryState,
    TimeoutType,
    is_cancelled_exception,
)
from temporalio.exceptions import TimeoutError as TimedOut

with workflow.unsafe.imports_passed_through():
    from activities.http_backup import HttpBackup
    from activities.policy_choice import PolicyLookup
    from activities.previous_run import PreviousRun
    from activities.restic_backup import TIME_TO_STOP, ResticBackup
    from backup_scheduler import names, timing
    from backup_scheduler.backups import BackupReport, BackupRequest, BackupResult, BackupTask, Outcome, PreviousBackup
    from backup_scheduler.policies import PolicyChoice

HTTP_RETRIES: Final = RetryPolicy(
    initial_interval=timedelta(seconds=5), backoff_coefficient=2, maximum_interval=timedelta(minutes=2)
)
"""Never too rare to notice soon that the target is well again; how long it goes on is a matter of time alone."""

RESTIC_RETRIES: Final = RetryPolicy(
    initial_interval=timedelta(seconds=15),
    backoff_coefficient=2,
    maximum_interval=timedelta(minutes=10),
    maximum_attempts=20,
)
"""Outlasts a prune that locks the repository, and many workers lost or restarted, but fails after about three hours,
so that a person hears of a fault that nobody foresaw. The first wait lets an attempt that outlived an outage of
Temporal hear that it is given up and end its restic before the next one begins (2 to 13 s)."""

LOOKUP_RETRIES: Final = RetryPolicy(maximum_attempts=3)
"""The look-up touches nothing that could get better; a lost worker is made up for by the workflow task."""

PREVIOUS_RUN_RETRIES: Final = RetryPolicy(maximum_interval=timedelta(seconds=5), maximum_attempts=10)
"""Temporal has just started this run, so it answers soon."""

SHORTEST_TRYING: Final = timedelta(minutes=15)
"""How long an http target is tried at least, however short the window (contract)."""

LONGEST_WAIT: Final = timedelta(minutes=5)
"""How long an http backup waits for a worker before it is asked for anew. Temporal counts the time for trying from the
asking on: this much is added to it, so it is short; each asking is 5 of the 51,200 events of a history, so not shorter.
"""

HEARTBEAT_TIMEOUT: Final = timedelta(seconds=30)
"""A worker that is gone is noticed after this; activities beat every second."""

BACKUP_FAILED: Final = "BackupFailed"
"""Type of the failure of a run that made no backup; a BackupResult is its detail."""

BACKUP_MISSED: Final = "BackupMissed"
"""Type of the failure of a run that was picked up too late; a BackupResult is its detail."""

_SPARE: Final = timedelta(seconds=30)
"""An http attempt ends by itself at its limit; only when it does not does Temporal, this much later."""

_ASKS_ANEW: Final = "ask-anew-for-a-worker"
"""Patch: runs from before it failed when no worker had taken their backup."""

_MISSED_FAILS: Final = "missed-runs-fail"
"""Patch: runs from before it closed as Completed when they were missed, and did not ask how the run before ended."""

_SCHEDULED: Final = SearchAttributeKey.for_datetime("TemporalScheduledStartTime")
_SCHEDULE: Final = SearchAttributeKey.for_keyword("TemporalScheduledById")


@workflow.defn(name=names.BACKUP_WORKFLOW)
class BackupWorkflow:
    """Makes the backup of one occurrence of a job.

    Returns a BackupResult. Fails, visible as such in the Web UI, when no backup was made: also when it was picked up
    too late to make one. A BackupResult is in the details of the failure.
    """

    @workflow.run
    async def run(self, request: BackupRequest) -> BackupResult:
        """Run the job's policy once."""
        started = workflow.now()
        info = workflow.info()
        scheduled = info.typed_search_attributes.get(_SCHEDULED) or info.start_time
        fault: FailureError | None = None
        latest = timing.latest_start(scheduled, request.window, request.catch_up_window, _end_of_previous_backup())
        late_fails = started > latest and workflow.patched(_MISSED_FAILS)
        if late_fails and (stopped := await _stop_of_previous_run()):
            latest = timing.latest_start(scheduled, request.window, request.catch_up_window, stopped)
        if started > latest:
            report = BackupReport(outcome=Outcome.MISSED, message=_missed(request.scheduler_id, started - latest))
        else:
            try:
                report = await _back_up(request, scheduled, latest)
            except FailureError as error:  # of a local activity it is the ApplicationError itself
                if is_cancelled_exception(error) or workflow.cancellation_reason() is not None:
                    workflow.set_current_details("**cancelled**: no backup was made")
                    raise asyncio.CancelledError from error
                fault = error
                report = BackupReport(outcome=Outcome.FAILED, message=_reason(error))
        result = BackupResult(
            **report.model_dump(),
            scheduler_id=request.scheduler_id,
            policy_name=request.policy_name,
            scheduled_time=scheduled,
            started_at=started,
            finished_at=workflow.now(),
        )
        workflow.set_current_details(_summary(result))
        workflow.logger.info(
            "run ended",
            extra={
                "scheduler_id": request.scheduler_id,
                "policy_name": request.policy_name,
                "workflow_id": info.workflow_id,
                "run_id": info.run_id,
                "outcome": result.outcome.value,
                "reason": result.message,
            },
        )
        workflow.metric_meter().create_counter("backup_scheduler_runs", "Runs that ended, by outcome").add(
            1, {"outcome": result.outcome.value}
        )
        workflow.upsert_search_attributes([names.OUTCOME.value_set(result.outcome.value)])
        if fault is not None:
            raise ApplicationError(result.message, result, type=BACKUP_FAILED, non_retryable=True) from fault
        if result.outcome is Outcome.MISSED and late_fails:
            raise ApplicationError(result.message, result, type=BACKUP_MISSED, non_retryable=True)
        return result


def _end_of_previous_backup() -> datetime | None:
    """Return when the job's last run ended, whether it made a backup or failed; a missed one kept nobody waiting."""
    ended = [workflow.get_last_completion_result(BackupResult)] if workflow.has_last_completion_result() else []
    failure = workflow.get_last_failure()
    if isinstance(failure, ApplicationError) and failure.type == BACKUP_FAILED:
        ended += [BackupResult.model_validate(detail) for detail in failure.details]
    return max((each.finished_at for each in ended if each and each.outcome is not Outcome.MISSED), default=None)


async def _stop_of_previous_run() -> datetime | None:
    """Return when somebody or a time-out stopped the job's last run: Temporal hands nothing of it to the next one."""
    schedule_id = workflow.info().typed_search_attributes.get(_SCHEDULE)
    if schedule_id is None:
        return None
    try:
        return await workflow.execute_local_activity_method(
            PreviousRun.stopped_at,
            schedule_id,
            start_to_close_timeout=timedelta(seconds=10),
            retry_policy=PREVIOUS_RUN_RETRIES,
        )
    except FailureError as error:
        if is_cancelled_exception(error):
            raise
        workflow.logger.warning("how the run before ended is not known", exc_info=error)
        return None


def _previous_backup() -> PreviousBackup | None:
    """Return what is known of the job's last backup; Temporal carries it over failed runs and changes of the job."""
    if not workflow.has_last_completion_result():
        return None
    result = workflow.get_last_completion_result(BackupResult)
    return PreviousBackup(**result.model_dump(include=set(PreviousBackup.model_fields))) if result else None


async def _back_up(request: BackupRequest, scheduled: datetime, latest: datetime) -> BackupReport:
    choice = await workflow.execute_local_activity_method(
        PolicyLookup.choose_policy,
        request.policy_name,
        start_to_close_timeout=timedelta(seconds=10),
        retry_policy=LOOKUP_RETRIES,
    )
    workflow.set_current_details(f"**running**: {choice.type} backup of policy `{request.policy_name}`")
    task = BackupTask(request=request, occurrence=_occurrence(), previous=_previous_backup())
    if choice.type == "http":
        return await _ask_a_service(task, choice, scheduled + request.window, latest)
    limit = choice.timeout + TIME_TO_STOP
    return await workflow.execute_activity_method(
        ResticBackup.restic_backup,
        task,
        start_to_close_timeout=limit,
        schedule_to_close_timeout=_until(latest) + limit,
        heartbeat_timeout=HEARTBEAT_TIMEOUT,
        retry_policy=RESTIC_RETRIES,
        # The default would close the run while the backup goes on, and the job's next run could begin beside it.
        cancellation_type=workflow.ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
    )


async def _ask_a_service(
    task: BackupTask, choice: PolicyChoice, window_end: datetime, latest: datetime
) -> BackupReport:
    """Make an http backup, which has its whole time for trying if a worker is found for it by `latest`.

    Temporal's limit for all attempts counts from the asking on and cannot tell waiting from trying: so a backup which
    may wait long is asked for anew until a worker takes it, and again when its worker was lost.
    """
    least = max(SHORTEST_TRYING, choice.timeout + _SPARE)
    last_failure: BaseException | None = None
    while True:
        may_wait = _until(latest)
        wait_and_try = LONGEST_WAIT + max(_until(window_end), least)
        again = may_wait >= wait_and_try  # whenever this asking ends there is time for another; else it is the last
        try:
            return await workflow.execute_activity_method(
                HttpBackup.http_backup,
                task,
                start_to_close_timeout=choice.timeout + _SPARE,
                schedule_to_start_timeout=LONGEST_WAIT if again else None,
                schedule_to_close_timeout=wait_and_try if again else may_wait + least,
                heartbeat_timeout=HEARTBEAT_TIMEOUT,
                retry_policy=HTTP_RETRIES,
                cancellation_type=workflow.ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
            )
        except ActivityError as error:
            cause = error.cause
            if not isinstance(cause, TimedOut):
                raise
            waited = cause.type == TimeoutType.SCHEDULE_TO_START
            failed = not waited and isinstance(cause.cause, ApplicationError)  # else its worker was lost
            if not error.started_event_id:
                # No worker took it (again). Temporal, too, tells then what the attempt before met.
                cause.__cause__ = cause.__cause__ or last_failure
            last_failure = cause if error.started_event_id else cause.__cause__
            over = failed or workflow.now() > latest or workflow.cancellation_reason() is not None
            if over or not workflow.patched(_ASKS_ANEW):
                raise


def _until(moment: datetime) -> timedelta:
    return max(moment - workflow.now(), timedelta(0))


def _occurrence() -> str:
    """Name the occurrence: the job with its nominal time, and an id that no other cluster or namespace shares.

    Two installations may have jobs of the same name and back up into the same repository.
    """
    info = workflow.info()
    return f"{info.workflow_id}~{info.first_execution_run_id}"


def _missed(scheduler_id: str, late: timedelta) -> str:
    late -= timedelta(microseconds=late.microseconds)
    return (
        f"picked up {late} after the end of its window and grace time, nothing was backed up; "
        f"`{names.trigger_command(scheduler_id)}` makes a backup now"
    )


def _reason(error: FailureError) -> str:
    """Say in a sentence why no backup was made."""
    if not isinstance(error, ActivityError):
        return error.message
    cause = error.cause
    # Temporal's own limits carry the last failure of an attempt as their cause.
    last = cause.cause if isinstance(cause, TimedOut) and cause.type != TimeoutType.HEARTBEAT else cause
    waited = isinstance(cause, TimedOut) and not error.started_event_id
    if isinstance(last, ApplicationError):
        what = last.message
    elif isinstance(last, TimedOut):
        what = "the worker was lost during the backup"
    elif waited:
        return "no worker took the backup before its time was up: none was running, or all were busy"
    else:
        what = "no worker made the backup within its time limit"
    if waited:
        return f"{what}; after that no worker took it before its time was up"
    gave_up = error.retry_state in (RetryState.TIMEOUT, RetryState.MAXIMUM_ATTEMPTS_REACHED)
    return f"{what}; it was tried until its time was up" if gave_up else what


def _summary(result: BackupResult) -> str:
    """Write the outcome as Markdown for the person who opens the run in the Web UI."""
    answer = result.answer.status if result.answer else None
    facts = {
        "snapshot": result.snapshot_id and f"`{result.snapshot_id}`",
        "repository": result.repository and f"`{result.repository}`",
        "files": result.files is not None and f"{result.files:,}",
        "size": result.bytes_processed is not None and f"{result.bytes_processed:,} bytes",
        "added to the repository": result.bytes_added is not None and f"{result.bytes_added:,} bytes",
        "answer": answer and f"HTTP status {answer}",
    }
    lines = [f"**{result.outcome}**: {result.message}", ""]
    lines += [f"- {name}: {value}" for name, value in facts.items() if value]
    lines += [f"- warning: {warning}" for warning in result.warnings]
    return "\n".join(lines)
