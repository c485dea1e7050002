"""Task queues, and whether workers poll them."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import PollerInfo, TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest, ListWorkersRequest
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from backup_scheduler.temporal.queries import equals

HEARTBEATS_EVERY: Final = timedelta(seconds=10)
"""Time between two heartbeats of a worker; each has the time by the worker's clock."""

_MOST_WORKERS: Final = 1000


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


async def heartbeats_of(client: Client, task_queue: str) -> Mapping[str, datetime]:
    """Return the time of each worker's last heartbeat by the worker's own clock, by identity.

    None of a server that does not keep heartbeats. Raises RPCError.
    """
    query = equals("TaskQueue", task_queue)
    request = ListWorkersRequest(namespace=client.namespace, query=query, page_size=_MOST_WORKERS)
    try:
        listed = await client.workflow_service.list_workers(request, retry=True)
    except RPCError as error:
        if error.status == RPCStatusCode.UNIMPLEMENTED:
            return {}
        raise
    beats = [each.worker_heartbeat for each in listed.workers_info]
    return {each.worker_identity: each.heartbeat_time.ToDatetime(UTC) for each in beats}
