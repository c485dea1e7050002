"""The latest runs of a job, as its schedule remembers them."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from temporalio.api.enums.v1 import WorkflowExecutionStatus
from temporalio.api.schedule.v1 import ScheduleActionResult

RUNNING: Final = "running"
COMPLETED: Final = "completed"
CANCELLED: Final = "cancelled"

BY_STATUS: Final = {
    WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_RUNNING: RUNNING,
    WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_COMPLETED: COMPLETED,
    WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_FAILED: "failed",
    WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_CANCELED: CANCELLED,
    WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_TERMINATED: "terminated",
    WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_TIMED_OUT: "timed out",
}
"""The outcome of a run that has published none, by its status."""

WITH_BACKUP: Final = (COMPLETED, "completed with warnings")
"""Outcomes of runs that made a backup."""

OUTCOMES: Final = (*WITH_BACKUP, "failed", "missed", *("cancelled", "terminated", "timed out"), RUNNING)
"""Everything that a run can come to, and that it goes on."""


@dataclass(frozen=True)
class RecentRun:
    """A run that a schedule remembers."""

    run_id: str
    """Temporal's own run id, a UUID: a workflow id may be that of several runs
    (docs/temporal-facts.md#workflow-ids-name-the-second)."""
    started_at: datetime
    outcome: str | None
    """What became of it, as far as the schedule knows: see docs/temporal-facts.md#a-schedule-learns-late-of-an-end."""


def recent_runs(actions: Iterable[ScheduleActionResult]) -> list[RecentRun]:
    """Read the latest runs of a schedule, the last one at the end."""
    return [
        RecentRun(
            action.start_workflow_result.run_id,
            action.actual_time.ToDatetime(UTC),
            outcome_of(action.start_workflow_status),
        )
        for action in actions
    ]


def outcome_of(status: int, published: str | None = None) -> str | None:
    """Return what became of a run, from its status and the outcome that it published itself (`BackupOutcome`)."""
    by_status = BY_STATUS.get(WorkflowExecutionStatus.ValueType(status))
    return published if published and by_status in (COMPLETED, "failed") else by_status
