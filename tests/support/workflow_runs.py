"""Runs of BackupWorkflow: their starts in tests, and their events, failures and results."""

import json
import uuid
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from temporalio.api.enums.v1 import EventType
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
    WorkflowFailureError,
    WorkflowHandle,
)
from temporalio.common import SearchAttributeKey, SearchAttributePair, TypedSearchAttributes
from temporalio.exceptions import ApplicationError

from backup_scheduler.jobs import names
from backup_scheduler.jobs.timing import phase
from backup_scheduler.runs.results import BackupResult
from lab.parts.waiting import eventually_async
from tests.support.backup_requests import a_request
from tests.support.workers import Runs

SCHEDULED = SearchAttributeKey.for_datetime("TemporalScheduledStartTime")


def scheduled(moment: datetime) -> dict[str, Any]:
    return {"search_attributes": TypedSearchAttributes([SearchAttributePair(SCHEDULED, moment)])}


async def events(handle: WorkflowHandle[Any, Any]) -> Counter[str]:
    return Counter([EventType.Name(event.event_type) async for event in handle.fetch_history_events()])


async def summaries(handle: WorkflowHandle[Any, Any]) -> list[str]:
    """Return the summaries of activities and timers, which the Web UI shows beside them."""
    return [
        json.loads(event.user_metadata.summary.data)
        async for event in handle.fetch_history_events()
        if event.user_metadata.HasField("summary") and event.event_id > 1
    ]


async def failure(
    handle: WorkflowHandle[Any, Any], kind: str = "BackupFailed"
) -> tuple[ApplicationError, BackupResult]:
    with pytest.raises(WorkflowFailureError) as caught:
        await handle.result()
    cause = caught.value.cause
    assert isinstance(cause, ApplicationError)
    assert (cause.type, cause.non_retryable) == (kind, True)
    return cause, BackupResult.model_validate(cause.details[0])


LATE = timedelta(minutes=5)
"""Much more than the grace time of these jobs, 10 s."""


Handle = WorkflowHandle[Any, BackupResult]


async def run_of(client: Client, schedule_id: str, number: int) -> Handle:
    """Wait for a run of the schedule, counted from 1."""

    async def started() -> Handle | None:
        actions = (await client.get_schedule_handle(schedule_id).describe()).info.recent_actions
        if len(actions) < number:
            return None
        action = actions[number - 1].action
        assert isinstance(action, ScheduleActionExecutionStartWorkflow)
        return client.get_workflow_handle(action.workflow_id, result_type=BackupResult)

    found: Handle = await eventually_async(started)
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

    await eventually_async(waits)
    return schedule_id
