"""A namespace: whether it lets a worker in, and its search attributes, without which no job can be added or found."""

from collections.abc import Mapping
from typing import Final

from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest, ListSearchAttributesRequest
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest, RecordWorkerHeartbeatRequest
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from backup_scheduler.contract.errors import AccessRefused
from backup_scheduler.jobs.names import SEARCH_ATTRIBUTES
from backup_scheduler.temporal.client import is_refusal

_KEYWORD: Final = IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD
_NEEDED: Final = "Keyword"

_CLOSED: Final = (RPCStatusCode.PERMISSION_DENIED, RPCStatusCode.UNIMPLEMENTED, RPCStatusCode.UNAUTHENTICATED)


async def check_access(client: Client) -> None:
    """Raise AccessRefused if Temporal would refuse a worker's polls, and RPCError if Temporal is away.

    A heartbeat of no worker changes nothing and needs the same right. A worker whose polls are refused just waits
    (docs/temporal-facts.md#refused-polls-are-silent).
    """
    request = RecordWorkerHeartbeatRequest(namespace=client.namespace, identity=client.identity)
    try:
        await client.workflow_service.record_worker_heartbeat(request)
    except RPCError as error:
        if is_refusal(error):
            raise AccessRefused(client.namespace) from None
        if error.status == RPCStatusCode.UNAVAILABLE:
            raise  # any other error: the server lets us in, and does not know such heartbeats


async def register_search_attributes(client: Client) -> None:
    """Register the search attributes in the client's namespace; harmless if they are there.

    Raises RPCError, for instance if an API key lacks the right: Temporal Cloud makes them with `tcld` or in its UI.
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
    """Return the search attributes that an administrator has to make, each with the type that it needs.

    An attribute of a wrong type is among them, with that type. If the operator's interface is closed, as in Temporal
    Cloud, the namespace itself gives the names, but no types. Raises RPCError if neither can be asked.
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
        key.name: _NEEDED if key.name not in found else f"{_NEEDED}, and not {_type_name(found[key.name])}"
        for key in SEARCH_ATTRIBUTES
        if found.get(key.name) != _KEYWORD
    }


def has_wrong_type(needed: str) -> bool:
    """Return whether an attribute that `missing_search_attributes` names is there, and of another type."""
    return needed != _NEEDED


def command_for(namespace: str, missing: Mapping[str, str]) -> str:
    """Return the command by which an administrator makes what `missing_search_attributes` names.

    An attribute keeps its type, so one of another type has to be removed before.
    """
    command = f"temporal operator search-attribute {{}} --namespace {namespace}"
    create = command.format("create") + "".join(f" --name {name} --type {_NEEDED}" for name in missing)
    wrong = "".join(f" --name {name}" for name, needed in missing.items() if has_wrong_type(needed))
    return f"{command.format('remove')}{wrong} --yes && {create}" if wrong else create


def _type_name(number: int) -> str:
    return IndexedValueType.Name(IndexedValueType.ValueType(number)).removeprefix("INDEXED_VALUE_TYPE_").title()
