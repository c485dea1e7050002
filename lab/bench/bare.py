"""The requests that ours makes of Temporal, made straight through the Temporal SDK: without RPC."""

import asyncio
import time
import uuid
from collections.abc import Awaitable, Callable

from temporalio.api.schedule.v1 import Schedule as ScheduleMessage
from temporalio.api.workflowservice.v1 import DeleteScheduleRequest, DescribeScheduleResponse, UpdateScheduleRequest
from temporalio.client import Client
from temporalio.converter import encode_search_attributes

from backup_scheduler.jobs.names import schedule_id
from backup_scheduler.jobs.to_schedule import schedule_attributes, schedule_for
from backup_scheduler.temporal.schedule_engine import describe_workflow
from lab.bench import jobs
from lab.bench.jobs import describe
from lab.bench.supply import Supply, Timing

CONVERTED = "get, converted by the SDK"
"""The SDK's own `describe()`, which turns every field of the answer into an object. Ours reads the answer as it is, and
so do the other operations here."""

ONE_DESCRIBE = "pause+resume, one describe each"
"""The SDK's own pause and unpause, each seen by a describe: no look at the schedule before it is changed."""


async def _add(client: Client, scheduler_id: str) -> None:
    await jobs.create(client, jobs.alignment(scheduler_id))


async def _get_converted(client: Client, scheduler_id: str) -> None:
    await client.get_schedule_handle(schedule_id(scheduler_id)).describe()


def _update(
    client: Client, scheduler_id: str, current: DescribeScheduleResponse, wanted: ScheduleMessage
) -> UpdateScheduleRequest:
    return UpdateScheduleRequest(
        namespace=client.namespace,
        schedule_id=schedule_id(scheduler_id),
        schedule=wanted,
        conflict_token=current.conflict_token,
        identity=client.identity,
        request_id=str(uuid.uuid4()),
    )


async def _pause(client: Client, scheduler_id: str) -> None:
    current = await describe(client, scheduler_id)
    current.schedule.state.paused = True
    request = _update(client, scheduler_id, current, current.schedule)
    await client.workflow_service.update_schedule(request, retry=True)
    await describe(client, scheduler_id)


async def _resume(client: Client, scheduler_id: str) -> None:
    await describe_workflow(client, schedule_id(scheduler_id))
    await client.get_schedule_handle(schedule_id(scheduler_id)).unpause()
    await describe(client, scheduler_id)


async def _pause_and_resume(client: Client, scheduler_id: str) -> None:
    await _pause(client, scheduler_id)
    await _resume(client, scheduler_id)


async def _modify(client: Client, scheduler_id: str) -> None:
    current = await describe(client, scheduler_id)
    where = jobs.alignment(scheduler_id, start_time="03:04")
    wanted = schedule_for(where, jobs.QUEUE, str(uuid.uuid4()))
    encoded = await wanted._to_proto(client)  # the SDK's only way to encode one
    request = _update(client, scheduler_id, current, encoded)
    encode_search_attributes(schedule_attributes(where.request), request.search_attributes)
    await client.workflow_service.update_schedule(request, retry=True)
    await describe(client, scheduler_id)


async def _remove(client: Client, scheduler_id: str) -> None:
    await describe(client, scheduler_id)
    request = DeleteScheduleRequest(
        namespace=client.namespace, schedule_id=schedule_id(scheduler_id), identity=client.identity
    )
    await client.workflow_service.delete_schedule(request, retry=True)


async def _pause_and_resume_with_one_describe(client: Client, scheduler_id: str) -> None:
    handle = client.get_schedule_handle(schedule_id(scheduler_id))
    await handle.pause()
    await describe(client, scheduler_id)
    await handle.unpause()
    await describe(client, scheduler_id)


_OPERATIONS: dict[str, Callable[[Client, str], Awaitable[object]]] = {
    "add": _add,
    "get": describe,
    CONVERTED: _get_converted,
    "pause": _pause,
    "resume": _resume,
    "pause+resume": _pause_and_resume,
    ONE_DESCRIBE: _pause_and_resume_with_one_describe,
    "modify": _modify,
    "remove": _remove,
}


async def carry_out(client: Client, operation: str, supply: Supply, at_once: int) -> Timing:
    """Carry an operation out, `at_once` at a time, as long as there is supply."""
    latencies: list[float] = []

    async def work() -> None:
        while (scheduler_id := supply.take()) is not None:
            latencies.append(await call(client, operation, scheduler_id))

    began = time.perf_counter()
    await asyncio.gather(*(work() for _ in range(at_once)))
    return Timing(time.perf_counter() - began, latencies)


async def call(client: Client, operation: str, scheduler_id: str) -> float:
    """Carry an operation out for one job; return the seconds that it took."""
    began = time.perf_counter()
    await _OPERATIONS[operation](client, scheduler_id)
    return time.perf_counter() - began
