"""The one place where a client of Temporal is made, and what its SDK leaves out."""

import re
import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta

from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest
from temporalio.api.schedule import v1 as schedule_messages
from temporalio.api.workflow.v1 import WorkflowExecutionInfo
from temporalio.api.workflowservice.v1 import (
    DeleteScheduleRequest,
    DescribeScheduleRequest,
    DescribeScheduleResponse,
    GetWorkflowExecutionHistoryReverseRequest,
    ListWorkflowExecutionsRequest,
    UpdateScheduleRequest,
)
from temporalio.client import Client, Schedule
from temporalio.common import TypedSearchAttributes
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.converter import encode_search_attributes
from temporalio.envconfig import ClientConfig
from temporalio.runtime import Runtime
from temporalio.service import RetryConfig, RPCError, RPCStatusCode

from backup_scheduler.errors import ConfigurationError
from backup_scheduler.names import SEARCH_ATTRIBUTES

_SCHEDULER_WORKFLOW = "temporal-sys-scheduler:"
"""Id of the server's workflow that is a schedule, before the schedule's id."""

_LOOKED_AT = 100
"""Schedules that had an id, the latest first."""


async def connect(
    *, lazy: bool = False, runtime: Runtime | None = None, retry_config: RetryConfig | None = None
) -> Client:
    """Connect as Temporal's own settings say: TEMPORAL_ADDRESS, _NAMESPACE, _API_KEY, _TLS_* and profiles.

    A lazy client connects with its first call, so it can be made while Temporal is down. Raises ConfigurationError
    when the settings are wrong and RuntimeError when Temporal cannot be reached.
    """
    try:
        config = ClientConfig.load_client_connect_config()
    except (RuntimeError, ValueError, OSError) as error:
        raise ConfigurationError(f"Temporal's settings (TEMPORAL_*) cannot be read: {error}") from error
    config.setdefault("target_host", "localhost:7233")
    return await Client.connect(
        **config, data_converter=pydantic_data_converter, lazy=lazy, runtime=runtime, retry_config=retry_config
    )


async def register_search_attributes(client: Client) -> None:
    """Register the search attributes in the client's namespace; harmless where they are.

    Raises RPCError where an API key has no right to: Temporal Cloud wants them made with `tcld` or in its UI.
    """
    request = AddSearchAttributesRequest(
        namespace=client.namespace,
        search_attributes={key.name: IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD for key in SEARCH_ATTRIBUTES},
    )
    try:
        await client.operator_service.add_search_attributes(request)
    except RPCError as error:
        if error.status != RPCStatusCode.ALREADY_EXISTS:
            raise


async def describe_schedule(client: Client, schedule_id: str) -> DescribeScheduleResponse:
    """Return what Temporal tells of a schedule, always right straight after a call (Temporal fact). Raises RPCError."""
    request = DescribeScheduleRequest(namespace=client.namespace, schedule_id=schedule_id)
    return await client.workflow_service.describe_schedule(request, retry=True)


async def replace_schedule(
    client: Client,
    schedule_id: str,
    seen: DescribeScheduleResponse,
    schedule: Schedule,
    search_attributes: TypedSearchAttributes,
) -> None:
    """Put a schedule in the place of the one that was seen, unless that was changed since; a pause stays.

    Temporal drops an update that comes too late without an error (Temporal fact): `describe` tells. The SDK's own
    `update` sends no conflict token, so it would undo, say, a pause that came between. Raises RPCError.
    """
    wanted = await schedule._to_proto(client)  # the SDK's only way to encode one
    if seen.schedule.state.paused:  # else it would resume a paused job
        wanted.state.paused = True
        wanted.state.notes = seen.schedule.state.notes
    request = _update_of(client, schedule_id, seen, wanted)
    encode_search_attributes(search_attributes, request.search_attributes)
    await client.workflow_service.update_schedule(request, retry=True)


async def move_schedule(
    client: Client, schedule_id: str, seen: DescribeScheduleResponse, offset: timedelta, start_at: datetime
) -> None:
    """Give the one interval of a schedule that was seen another offset and start, unless it was changed since.

    Whatever else it holds stays, also what only a newer release knows. Raises RPCError.
    """
    request = _update_of(client, schedule_id, seen, seen.schedule)
    [interval] = request.schedule.spec.interval
    interval.phase.FromTimedelta(offset)
    request.schedule.spec.start_time.FromDatetime(start_at)
    await client.workflow_service.update_schedule(request, retry=True)


def _update_of(
    client: Client, schedule_id: str, seen: DescribeScheduleResponse, wanted: schedule_messages.Schedule
) -> UpdateScheduleRequest:
    return UpdateScheduleRequest(
        namespace=client.namespace,
        schedule_id=schedule_id,
        schedule=wanted,
        conflict_token=seen.conflict_token,
        identity=client.identity,
        request_id=str(uuid.uuid4()),
    )


async def delete_schedule(client: Client, schedule_id: str, mark: str) -> None:
    """Delete a schedule and leave the mark of who did it (`was_deleted_by`). Raises RPCError."""
    request = DeleteScheduleRequest(
        namespace=client.namespace, schedule_id=schedule_id, identity=f"{client.identity} {mark}"
    )
    await client.workflow_service.delete_schedule(request, retry=True)


async def was_deleted_by(client: Client, schedule_id: str, mark: str) -> bool:
    """Tell whether an earlier schedule with this id was deleted with this mark; False may be wrong. Raises RPCError."""
    for earlier in await _schedules_of(client, schedule_id):
        ending = GetWorkflowExecutionHistoryReverseRequest(
            namespace=client.namespace, execution=earlier.execution, maximum_page_size=1
        )
        told = await client.workflow_service.get_workflow_execution_history_reverse(ending, retry=True)
        for event in told.history.events:  # the last one: it names who ended the schedule
            if event.workflow_execution_terminated_event_attributes.identity.endswith(mark):
                return True
    return False


async def had_memo(client: Client, schedule_id: str, key: str, text: str) -> bool:
    """Tell whether a schedule with this id had this in its memo; False may be wrong. Raises RPCError."""
    wanted = client.data_converter.payload_converter.to_payload(text)
    return any(each.memo.fields.get(key) == wanted for each in await _schedules_of(client, schedule_id))


async def _schedules_of(client: Client, schedule_id: str) -> Sequence[WorkflowExecutionInfo]:
    """Return the latest schedules that had an id, those that are deleted included.

    A schedule is a workflow of the server's own, which is kept for the namespace's retention. The index of workflows
    lags, and schedules of the newer engine (CHASM) are none.
    """
    workflow_id = f"{_SCHEDULER_WORKFLOW}{schedule_id}"
    findable = re.split(r'["\\]', workflow_id)[0]  # a query never finds more of an id than that (Temporal fact)
    quoted = findable.replace("'", "''")
    operator = "=" if findable == workflow_id else " STARTS_WITH "
    query = f"WorkflowId{operator}'{quoted}' AND TemporalNamespaceDivision='TemporalScheduler'"
    request = ListWorkflowExecutionsRequest(namespace=client.namespace, query=query, page_size=_LOOKED_AT)
    listed = await client.workflow_service.list_workflow_executions(request, retry=True)
    return [each for each in listed.executions if each.execution.workflow_id == workflow_id]
