"""What an open run does, by its pending activity."""

from datetime import UTC, datetime, timedelta

import pytest
from temporalio.api.enums.v1 import PendingActivityState
from temporalio.api.workflow.v1 import PendingActivityInfo

from backup_scheduler.runs.description import state_now

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
