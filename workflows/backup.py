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
    from activities.restic_backup import TIME_TO_STOP, ResticBackup
    from backup_scheduler import names, timing
    from backup_scheduler.backups import BackupReport, BackupRequest, BackupResult, BackupTask, Outcome
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

SHORTEST_TRYING: Final = timedelta(minutes=15)
"""How long an http target is tried at least, however short the window (contract)."""

HEARTBEAT_TIMEOUT: Final = timedelta(seconds=30)
"""A worker that is gone is noticed after this; activities beat every second."""

BACKUP_FAILED: Final = "BackupFailed"
"""Type of the failure of a run that made no backup; a BackupResult is its detail."""

_SPARE: Final = timedelta(seconds=30)
"""Activities end by themselves at their limit; only when they do not does Temporal, this much later."""

_SCHEDULED: Final = SearchAttributeKey.for_datetime("TemporalScheduledStartTime")


@workflow.defn(name=names.BACKUP_WORKFLOW)
class BackupWorkflow:
    """Makes the backup of one occurrence of a job.

    Returns a BackupResult; fails, visible as such in the Web UI, with a BackupResult in the details of the failure when
    no backup was made. One that is picked up too late makes none and completes as missed.
    """

    @workflow.run
    async def run(self, request: BackupRequest) -> BackupResult:
        """Run the job's policy once."""
        started = workflow.now()
        info = workflow.info()
        scheduled = info.typed_search_attributes.get(_SCHEDULED) or info.start_time
        fault: FailureError | None = None
        latest = timing.latest_start(scheduled, request.window, request.catch_up_window, _end_of_previous_backup())
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
        return result


def _end_of_previous_backup() -> datetime | None:
    """Return when the job's last run ended, whether it made a backup or failed; a missed one kept nobody waiting."""
    ended = [workflow.get_last_completion_result(BackupResult)] if workflow.has_last_completion_result() else []
    failure = workflow.get_last_failure()
    if isinstance(failure, ApplicationError) and failure.type == BACKUP_FAILED:
        ended += [BackupResult.model_validate(detail) for detail in failure.details]
    return max((each.finished_at for each in ended if each and each.outcome is not Outcome.MISSED), default=None)


async def _back_up(request: BackupRequest, scheduled: datetime, latest: datetime) -> BackupReport:
    choice = await workflow.execute_local_activity_method(
        PolicyLookup.choose_policy,
        request.policy_name,
        start_to_close_timeout=timedelta(seconds=10),
        retry_policy=LOOKUP_RETRIES,
    )
    workflow.set_current_details(f"**running**: {choice.type} backup of policy `{request.policy_name}`")
    task = BackupTask(request=request, occurrence=_occurrence())
    if choice.type == "http":
        return await workflow.execute_activity_method(
            HttpBackup.http_backup,
            task,
            start_to_close_timeout=choice.timeout + _SPARE,
            schedule_to_close_timeout=_time_for_trying(choice, scheduled + request.window - workflow.now()),
            heartbeat_timeout=HEARTBEAT_TIMEOUT,
            retry_policy=HTTP_RETRIES,
            # The default would close the run while the backup goes on, and the job's next run could begin beside it.
            cancellation_type=workflow.ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
        )
    limit = choice.timeout + TIME_TO_STOP
    return await workflow.execute_activity_method(
        ResticBackup.restic_backup,
        task,
        start_to_close_timeout=limit,
        schedule_to_close_timeout=max(latest - workflow.now(), timedelta(0)) + limit,
        heartbeat_timeout=HEARTBEAT_TIMEOUT,
        retry_policy=RESTIC_RETRIES,
        cancellation_type=workflow.ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
    )


def _occurrence() -> str:
    """Name the occurrence: the job with its nominal time, and an id that no other cluster or namespace shares.

    Two installations may have jobs of the same name and back up into the same repository.
    """
    info = workflow.info()
    return f"{info.workflow_id}~{info.first_execution_run_id}"


def _time_for_trying(choice: PolicyChoice, left_of_window: timedelta) -> timedelta:
    return max(left_of_window, SHORTEST_TRYING, choice.timeout + _SPARE)


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
    last = cause.cause if isinstance(cause, TimedOut) else cause
    if isinstance(last, ApplicationError):
        what = last.message
    elif isinstance(cause, TimedOut) and cause.type == TimeoutType.HEARTBEAT:
        what = "the worker was lost during the backup"
    else:
        what = "no worker made the backup within its time limit"
    gave_up = error.retry_state in (RetryState.TIMEOUT, RetryState.MAXIMUM_ATTEMPTS_REACHED)
    return f"{what}; it was tried until its time was up" if gave_up else what


def _summary(result: BackupResult) -> str:
    """Write the outcome as Markdown for the person who opens the run in the Web UI."""
    answer = result.answer.status if result.answer else None
    facts = {
        "snapshot": result.snapshot_id and f"`{result.snapshot_id}`",
        "files": result.files is not None and f"{result.files:,}",
        "size": result.bytes_processed is not None and f"{result.bytes_processed:,} bytes",
        "added to the repository": result.bytes_added is not None and f"{result.bytes_added:,} bytes",
        "answer": answer and f"HTTP status {answer}",
    }
    lines = [f"**{result.outcome}**: {result.message}", ""]
    lines += [f"- {name}: {value}" for name, value in facts.items() if value]
    lines += [f"- warning: {warning}" for warning in result.warnings]
    return "\n".join(lines)
