"""Namespaces: one that does not exist, one that is new, one that may not be changed, one of an older release."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest
import pytest_asyncio
from temporalio.api.command.v1 import Command
from temporalio.api.enums.v1 import CommandType, IndexedValueType
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import (
    PollWorkflowTaskQueueRequest,
    RegisterNamespaceRequest,
    RespondWorkflowTaskCompletedRequest,
)
from temporalio.client import Client
from temporalio.service import RPCError

from backup_scheduler.contract.errors import NamespaceNotFound, SearchAttributesMissing
from backup_scheduler.jobs.names import OUTCOME, SEARCH_ATTRIBUTES, TERMS
from backup_scheduler.jobs.to_schedule import Alignment, memo_for, schedule_for, search_attributes
from backup_scheduler.runs.arguments import JobRuns, RunJob
from backup_scheduler.runs.asked import Why
from backup_scheduler.temporal.stored_jobs import StoredJob
from devstack.running import StackInfo
from lab.parts.clients import client_of
from lab.parts.waiting import eventually_async
from rpc_service.gateway.jobs import ScheduleGateway
from tests.support.gateway_jobs import SETTINGS, a_job

KEYWORD = IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD


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
    request = AddSearchAttributesRequest(
        namespace=new_namespace.namespace, search_attributes={f"Theirs{number}": KEYWORD for number in range(10)}
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


async def test_a_modify_registers_the_search_attribute_that_the_release_of_the_jobs_lacked(
    new_namespace: Client,
) -> None:
    request = AddSearchAttributesRequest(namespace=new_namespace.namespace)
    request.search_attributes.update({key.name: KEYWORD for key in SEARCH_ATTRIBUTES if key is not TERMS})
    await new_namespace.operator_service.add_search_attributes(request)
    old = Alignment.at(datetime.now(UTC), a_job("old"), "UTC")
    gateway = ScheduleGateway(new_namespace, SETTINGS)
    async with asyncio.timeout(60):
        while True:  # other parts of the server hear of search attributes within seconds
            with suppress(RPCError):
                await StoredJob(new_namespace, "old").create(
                    schedule_for(old, "nobody's"), memo_for(old.request, "call"), search_attributes(old.request)
                )
                break
            await asyncio.sleep(0.1)
        while not await gateway.get_all():
            await asyncio.sleep(0.1)
        changed = await gateway.modify(a_job("old", "04:05"), "other call")
        assert changed["kwargs"]["start_time"] == "04:05"


async def test_runs_are_found_by_outcome_where_none_can_publish_its_own(new_namespace: Client) -> None:
    request = AddSearchAttributesRequest(namespace=new_namespace.namespace)
    request.search_attributes.update({key.name: KEYWORD for key in SEARCH_ATTRIBUTES if key is not OUTCOME})
    await new_namespace.operator_service.add_search_attributes(request)
    job = Alignment.at(datetime.now(UTC), a_job("job"), "UTC")
    async with asyncio.timeout(60):
        while True:  # not by the gateway, which would register all of them
            with suppress(RPCError):
                await StoredJob(new_namespace, "job").create(
                    schedule_for(job, SETTINGS.task_queue),
                    memo_for(job.request, "call"),
                    search_attributes(job.request),
                )
                break
            await asyncio.sleep(0.1)
    gateway = ScheduleGateway(new_namespace, SETTINGS)
    at = datetime(2026, 1, 3, 2, tzinfo=UTC)
    run = await gateway.runs.start(RunJob(scheduler_id="job", at=at), Why(), redelivered=False)
    polled = await new_namespace.workflow_service.poll_workflow_task_queue(
        PollWorkflowTaskQueueRequest(
            namespace=new_namespace.namespace, task_queue=TaskQueue(name=SETTINGS.task_queue), identity="test"
        )
    )
    fails = Command(command_type=CommandType.COMMAND_TYPE_FAIL_WORKFLOW_EXECUTION)
    fails.fail_workflow_execution_command_attributes.failure.message = "no backup"
    await new_namespace.workflow_service.respond_workflow_task_completed(
        RespondWorkflowTaskCompletedRequest(
            namespace=new_namespace.namespace, task_token=polled.task_token, commands=[fails]
        )
    )

    async def listed() -> bool:
        found = await gateway.runs.page(JobRuns(scheduler_id="job", outcome="failed"))
        return [each["run_id"] for each in found["runs"]] == [run["run_id"]]

    await eventually_async(listed)
    for outcome in ("completed", "missed"):
        assert (await gateway.runs.page(JobRuns(scheduler_id="job", outcome=outcome)))["runs"] == []
