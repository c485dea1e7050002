"""The one place where a client of Temporal is made, and what its SDK leaves out."""

import uuid

from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest
from temporalio.api.workflowservice.v1 import (
    DescribeScheduleRequest,
    DescribeScheduleResponse,
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
    request = UpdateScheduleRequest(
        namespace=client.namespace,
        schedule_id=schedule_id,
        schedule=await schedule._to_proto(client),  # the SDK's only way to encode one
        conflict_token=seen.conflict_token,
        identity=client.identity,
        request_id=str(uuid.uuid4()),
    )
    if seen.schedule.state.paused:  # else it would resume a paused job
        request.schedule.state.paused = True
        request.schedule.state.notes = seen.schedule.state.notes
    encode_search_attributes(search_attributes, request.search_attributes)
    await client.workflow_service.update_schedule(request, retry=True)
