"""Which engine of the server carries a schedule out. The newer one (CHASM) loses runs that have a jitter."""

from typing import Final

from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import (
    DescribeWorkflowExecutionRequest,
    DescribeWorkflowExecutionResponse,
    ListWorkflowExecutionsRequest,
)
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

SCHEDULER_WORKFLOW: Final = "temporal-sys-scheduler:"
"""Prefix of the workflow id of a schedule, which is a workflow of the server's own; the schedule id follows."""

_TYPE: Final = "temporal-sys-scheduler-workflow"
_RUNNING: Final = "TemporalNamespaceDivision='TemporalScheduler' AND ExecutionStatus='Running'"


async def describe_workflow(client: Client, schedule_id: str) -> DescribeWorkflowExecutionResponse:
    """Describe the workflow that is a schedule, without asking it. Raises RPCError."""
    request = DescribeWorkflowExecutionRequest(
        namespace=client.namespace, execution=WorkflowExecution(workflow_id=f"{SCHEDULER_WORKFLOW}{schedule_id}")
    )
    return await client.workflow_service.describe_workflow_execution(request, retry=True)


async def is_on_new_engine(client: Client, schedule_id: str) -> bool:
    """Return whether a schedule that is there is no workflow (docs/temporal-facts.md#the-new-engine-has-no-workflow).

    Raises RPCError.
    """
    try:
        found = await describe_workflow(client, schedule_id)
    except RPCError as error:
        if error.status == RPCStatusCode.NOT_FOUND:
            return True
        raise
    return found.workflow_execution_info.type.name != _TYPE


async def on_old_engine(client: Client) -> set[str]:
    """Return the ids of the schedules that are workflows; the list lags, so it may lack some. Raises RPCError."""
    found: set[str] = set()
    request = ListWorkflowExecutionsRequest(namespace=client.namespace, query=_RUNNING)
    while True:
        listed = await client.workflow_service.list_workflow_executions(request, retry=True)
        found.update(each.execution.workflow_id.removeprefix(SCHEDULER_WORKFLOW) for each in listed.executions)
        if not listed.next_page_token:
            return found
        request.next_page_token = listed.next_page_token
