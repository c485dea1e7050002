"""Runs that waited for the one before are not late for it, however that one ended."""

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from aiohttp import web
from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionExecutionStartWorkflow,
    ScheduleActionStartWorkflow,
    ScheduleBackfill,
    ScheduleIntervalSpec,
    ScheduleOverlapPolicy,
    SchedulePolicy,
    ScheduleSpec,
    WorkflowHandle,
)

from backup_scheduler.jobs import names
from backup_scheduler.jobs.timing import phase
from backup_scheduler.runs.results import BackupResult, Outcome
from tests.support.worker_parts import Runs, Target, a_request, answering, eventually, worker_with
from tests.workflows.test_backup import failure

LATE = timedelta(minutes=5)
"""Much more than the grace time of these jobs, 10 s."""

Handle = WorkflowHandle[Any, BackupResult]


async def nothing(_: Handle) -> None:
    """Let it end by itself."""


async def cancel(handle: Handle) -> None:
    await handle.cancel()


async def terminate(handle: Handle) -> None:
    await handle.terminate()


async def run_of(client: Client, schedule_id: str, number: int) -> Handle:
    """Wait for a run of the schedule, counted from 1."""

    async def started() -> Handle | None:
        actions = (await client.get_schedule_handle(schedule_id).describe()).info.recent_actions
        if len(actions) < number:
            return None
        action = actions[number - 1].action
        assert isinstance(action, ScheduleActionExecutionStartWorkflow)
        return client.get_workflow_handle(action.workflow_id, result_type=BackupResult)

    found: Handle = await eventually(started)
    return found


async def two_runs(runs: Runs, *, first_late: bool = False, limit: timedelta | None = None) -> str:
    """Make a schedule with a run that goes on, due now or long ago, and one due LATE ago that waits for it."""
    schedule_id = f"waiting-{uuid.uuid4()}"
    request = a_request(scheduler_id=schedule_id, duration=0, misfire_grace_time=10)
    every = timedelta(hours=1)
    due = datetime.now(UTC).replace(microsecond=0) - LATE
    handle = await runs.client.create_schedule(
        schedule_id,
        Schedule(
            action=ScheduleActionStartWorkflow(
                names.BACKUP_WORKFLOW,
                request,
                id=names.workflow_id(schedule_id),
                task_queue=runs.task_queue,
                execution_timeout=limit,
            ),
            spec=ScheduleSpec(intervals=[ScheduleIntervalSpec(every=every, offset=phase(due, every))]),
            policy=SchedulePolicy(overlap=ScheduleOverlapPolicy.BUFFER_ALL),
        ),
        trigger_immediately=not first_late,
    )
    if not first_late:
        await run_of(runs.client, schedule_id, 1)
    second = timedelta(seconds=1)
    start = due - every if first_late else due
    await handle.backfill(
        ScheduleBackfill(start_at=start - second, end_at=due + second, overlap=ScheduleOverlapPolicy.BUFFER_ALL)
    )

    async def waits() -> bool:
        return (await handle.describe()).raw_description.info.buffer_size == 1

    await eventually(waits)
    return schedule_id


@pytest.mark.parametrize(
    ("stop", "limit"), [(cancel, None), (terminate, None), (nothing, 4)], ids=["cancelled", "terminated", "timed out"]
)
async def test_a_run_is_made_that_waited_for_one_that_was_stopped(
    temporal: Client, target: Target, stop: Callable[[Handle], Awaitable[None]], limit: int | None
) -> None:
    async def hang(_: web.Request) -> web.StreamResponse:
        await asyncio.sleep(60)
        return web.Response()

    target.answers = [hang, answering(200)]
    async with worker_with(temporal, {"nightly": target.policy()}) as runs:
        schedule_id = await two_runs(runs, limit=timedelta(seconds=limit) if limit else None)
        await eventually(lambda: asyncio.sleep(0, bool(target.received)))
        await stop(await run_of(temporal, schedule_id, 1))
        second = await run_of(temporal, schedule_id, 2)
        result = await second.result()
    assert result.outcome is Outcome.COMPLETED
    assert result.started_at - result.scheduled_time > LATE


async def test_a_run_behind_one_that_was_missed_is_missed_too(temporal: Client, target: Target) -> None:
    queue = f"queue-{uuid.uuid4()}"
    schedule_id = await two_runs(Runs(temporal, queue), first_late=True)
    async with worker_with(temporal, {"nightly": target.policy()}, task_queue=queue):
        for number in (1, 2):
            _, result = await failure(await run_of(temporal, schedule_id, number), "BackupMissed")
            assert result.outcome is Outcome.MISSED
    assert target.received == []
