"""run_job where the job itself has just come due, and where no further run can wait."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
from temporalio.client import Client, ScheduleHandle, ScheduleUpdate, ScheduleUpdateInput

from backup_scheduler.contract.errors import TooManyWait
from backup_scheduler.jobs.from_schedule import ScheduledJob
from backup_scheduler.jobs.names import run_id
from backup_scheduler.jobs.timing import phase
from backup_scheduler.runs.arguments import RunJob
from backup_scheduler.runs.asked import Why
from backup_scheduler.settings import Settings
from backup_scheduler.temporal.asked_runs import requests_for_runs
from backup_scheduler.temporal.stored_jobs import StoredJob
from lab.parts.backup_service import BackupService, answering
from lab.parts.waiting import eventually_async
from rpc_service.gateway.jobs import ScheduleGateway
from tests.support.gateway_jobs import SETTINGS, a_job
from tests.support.workers import worker_with


@pytest.fixture
async def settings(temporal: Client, target: BackupService) -> AsyncIterator[Settings]:
    """Settings of a service whose worker makes backups."""
    target.answers = [answering(200)]
    async with worker_with(temporal, {"documents": target.policy()}) as worker:
        yield SETTINGS.model_copy(update={"task_queue": worker.task_queue})


async def comes_due(schedule: ScheduleHandle, at: datetime) -> None:
    """Have the schedule of a job come due at a moment."""

    def at_that_moment(update: ScheduleUpdateInput) -> ScheduleUpdate:
        spec = update.description.schedule.spec
        spec.start_at, spec.intervals[0].offset = None, phase(at, timedelta(days=7))
        return ScheduleUpdate(update.description.schedule)

    await schedule.update(at_that_moment)


async def test_a_run_that_has_just_come_due_is_waited_for_and_not_asked_for(
    temporal: Client, settings: Settings, schedule: ScheduleHandle, scheduler_id: str
) -> None:
    due = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=7)
    ahead = timedelta(seconds=3)  # of Temporal: to this service the run is due, and does not start
    gateway = ScheduleGateway(temporal, settings, clock=lambda: datetime.now(UTC) + ahead)
    await gateway.add(a_job(scheduler_id, f"{due:%H:%M}"), "one")
    await comes_due(schedule, due)
    await asyncio.sleep((due - ahead - datetime.now(UTC)).total_seconds())
    described = await gateway.runs.start(RunJob(scheduler_id=scheduler_id, at=due), Why(), redelivered=False)
    assert (described["run_id"], described["started_by"]) == (run_id(scheduler_id, due), "schedule")

    async def has_ended() -> bool:
        return not (await schedule.describe()).info.running_actions

    await eventually_async(has_ended)
    assert (await schedule.describe()).info.num_actions == 1


async def test_a_run_that_temporal_would_drop_is_refused(
    temporal: Client, settings: Settings, scheduler_id: str
) -> None:
    class Full(StoredJob):
        async def read(self) -> ScheduledJob | None:
            job = await super().read()
            assert job is not None
            job.description.info.buffer_size = 1000
            return job

    gateway = ScheduleGateway(temporal, settings, stored_job=Full)
    await gateway.add(a_job(scheduler_id), "one")
    with pytest.raises(TooManyWait, match="1,000 runs of the job"):
        await gateway.runs.start(RunJob(scheduler_id=scheduler_id), Why(), redelivered=False)
    assert not await requests_for_runs(temporal, scheduler_id)
