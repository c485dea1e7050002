"""The activity that asks Temporal how the run before ended. A run does not learn this from its own history."""

from datetime import datetime

from temporalio import activity
from temporalio.client import WorkflowExecutionStatus
from temporalio.service import RPCError, RPCStatusCode

from backup_scheduler.temporal.stored_jobs import describe_schedule

STOPPED = frozenset(
    {WorkflowExecutionStatus.CANCELED, WorkflowExecutionStatus.TERMINATED, WorkflowExecutionStatus.TIMED_OUT}
)
"""Ends of a run after which Temporal gives the next run neither its result nor its failure
(docs/temporal-facts.md#a-stopped-run-leaves-nothing)."""


class PreviousRun:
    """Asks about runs through the worker's own client."""

    @activity.defn
    async def stopped_at(self, schedule_id: str) -> datetime | None:
        """Return when the run before the current one was cancelled, terminated or timed out.

        None when it ended otherwise, when there was none, or when the schedule is gone. Raises RPCError.
        """
        client, current = activity.client(), activity.info().workflow_id
        try:
            info = (await describe_schedule(client, schedule_id)).info
            started = [action.start_workflow_result for action in info.recent_actions]
            # The current run may not be in the list yet (docs/temporal-facts.md#recent-runs-come-late).
            at = next((position for position, run in enumerate(started) if run.workflow_id == current), len(started))
            if not at:
                return None
            before = started[at - 1]
            run = await client.get_workflow_handle(before.workflow_id, run_id=before.run_id).describe()
        except RPCError as error:
            if error.status == RPCStatusCode.NOT_FOUND:
                return None
            raise
        return run.close_time if run.status in STOPPED else None
