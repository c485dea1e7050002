"""The one place where a client of Temporal is made, and what its SDK leaves out."""

import dataclasses
import os
import re
import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest, ListSearchAttributesRequest
from temporalio.api.schedule import v1 as schedule_messages
from temporalio.api.workflow.v1 import WorkflowExecutionInfo
from temporalio.api.workflowservice.v1 import (
    DeleteScheduleRequest,
    DescribeNamespaceRequest,
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
from temporalio.envconfig import ClientConfig, ClientConnectConfig
from temporalio.runtime import Runtime
from temporalio.service import RetryConfig, RPCError, RPCStatusCode

from backup_scheduler.errors import ConfigurationError
from backup_scheduler.masking import MaskedFailures
from backup_scheduler.names import SEARCH_ATTRIBUTES

_SCHEDULER_WORKFLOW = "temporal-sys-scheduler:"
"""Id of the server's workflow that is a schedule, before the schedule's id."""

_LOOKED_AT = 100
"""Schedules that had an id, the latest first."""

DATA_CONVERTER: Final = dataclasses.replace(pydantic_data_converter, failure_converter_class=MaskedFailures)
"""Pydantic models as JSON, and no secret in the text of a failure."""

_DEFAULT_ADDRESS = "localhost:7233"
_TOML_PLACE = re.compile(r"TOML parse error (at line \d+, column \d+)")
_TRUTH_VALUES = ("true", "false", "1", "0")


def configuration() -> ClientConnectConfig:
    """Read Temporal's own settings: TEMPORAL_ADDRESS, _NAMESPACE, _API_KEY, _TLS_* and profiles.

    Raises ConfigurationError that names what is wrong, and never quotes what may be a key.
    """
    file = os.environ.get("TEMPORAL_CONFIG_FILE")
    if file and not Path(file).exists():  # the SDK goes on without it
        raise ConfigurationError(f"TEMPORAL_CONFIG_FILE: there is no file {file!r}")
    tls = os.environ.get("TEMPORAL_TLS", "")
    if tls and tls.lower() not in _TRUTH_VALUES:  # the SDK takes anything else for not set
        raise ConfigurationError(f"TEMPORAL_TLS: must be true or false, not {tls!r}")
    try:
        config = ClientConfig.load_client_connect_config()
    except (RuntimeError, ValueError, OSError) as error:
        # What the SDK says of a file that is not TOML has the line in it, which may be the one with the key.
        place = _TOML_PLACE.search(str(error))
        reason = f"the file with profiles is not as it should be {place[1]}" if place else str(error)
        raise ConfigurationError(f"Temporal's settings (TEMPORAL_*) cannot be read: {reason}") from None
    address = config.setdefault("target_host", _DEFAULT_ADDRESS)
    if not _is_address(address):
        raise ConfigurationError(
            "TEMPORAL_ADDRESS (or the address of a profile): must be a host and a port from 1 to 65535 without a "
            f"scheme, such as {_DEFAULT_ADDRESS!r}"
        )
    return config


def _is_address(address: str) -> bool:
    host, _, port = address.rpartition(":")
    right_host = re.fullmatch(r"\[[0-9a-fA-F:.%]+\]|[^\s:/@\[\]?#]+", host) is not None
    return right_host and port.isascii() and port.isdecimal() and 0 < int(port) < 65536


async def connect(
    *, lazy: bool = False, runtime: Runtime | None = None, retry_config: RetryConfig | None = None
) -> Client:
    """Connect as Temporal's own settings say.

    A lazy client connects with its first call, so it can be made while Temporal is down. Raises ConfigurationError
    when the settings are wrong and RuntimeError when Temporal cannot be reached.
    """
    try:
        return await Client.connect(
            **configuration(), data_converter=DATA_CONVERTER, lazy=lazy, runtime=runtime, retry_config=retry_config
        )
    except ValueError as error:
        raise ConfigurationError(f"Temporal's settings (TEMPORAL_*) cannot be used: {error}") from None
    except RuntimeError as error:
        if unusable := next((sentence for sign, sentence in _UNUSABLE.items() if sign in str(error)), None):
            raise ConfigurationError(unusable) from None
        raise


_KEYWORD = IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD

_CLOSED = (RPCStatusCode.PERMISSION_DENIED, RPCStatusCode.UNIMPLEMENTED, RPCStatusCode.UNAUTHENTICATED)

_UNUSABLE = {
    "PrivateKeyParseError": "TEMPORAL_TLS_CLIENT_KEY_PATH: there is no private key in PEM form in the file",
    "CertificateParseError": "TEMPORAL_TLS_CLIENT_CERT_PATH: there is no certificate in PEM form in the file",
}
"""What no attempt to connect will heal, by what the SDK's Rust core calls it."""


async def register_search_attributes(client: Client) -> None:
    """Register the search attributes in the client's namespace; harmless where they are.

    Raises RPCError where an API key has no right to: Temporal Cloud wants them made with `tcld` or in its UI.
    """
    request = AddSearchAttributesRequest(
        namespace=client.namespace,
        search_attributes=dict.fromkeys((key.name for key in SEARCH_ATTRIBUTES), _KEYWORD),
    )
    try:
        await client.operator_service.add_search_attributes(request)
    except RPCError as error:
        if error.status != RPCStatusCode.ALREADY_EXISTS:
            raise


async def missing_search_attributes(client: Client) -> dict[str, str]:
    """Return what an administrator has to do about search attributes: name to "Keyword", or to why it will not do.

    Where the operator's interface is closed, as in Temporal Cloud, the namespace itself tells the names, but no types.
    Raises RPCError where neither can be asked.
    """
    try:
        request = ListSearchAttributesRequest(namespace=client.namespace)
        found = dict((await client.operator_service.list_search_attributes(request)).custom_attributes)
    except RPCError as error:
        if error.status not in _CLOSED:
            raise
        described = DescribeNamespaceRequest(namespace=client.namespace)
        namespace = await client.workflow_service.describe_namespace(described)
        found = dict.fromkeys(namespace.config.custom_search_attribute_aliases.values(), _KEYWORD)
    return {
        key.name: "Keyword" if key.name not in found else f"Keyword, and not {_type_name(found[key.name])}"
        for key in SEARCH_ATTRIBUTES
        if found.get(key.name) != _KEYWORD
    }


def _type_name(number: int) -> str:
    return IndexedValueType.Name(IndexedValueType.ValueType(number)).removeprefix("INDEXED_VALUE_TYPE_").title()


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
