"""The description of a run in a reply (docs/api.md#a-run)."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from temporalio.api.enums.v1 import PendingActivityState, PendingWorkflowTaskState, WorkflowExecutionStatus
from temporalio.api.history.v1 import HistoryEvent
from temporalio.api.workflow.v1 import PendingActivityInfo, PendingWorkflowTaskInfo, WorkflowExecutionInfo

from backup_scheduler.contract.moments import shown
from backup_scheduler.jobs import recent_runs
from backup_scheduler.jobs.from_schedule import decoded
from backup_scheduler.jobs.names import OUTCOME, POLICY_NAME, REPORT_UPDATE, SCHEDULER_ID, bounded, named_run
from backup_scheduler.jobs.recent_runs import BY_STATUS, CANCELLED, COMPLETED, RUNNING
from backup_scheduler.runs.asked import Asked
from backup_scheduler.runs.memo import RUN, RunMemo
from backup_scheduler.runs.reports import RunReport
from backup_scheduler.runs.results import BackupResult, Outcome
from backup_scheduler.texts import clean

RunDescription = dict[str, Any]

WAITING: Final = "waiting"

OPEN: Final = WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_RUNNING
_NAMES: Final = {RUNNING: "Running", CANCELLED: "Canceled", "terminated": "Terminated", "timed out": "TimedOut"}
"""The outcomes that are a status of Temporal's, with its name in queries."""

OUTCOMES: Final = tuple(dict.fromkeys([WAITING, *BY_STATUS.values(), *(each.value for each in Outcome)]))
"""Every outcome that a description of a run may have."""

_ENDED_FROM_OUTSIDE: Final = {
    WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_TERMINATED: "terminated by other means than this service",
    WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_TIMED_OUT: "timed out: it had not ended within the time limit of "
    "a run",
}
"""The messages of runs that Temporal ended, so that they could leave none."""

A_WORKER: Final = "a worker"
"""What a run waits for that no worker has taken up."""

NEXT_ATTEMPT: Final = "its next attempt"
"""What a run waits for whose last attempt failed."""

_TAKEN_UP_WITHIN: Final = timedelta(seconds=5)

A_REPORT: Final = "a report"
"""What a run waits for whose backup service tells the end by report_run."""


@dataclass(frozen=True)
class Now:
    """What a description of a run tells beside its entry in a list; of a closed run, what its last event tells."""

    message: str | None = None
    attempt: int | None = None
    waits_for: str | None = None
    progress: dict[str, Any] | None = None
    more: dict[str, Any] = field(default_factory=dict)
    """Values that are whole here and may be cut in the list."""


def describe_run(
    run: WorkflowExecutionInfo,
    zone: ZoneInfo,
    now: Now | None = None,
    asked: Asked | None = None,
    names: Iterable[str] = (),
) -> RunDescription:
    """Describe a run that has started; `asked` counts for a run that has no memo.

    `names` are whole names of jobs and policies: Temporal's index has the beginnings of long ones.
    """
    now = now or Now()
    attributes = run.search_attributes.indexed_fields
    memo = decoded(run.memo.fields.get(RUN), RunMemo)
    named = named_run(run.execution.workflow_id)
    whole = {bounded(name): name for name in names}
    job_id, policy_name = (decoded(attributes.get(key.name), str) or "" for key in (SCHEDULER_ID, POLICY_NAME))
    described = _described(
        run.execution.workflow_id,
        job_id=memo.scheduler_id if memo else whole.get(job_id, job_id) or None,
        policy_name=whole.get(policy_name, policy_name) or None,
        scheduled_at=shown(named[1], zone) if named else None,
        started_at=shown(run.start_time.ToDatetime(UTC), zone),
        closed_at=shown(run.close_time.ToDatetime(UTC), zone) if run.HasField("close_time") else None,
        outcome=outcome_of(run),
        started_by=asked and asked.by.value,
        reason=asked and asked.reason,
    )
    if memo:
        told = memo.model_dump(mode="json", exclude={"scheduler_id", "caller"})
        described |= told
    described |= {"attempt": now.attempt, "waits_for": now.waits_for, "progress": now.progress}
    described["message"] = now.message or described["message"] or _ENDED_FROM_OUTSIDE.get(run.status)
    return described | now.more


def has_memo(run: WorkflowExecutionInfo) -> bool:
    """Return whether a run has its memo: it has not before a worker takes it up, nor before a scheduled run ends."""
    return RUN in run.memo.fields


def outcome_of(run: WorkflowExecutionInfo) -> str:
    """Return the outcome of a run that has started: the one that it published, if it came to an end by itself."""
    published = decoded(run.search_attributes.indexed_fields.get(OUTCOME.name), str)
    return recent_runs.outcome_of(run.status, published) or RUNNING


def condition_for(outcome: str) -> str:
    """Return the condition of a visibility query for runs with this outcome, other than waiting ones."""
    if outcome in {each.value for each in Outcome}:
        published = f"{OUTCOME.name}='{outcome}'"
        # A run whose schedule gave it no terms publishes nothing.
        return (
            f"({published} OR (ExecutionStatus='Failed' AND {OUTCOME.name} IS NULL))"
            if outcome == "failed"
            else published
        )
    return f"ExecutionStatus='{_NAMES[outcome]}'"


def condition_by_status(outcome: str) -> str | None:
    """Return the condition for runs with this outcome where the namespace has no attribute to publish one in.

    None if no run can have it there.
    """
    status = {COMPLETED: "Completed", "failed": "Failed", **_NAMES}.get(outcome)
    return status and f"ExecutionStatus='{status}'"


def describe_waiting_run(
    run_id: str, job_id: str, policy_name: str, asked: Asked, waits_for: str | None, zone: ZoneInfo
) -> RunDescription:
    """Describe a run that has not started: it waits for another run of its job."""
    named = named_run(run_id)
    return _described(
        run_id,
        job_id=job_id,
        policy_name=policy_name,
        started_by=asked.by.value,
        reason=asked.reason,
        scheduled_at=shown(named[1], zone) if named else None,
        outcome=WAITING,
        waits_for=waits_for,
    )


def state_now(activities: Sequence[PendingActivityInfo], now: datetime, *, is_cancelling: bool) -> Now:
    """Return what an open run does, from its pending activities."""
    message = "it is being cancelled: it ends once its backup has stopped" if is_cancelling else None
    if not activities:
        return Now(message)
    making = activities[-1]
    progress = decoded(making.heartbeat_details.payloads[0], dict) if making.heartbeat_details.payloads else None
    failed = making.last_failure.message if making.HasField("last_failure") else None
    waits = making.state == PendingActivityState.PENDING_ACTIVITY_STATE_SCHEDULED
    return Now(
        message or (failed and f"attempt {making.attempt - 1 if waits else making.attempt} failed: {failed}"),
        attempt=making.attempt,
        waits_for=(NEXT_ATTEMPT if _is_tried_again(making, now) else A_WORKER) if waits else None,
        progress=progress and {key: value for key, value in progress.items() if value is not None},
    )


def _is_tried_again(activity: PendingActivityInfo, now: datetime) -> bool:
    """Return whether the next attempt of an activity is ahead, or was due so lately that a worker may take it up."""
    return activity.attempt > 1 and now - activity.scheduled_time.ToDatetime(UTC) < _TAKEN_UP_WITHIN


def is_left_to_workers(task: PendingWorkflowTaskInfo, now: datetime) -> bool:
    """Return whether a run's own next step has waited for a worker for longer than a living one needs."""
    waits = task.state == PendingWorkflowTaskState.PENDING_WORKFLOW_TASK_STATE_SCHEDULED
    return waits and now - task.scheduled_time.ToDatetime(UTC) > _TAKEN_UP_WITHIN


def state_by_reports(newest_first: Sequence[HistoryEvent]) -> Now:
    """Return what an open run without an activity does, from its last events: it may wait for report_run."""
    for event in newest_first:
        asked = event.workflow_execution_update_accepted_event_attributes.accepted_request.input
        report = decoded(asked.args.payloads[0], RunReport) if asked.name == REPORT_UPDATE else None
        if report is not None:
            progress = {
                "step": clean(report.message or "reported as running"),
                "percent": report.progress,
                "files_done": report.files,
                "bytes_done": report.bytes,
            }
            known = {key: value for key, value in progress.items() if value is not None}
            return Now(waits_for=A_REPORT, progress=known)
        if event.HasField("timer_started_event_attributes"):
            return Now(waits_for=A_REPORT)
    return Now()


def state_at_end(newest_first: Sequence[HistoryEvent]) -> Now:
    """Return what the last event of a run tells, the whole answer of a backup service above all."""
    if not newest_first:
        return Now()
    last = newest_first[0]
    completed, failed = (
        last.workflow_execution_completed_event_attributes,
        last.workflow_execution_failed_event_attributes,
    )
    ended = [*completed.result.payloads, *failed.failure.application_failure_info.details.payloads]
    result = decoded(ended[0], BackupResult) if ended else None
    if result:
        sizes = {"snapshot_id": result.snapshot_id, "files": result.files, "bytes": result.bytes_processed}
        answer = result.answer.model_dump(mode="json") if result.answer else None
        return Now(result.message, more={**sizes, "answer": answer})
    reason = last.workflow_execution_terminated_event_attributes.reason
    return Now(failed.failure.message or (reason and f"terminated: {reason}") or None)


def _described(run_id: str, **values: Any) -> RunDescription:
    keys = (
        *("run_id", "job_id", "policy_name", "started_by", "reason", "scheduled_at", "started_at", "closed_at"),
        *("outcome", "message", "attempt", "waits_for", "progress", "snapshot_id", "files", "bytes", "answer"),
    )
    return {**dict.fromkeys(keys), "run_id": run_id, **values}
