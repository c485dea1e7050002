"""Task queues, and whether workers poll them."""

from collections.abc import Sequence

from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import PollerInfo, TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest
from temporalio.client import Client


async def has_workers(client: Client, task_queue: str) -> bool:
    """Return whether a worker polled for workflow tasks within the last five minutes or so. Raises RPCError."""
    return bool(await pollers_of(client, task_queue))


async def pollers_of(client: Client, task_queue: str) -> Sequence[PollerInfo]:
    """Return who polled for workflow tasks within the last five minutes or so. Raises RPCError."""
    request = DescribeTaskQueueRequest(
        namespace=client.namespace,
        task_queue=TaskQueue(name=task_queue),
        task_queue_type=TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW,
    )
    return (await client.workflow_service.describe_task_queue(request, retry=True)).pollers
