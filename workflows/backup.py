"""One run of a job, from its start by Temporal to its result."""

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Final

from temporalio import workflow
from temporalio.api.common.v1 import Payload
from temporalio.common import RawValue, RetryPolicy, SearchAttributeKey
from temporalio.exceptions import ApplicationError, FailureError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from activities.policy_lookup import PolicyLookup
    from activities.previous_run import PreviousRun
    from activities.run_origin import Occurrence, RunOrigin
    from backup_scheduler.jobs import names, timing
    from backup_scheduler.jobs.request import BackupRequest
    from backup_scheduler.runs.asked import Asked, StartedBy
    from backup_scheduler.runs.memo import RunMemo
    from backup_scheduler.runs.reports import RunReport
    from backup_scheduler.runs.results import BackupReport, BackupResult, Outcome
    from backup_scheduler.runs.task import BackupTask, PreviousBackup
    from workflows import counters, sentences
    from workflows.engines import ENGINES, Backup
    from workflows.reports import Reports

LOOKUP_RETRIES: Final = RetryPolicy(maximum_attempts=3)
"""The look-up depends on nothing that could recover; the workflow task makes up for a lost worker."""

PREVIOUS_RUN_RETRIES: Final = RetryPolicy(maximum_interval=timedelta(seconds=5), maximum_attempts=10)
"""Temporal has just started this run, so it answers soon."""

BACKUP_FAILED: Final = "BackupFailed"
"""Type of the failure of a run that made no backup; a BackupResult is its detail."""

BACKUP_MISSED: Final = "BackupMissed"
"""Type of the failure of a run that was picked up too late; a BackupResult is its detail."""

NO_TERMS: Final = "NoTerms"
"""Type of the failure of a run whose argument is not the terms of a job, as after an update of the schedule by hand."""


_NOTHING: Final = RawValue(Payload())
"""The argument of a run that was given none."""

_MISSED_FAILS: Final = "missed-runs-fail"
"""Patch: older runs closed as Completed when they were missed, and did not ask how the run before ended."""

_TELLS_LISTS: Final = "tells-lists"
"""Patch: older runs had no memo, and did not know who asked for them."""

_SAYS_WHY_CANCELLED: Final = "says-why-it-was-cancelled"
"""Patch: older runs that were cancelled before a worker took them up did not say why."""

_SCHEDULED: Final = SearchAttributeKey.for_datetime("TemporalScheduledStartTime")
_SCHEDULE: Final = SearchAttributeKey.for_keyword("TemporalScheduledById")


@workflow.defn(name=names.BACKUP_WORKFLOW)
class BackupWorkflow:
    """Makes the backup of one occurrence of a job.

    Returns a BackupResult. Fails when it made no backup, also when it was picked up too late to make one: the Web UI
    shows it as Failed. The failure has a BackupResult in its details.
    """

    def __init__(self) -> None:
        self._reports = Reports()

    @workflow.update(name=names.REPORT_UPDATE)
    def report(self, report: RunReport) -> None:
        """Take what the backup service reports of the run."""
        self._reports.take(report)

    @report.validator
    def _check(self, report: RunReport) -> None:
        self._reports.check(report)

    @workflow.run
    async def run(self, argument: RawValue = _NOTHING) -> BackupResult:
        """Run the policy of the job once; the argument is a BackupRequest."""
        request = _terms(argument)
        started = workflow.now()
        scheduled = workflow.info().typed_search_attributes.get(_SCHEDULED) or workflow.info().start_time
        asked = await _asked(request, scheduled, started) if workflow.patched(_TELLS_LISTS) else None
        memo = RunMemo.of(request.scheduler_id, asked) if asked else None
        if memo and memo.started_by is not StartedBy.SCHEDULE:
            workflow.upsert_memo(memo.entries())
        if workflow.cancellation_reason() is not None and workflow.patched(_SAYS_WHY_CANCELLED):
            _show_cancelled(memo)
            raise asyncio.CancelledError
        # A run that somebody asks for is not late, whatever occurrence it makes up for.
        due = max(scheduled, asked.at) if asked and asked.at else scheduled
        latest_start, missed_fails = await _latest_start(request, due, started)
        failure: FailureError | None = None
        if started > latest_start:
            sentence = sentences.missed(request.scheduler_id, started - latest_start)
            report = BackupReport(outcome=Outcome.MISSED, message=sentence)
        else:
            try:
                report = await _back_up(request, due, latest_start, self._reports, memo)
            except asyncio.CancelledError:  # while the run waited for a report; an activity raises a FailureError
                _show_cancelled(memo)
                raise
            except FailureError as error:  # from a local activity it is the ApplicationError itself
                _raise_if_cancelled(error, memo)
                failure = error
                report = BackupReport(outcome=Outcome.FAILED, message=sentences.reason(error))
        result = BackupResult(
            **report.model_dump(),
            scheduler_id=request.scheduler_id,
            policy_name=request.policy_name,
            scheduled_time=scheduled,
            started_at=started,
            finished_at=workflow.now(),
        )
        if memo:
            workflow.upsert_memo(memo.ended(result).entries())
        _publish(result, memo)
        if failure is not None:
            raise ApplicationError(result.message, result, type=BACKUP_FAILED, non_retryable=True) from failure
        if result.outcome is Outcome.MISSED and missed_fails:
            raise ApplicationError(result.message, result, type=BACKUP_MISSED, non_retryable=True)
        return result


def _terms(argument: RawValue) -> BackupRequest:
    """Read the terms of the job. Raises ApplicationError, which fails the run.

    The SDK fails only the workflow task if it cannot read an argument. Such a run would go on for ever, and hold up all
    later runs of its job.
    """
    with suppress(Exception):  # a person may have written anything, and each converter has errors of its own
        request = workflow.payload_converter().from_payload(argument.payload, BackupRequest)
        if isinstance(request, BackupRequest):  # bytes and null are not converted
            return request
    workflow.logger.error("run without terms", extra={"workflow_id": workflow.info().workflow_id})
    raise ApplicationError(sentences.NO_TERMS, type=NO_TERMS, non_retryable=True)


async def _asked(request: BackupRequest, scheduled: datetime, started: datetime) -> Asked:
    """Return who asked for the run; where that cannot be found out, it counts as one that came due."""
    schedule_id = workflow.info().typed_search_attributes.get(_SCHEDULE)
    if schedule_id is None:  # started by hand, without a schedule
        return Asked(by=StartedBy.TRIGGER)
    try:
        return await workflow.execute_local_activity_method(
            RunOrigin.asked_for,
            Occurrence(schedule_id=schedule_id, request=request, nominal=scheduled, started=started),
            start_to_close_timeout=timedelta(seconds=10),
            retry_policy=PREVIOUS_RUN_RETRIES,
        )
    except (FailureError, asyncio.CancelledError) as error:
        if is_cancelled_exception(error):
            if not workflow.patched(_SAYS_WHY_CANCELLED):
                raise
            return await _asked(request, scheduled, started)  # a run is cancelled once
        workflow.logger.warning("who asked for the run is not known", exc_info=error)
        return Asked(by=StartedBy.SCHEDULE)


async def _latest_start(request: BackupRequest, scheduled: datetime, started: datetime) -> tuple[datetime, bool]:
    """Return the moment after which the run is missed, and whether a missed run fails.

    Temporal judges lateness for its server only (docs/temporal-facts.md#catch-up-covers-the-server-only). The time that
    the run waited for the run before does not count, however that run ended.
    """
    latest_start = timing.latest_start(scheduled, request.window, request.catch_up_window, _end_of_previous_backup())
    missed_fails = started > latest_start and workflow.patched(_MISSED_FAILS)
    if missed_fails and (stopped := await _stop_of_previous_run()):
        latest_start = timing.latest_start(scheduled, request.window, request.catch_up_window, stopped)
    return latest_start, missed_fails


def _end_of_previous_backup() -> datetime | None:
    """Return the end of the job's last run, as far as Temporal passed it on."""
    ended = [workflow.get_last_completion_result(BackupResult)] if workflow.has_last_completion_result() else []
    failure = workflow.get_last_failure()
    if isinstance(failure, ApplicationError) and failure.type == BACKUP_FAILED:
        ended += [BackupResult.model_validate(detail) for detail in failure.details]
    return last_end(ended)


def last_end(results: Iterable[BackupResult | None]) -> datetime | None:
    """Return the last end of runs that were not missed: nobody waits for a missed run."""
    return max((each.finished_at for each in results if each and each.outcome is not Outcome.MISSED), default=None)


async def _stop_of_previous_run() -> datetime | None:
    """Return when a person or a time-out stopped the job's last run.

    Temporal passes nothing of such a run to the next one (docs/temporal-facts.md#a-stopped-run-leaves-nothing).
    """
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
    """Return the job's last backup; Temporal keeps it through failed runs and changes of the job."""
    if not workflow.has_last_completion_result():
        return None
    result = workflow.get_last_completion_result(BackupResult)
    return PreviousBackup(**result.model_dump(include=set(PreviousBackup.model_fields))) if result else None


async def _back_up(
    request: BackupRequest, scheduled: datetime, latest_start: datetime, reports: Reports, memo: RunMemo | None
) -> BackupReport:
    choice = await workflow.execute_local_activity_method(
        PolicyLookup.choose_policy,
        request.policy_name,
        start_to_close_timeout=timedelta(seconds=10),
        retry_policy=LOOKUP_RETRIES,
    )

    def tell(what: str, *lines: str) -> None:
        workflow.set_current_details(sentences.running(what, memo, *lines))

    tell(f"{choice.type} backup of policy `{request.policy_name}`", sentences.HOW_FAR)
    task = BackupTask(request=request, occurrence=_occurrence(), previous=_previous_backup())
    backup = Backup(task, choice, scheduled + request.window, latest_start, reports, tell)
    return await ENGINES[choice.type].make(backup)


def _occurrence() -> str:
    """Return a name of the occurrence: the job with its nominal time, and an id that is unique in all clusters.

    Two installations may have jobs with the same name and back up into the same repository.
    """
    info = workflow.info()
    return f"{info.workflow_id}~{info.first_execution_run_id}"


def _raise_if_cancelled(error: FailureError, memo: RunMemo | None) -> None:
    """End the run as cancelled when the cancellation is why it made no backup."""
    if is_cancelled_exception(error) or workflow.cancellation_reason() is not None:
        _show_cancelled(memo)
        raise asyncio.CancelledError from error


def _show_cancelled(memo: RunMemo | None) -> None:
    sentence = sentences.no_backup(workflow.cancellation_reason())
    workflow.set_current_details(sentences.cancelled(sentence, memo))
    if memo:
        workflow.upsert_memo(memo.cancelled(sentence).entries())


def _publish(result: BackupResult, memo: RunMemo | None) -> None:
    """Show a result: in the Web UI, in the log, as a metric and as a search attribute."""
    info = workflow.info()
    workflow.set_current_details(sentences.summary(result, memo))
    workflow.logger.info(
        "run ended",
        extra={
            "scheduler_id": result.scheduler_id,
            "policy_name": result.policy_name,
            "workflow_id": info.workflow_id,
            "run_id": info.run_id,
            "outcome": result.outcome.value,
            "reason": result.message,
        },
    )
    counters.run_ended(result.outcome)
    workflow.upsert_search_attributes([names.OUTCOME.value_set(result.outcome.value)])
