"""The ends of pauses: for each a workflow of the worker that waits for it, visible in the Web UI."""

from contextlib import suppress

from temporalio.client import Client
from temporalio.common import WorkflowIDConflictPolicy
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError

from backup_scheduler.jobs.names import RESUME_WORKFLOW, resume_workflow_id
from backup_scheduler.jobs.notes import SwitchNote
from backup_scheduler.jobs.pauses import ResumeRequest


async def start_timer(
    client: Client, request: ResumeRequest, task_queue: str, note: SwitchNote, *, anew: bool = False
) -> str:
    """Have the jobs of a pause resumed at its end; return the workflow id. Raises RPCError.

    With `anew`, jobs that were paused while the timer ended are resumed, too.
    """
    workflow_id = resume_workflow_id(request.pause_id)
    with suppress(WorkflowAlreadyStartedError):  # by the same call, which the broker delivered again
        await client.start_workflow(
            RESUME_WORKFLOW,
            request,
            id=workflow_id,
            task_queue=task_queue,
            static_summary=f"Ends a pause at {request.until:%Y-%m-%d %H:%M:%S} UTC",
            static_details=note.text(),
            id_conflict_policy=WorkflowIDConflictPolicy.TERMINATE_EXISTING if anew else WorkflowIDConflictPolicy.FAIL,
        )
    return workflow_id


async def cancel_timer(client: Client, pause_id: str) -> None:
    """Cancel the end of a pause that does not hold any more. It would do nothing; so a failure does not matter."""
    with suppress(RPCError):
        await client.get_workflow_handle(resume_workflow_id(pause_id)).cancel()
