"""Namespaces: one that does not exist, one that is new, one that may not be changed; and lists of all jobs in one."""

import asyncio
import time
import uuid
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
import pytest_asyncio
from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest
from temporalio.api.workflowservice.v1 import RegisterNamespaceRequest
from temporalio.client import Client
from temporalio.service import RPCError

from backup_scheduler.contract.errors import ListTimeout, NamespaceNotFound, SearchAttributesMissing
from backup_scheduler.jobs.names import SEARCH_ATTRIBUTES
from devstack.running import StackInfo
from lab.parts.clients import client_of
from rpc_service.gateway.jobs import ScheduleGateway
from tests.support.doors import Door
from tests.support.gateway_jobs import SETTINGS, a_job


@pytest_asyncio.fixture(loop_scope="session")
async def new_namespace(temporal: Client, stack: StackInfo) -> AsyncIterator[Client]:
    """A namespace in which no search attribute of ours is known."""
    name = f"new-{uuid.uuid4().hex[:8]}"
    request = RegisterNamespaceRequest(namespace=name)
    request.workflow_execution_retention_period.FromTimedelta(timedelta(days=1))
    await temporal.workflow_service.register_namespace(request)
    client = await client_of(stack, namespace=name, lazy=True)
    async with asyncio.timeout(60):
        while True:  # other parts of the server hear of a namespace within seconds
            try:
                await client.list_schedules()
                [_ async for _ in await client.list_schedules()]
            except RPCError:
                await asyncio.sleep(0.1)
            else:
                break
    yield client


async def test_a_namespace_that_does_not_exist_is_not_taken_for_one_without_jobs(stack: StackInfo) -> None:
    client = await client_of(stack, namespace="nowhere")
    gateway = ScheduleGateway(client, SETTINGS)
    for asked in (
        gateway.get("job"),
        gateway.get_all(),
        gateway.add(a_job("job"), "call"),
        gateway.remove("job", "gone"),
    ):
        with pytest.raises(NamespaceNotFound, match="no namespace 'nowhere'"):
            await asked


async def test_search_attributes_that_may_not_be_registered_are_named_for_the_administrator(
    new_namespace: Client,
) -> None:
    # A server with an SQL store refuses an eleventh attribute of one type, as Temporal Cloud refuses all of them.
    keyword = IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD
    request = AddSearchAttributesRequest(
        namespace=new_namespace.namespace, search_attributes={f"Theirs{number}": keyword for number in range(10)}
    )
    await new_namespace.operator_service.add_search_attributes(request)
    gateway = ScheduleGateway(new_namespace, SETTINGS)
    assert await gateway.get_all() == []
    with pytest.raises(SearchAttributesMissing) as caught:
        await gateway.add(a_job("first"), "call")
    assert caught.value.code == 503
    for text in (*(f"{key.name} (Keyword)" for key in SEARCH_ATTRIBUTES), new_namespace.namespace, "administrator"):
        assert text in str(caught.value)


async def test_the_first_job_of_a_namespace_registers_the_search_attributes(new_namespace: Client) -> None:
    gateway = ScheduleGateway(new_namespace, SETTINGS)
    assert await gateway.get_all() == []
    made = await gateway.add(a_job("first"), "call")
    async with asyncio.timeout(60):
        while await gateway.get_all() != [made]:
            await asyncio.sleep(0.1)


async def test_a_list_of_all_jobs_has_one_bound_for_all_of_it(stack: StackInfo, scheduler_id: str) -> None:
    with Door(stack.temporal_address) as door:
        client = await client_of(stack, door.address)
        gateway = ScheduleGateway(client, SETTINGS, list_deadline=1)
        for number in range(3):
            await gateway.add(a_job(f"{scheduler_id}-{number}"), "call")
        door.delay = 0.6  # each request stays well within its own bound
        began = time.monotonic()
        with pytest.raises(ListTimeout, match=r"within 1 s: .* get_job describes one") as caught:
            await gateway.get_all()
        assert time.monotonic() - began < 3
        assert (await gateway.get(f"{scheduler_id}-0"))["job_id"] == f"{scheduler_id}-0"
    assert caught.value.code == 504
