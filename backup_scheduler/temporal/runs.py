"""Runs in Temporal: messages of Temporal's API list, describe and cancel them, and ask for new ones."""

from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from heapq import heappop, heappush
from typing import Final

from google.protobuf.timestamp_pb2 import Timestamp
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import ScheduleOverlapPolicy
from temporalio.api.history.v1 import HistoryEvent
from temporalio.api.schedule.v1 import SchedulePatch, TriggerImmediatelyRequest
from temporalio.api.workflow.v1 import WorkflowExecutionInfo
from temporalio.api.workflowservice.v1 import (
    DescribeWorkflowExecutionRequest,
    DescribeWorkflowExecutionResponse,
    GetWorkflowExecutionHistoryRequest,
    GetWorkflowExecutionHistoryReverseRequest,
    ListWorkflowExecutionsRequest,
    PatchScheduleRequest,
    RequestCancelWorkflowExecutionRequest,
)
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from backup_scheduler.jobs.from_schedule import decoded
from backup_scheduler.jobs.names import BACKUP_WORKFLOW, POLICY_NAME, SCHEDULER_ID, may_be_bounded
from backup_scheduler.jobs.request import BackupRequest
from backup_scheduler.temporal.lists import PAGE
from backup_scheduler.temporal.queries import equals

_SCHEDULE: Final = "TemporalScheduledById"

_BUFFER_ALL: Final = ScheduleOverlapPolicy.SCHEDULE_OVERLAP_POLICY_BUFFER_ALL


async def describe_run(client: Client, run_id: str) -> DescribeWorkflowExecutionResponse | None:
    """Describe a run; of several with one id, the last one. None if there is none. Raises RPCError."""
    request = DescribeWorkflowExecutionRequest(
        namespace=client.namespace, execution=WorkflowExecution(workflow_id=run_id)
    )
    try:
        found = await client.workflow_service.describe_workflow_execution(request, retry=True)
    except RPCError as error:
        if error.status == RPCStatusCode.NOT_FOUND:
            return None
        raise
    return found if found.workflow_execution_info.type.name == BACKUP_WORKFLOW else None


async def runs_of(
    client: Client, schedule_id: str, conditions: Sequence[str], page: int
) -> AsyncIterator[WorkflowExecutionInfo]:
    """List the runs of a schedule: those that go on, then the others, the last one that ended first.

    `page` is the number of runs of Temporal's first answer; each further one has twice as many. The list lags
    (docs/temporal-facts.md#lists-lag). Raises RPCError.
    """
    query = " AND ".join([equals(_SCHEDULE, schedule_id), f"WorkflowType='{BACKUP_WORKFLOW}'", *conditions])
    request = ListWorkflowExecutionsRequest(namespace=client.namespace, query=query, page_size=page)
    while True:
        listed = await client.workflow_service.list_workflow_executions(request, retry=True)
        for run in listed.executions:
            if decoded(run.search_attributes.indexed_fields.get(_SCHEDULE), str) == schedule_id:
                yield run
        if not listed.next_page_token:
            return
        request.next_page_token = listed.next_page_token
        request.page_size = min(2 * request.page_size, PAGE)


async def has_run(client: Client, schedule_id: str) -> bool:
    """Return whether the list has a run of a schedule. Raises RPCError."""
    async for _ in runs_of(client, schedule_id, [], 1):
        return True
    return False


async def last_started(listed: AsyncIterator[WorkflowExecutionInfo], count: int) -> list[WorkflowExecutionInfo]:
    """Return the runs that started last, the last one first, of a list that has the last one that ended first.

    Runs of one job can overlap, where a person triggers them so, or where the job was removed and added again. So a run
    is sure to come next only if it started after the end of all runs that were not read yet.
    """
    sure: list[WorkflowExecutionInfo] = []
    read: list[tuple[int, int, WorkflowExecutionInfo]] = []  # a heap, the last one that started on top
    async for run in listed:
        heappush(read, (-run.start_time.ToNanoseconds(), len(sure) + len(read), run))
        end = run.close_time.ToNanoseconds() if run.HasField("close_time") else None
        while read and end is not None and -read[0][0] > end:
            sure.append(heappop(read)[-1])
        if len(sure) >= count:
            return sure[:count]
    return [*sure, *(run for *_, run in sorted(read))][:count]


async def last_events(client: Client, run: WorkflowExecution, count: int) -> Sequence[HistoryEvent]:
    """Return the last events of a run, the last one first. Raises RPCError."""
    request = GetWorkflowExecutionHistoryReverseRequest(
        namespace=client.namespace, execution=run, maximum_page_size=count
    )
    found = await client.workflow_service.get_workflow_execution_history_reverse(request, retry=True)
    return found.history.events


async def whole_names(client: Client, run: WorkflowExecutionInfo) -> Sequence[str]:
    """Return the names of job and policy in the request of a run, if its search attributes may have them cut.

    Raises RPCError.
    """
    attributes = run.search_attributes.indexed_fields
    indexed = [decoded(attributes.get(key.name), str) or "" for key in (SCHEDULER_ID, POLICY_NAME)]
    if not any(map(may_be_bounded, indexed)):
        return ()
    asking = GetWorkflowExecutionHistoryRequest(
        namespace=client.namespace, execution=run.execution, maximum_page_size=1
    )
    first, *_ = (await client.workflow_service.get_workflow_execution_history(asking, retry=True)).history.events
    arguments = first.workflow_execution_started_event_attributes.input.payloads
    request = decoded(arguments[0], BackupRequest) if arguments else None
    return (request.scheduler_id, request.policy_name) if request else ()


async def ask_for_run(client: Client, schedule_id: str, nominal: datetime, request_id: str, identity: str) -> None:
    """Ask a schedule to start the run with this nominal time, after those that wait. Raises RPCError.

    Temporal takes requests with one request_id once (docs/temporal-facts.md#a-trigger-names-its-run).
    """
    time = Timestamp()
    time.FromDatetime(nominal.astimezone(UTC))
    trigger = TriggerImmediatelyRequest(overlap_policy=_BUFFER_ALL, scheduled_time=time)
    request = PatchScheduleRequest(
        namespace=client.namespace,
        schedule_id=schedule_id,
        patch=SchedulePatch(trigger_immediately=trigger),
        identity=identity,
        request_id=request_id,
    )
    await client.workflow_service.patch_schedule(request, retry=True)


async def cancel_run(client: Client, run: WorkflowExecution, reason: str, identity: str) -> None:
    """Ask a run to end without its backup; it may have been asked before. Raises RPCError."""
    request = RequestCancelWorkflowExecutionRequest(
        namespace=client.namespace, workflow_execution=run, reason=reason, identity=identity
    )
    try:
        await client.workflow_service.request_cancel_workflow_execution(request, retry=True)
    except RPCError as error:
        if error.status != RPCStatusCode.ALREADY_EXISTS:
            raise
