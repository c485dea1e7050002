"""What an open run does, by its pending activity, and why one ended that came to no end of its own."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import PendingActivityState, WorkflowExecutionStatus
from temporalio.api.workflow.v1 import PendingActivityInfo, WorkflowExecutionInfo

from backup_scheduler.runs.description import Now, describe_run, state_now

NOW = datetime(2026, 7, 8, 2, tzinfo=UTC)
SCHEDULED = PendingActivityState.PENDING_ACTIVITY_STATE_SCHEDULED


def pending(state: PendingActivityState.ValueType, attempt: int, due: datetime) -> PendingActivityInfo:
    activity = PendingActivityInfo(state=state, attempt=attempt)
    activity.scheduled_time.FromDatetime(due)
    if attempt > 1:
        activity.last_failure.message = "503"
    return activity


@pytest.mark.parametrize(
    ("attempt", "due", "waits_for"),
    [
        (1, NOW, "a worker"),
        (2, NOW + timedelta(minutes=1), "its next attempt"),
        (2, NOW - timedelta(seconds=4), "its next attempt"),
        (2, NOW - timedelta(seconds=5), "a worker"),
    ],
)
def test_an_activity_that_is_not_under_way_waits_for_its_time_or_else_for_a_worker(
    attempt: int, due: datetime, waits_for: str
) -> None:
    state = state_now([pending(SCHEDULED, attempt, due)], NOW, is_cancelling=False)
    assert (state.attempt, state.waits_for) == (attempt, waits_for)
    assert state.message == (None if attempt == 1 else "attempt 1 failed: 503")


def test_an_activity_that_is_under_way_waits_for_nothing() -> None:
    activity = pending(PendingActivityState.PENDING_ACTIVITY_STATE_STARTED, 2, NOW)
    assert state_now([activity], NOW, is_cancelling=False).waits_for is None
    assert state_now([], NOW, is_cancelling=False).waits_for is None


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_TERMINATED, "terminated by other means"),
        (WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_TIMED_OUT, "timed out: "),
        (WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_COMPLETED, ""),
    ],
)
def test_a_run_that_could_not_say_why_it_ended_has_a_message_by_its_status(
    status: WorkflowExecutionStatus.ValueType, message: str
) -> None:
    run = WorkflowExecutionInfo(execution=WorkflowExecution(workflow_id="backup-job-2026-01-31T01:01:00Z"))
    run.status = status
    listed = describe_run(run, ZoneInfo("UTC"))["message"] or ""
    assert listed.startswith(message)
    assert bool(listed) == bool(message)
    assert describe_run(run, ZoneInfo("UTC"), Now("terminated: by hand"))["message"] == "terminated: by hand"
