"""Clock changes: the system schedule moves jobs back to their start_time, on the running stack."""

import asyncio
from datetime import UTC, datetime, timedelta

import psutil
import pytest
from temporalio.client import (
    Client,
    ScheduleActionStartWorkflow,
    ScheduleDescription,
    ScheduleHandle,
    ScheduleUpdate,
)

from backup_scheduler.backups import BackupRequest
from backup_scheduler.jobs import BackupJob
from backup_scheduler.names import SYSTEM_SCHEDULE
from backup_scheduler.schedules import Aim, schedule_for, search_attributes, system_schedule
from backup_scheduler.timing import first_run
from devstack.running import StackInfo
from tests.conftest import Caller
from tests.rpc_service.test_methods import ADD, MODIFY, ONE_ID, TERMS, assert_fails


async def job_off_by_an_hour(
    temporal: Client, scheduler_id: str, zone: str, window: int = 0, *, paused: bool = False
) -> datetime:
    """Make a job whose schedule stands as it did before the clocks changed; returns where its next run belongs."""
    now = datetime.now(UTC)
    job = BackupJob(
        scheduler_id=scheduler_id,
        policy_name="documents",
        days=1,
        start_time=f"{now - timedelta(hours=2):%H:%M}",
        duration=window,
        misfire_grace_time=60,
    )
    request = BackupRequest.of(job, zone, now.date() - timedelta(days=2))
    right = first_run(request.wall_time, request.zone, now)
    off = schedule_for(Aim(request, right + timedelta(hours=1)), "nobody's")
    off.state.paused = paused
    await temporal.create_schedule(scheduler_id, off, search_attributes=search_attributes(request))
    async with asyncio.timeout(60):
        while not await listed(temporal, scheduler_id):
            await asyncio.sleep(0.05)
    return right


async def listed(temporal: Client, scheduler_id: str) -> bool:
    """A pass looks at the jobs that Temporal lists, and its list lags."""
    return any([True async for _ in await temporal.list_schedules(f"ScheduleId = '{scheduler_id}'")])


async def realign(temporal: Client) -> None:
    """Let the system schedule make a pass now and wait for its end."""
    system = temporal.get_schedule_handle(SYSTEM_SCHEDULE)
    before = (await system.describe()).info.num_actions
    await system.trigger()
    async with asyncio.timeout(90):
        while (info := (await system.describe()).info).num_actions == before or info.running_actions:
            await asyncio.sleep(0.1)


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe"])
async def test_a_job_that_a_clock_change_put_off_is_moved_back(
    temporal: Client, schedule: ScheduleHandle, scheduler_id: str, zone: str
) -> None:
    right = await job_off_by_an_hour(temporal, scheduler_id, zone)
    await realign(temporal)
    description = await schedule.describe()
    assert description.info.next_action_times[0] == right
    assert description.info.next_action_times[1] - right == timedelta(days=1)


async def test_a_paused_job_is_moved_and_stays_paused(
    temporal: Client, schedule: ScheduleHandle, scheduler_id: str
) -> None:
    right = await job_off_by_an_hour(temporal, scheduler_id, "Europe/Berlin", paused=True)
    await realign(temporal)
    description = await schedule.describe()
    assert description.schedule.state.paused
    assert description.schedule.spec.start_at == right


async def test_a_job_whose_run_is_still_to_come_in_an_open_window_is_left_alone(
    temporal: Client, scheduler_id: str
) -> None:
    opens = datetime.now(UTC) + timedelta(seconds=6)
    ids = [f"{scheduler_id}-{n}" for n in range(4)]

    async def create(each: str) -> None:
        job = BackupJob(
            scheduler_id=each,
            policy_name="documents",
            days=1,
            start_time=f"{opens - timedelta(hours=1):%H:%M}",  # the clocks went back since
            duration=23,
            misfire_grace_time=60,
        )
        request = BackupRequest.of(job, "UTC", opens.date() - timedelta(days=2))
        await temporal.create_schedule(
            each, schedule_for(Aim(request, opens), "nobody's"), search_attributes=search_attributes(request)
        )

    await asyncio.gather(*map(create, ids))
    assert datetime.now(UTC) < opens
    waiting = {each: await next_run(temporal, each) for each in ids}
    await asyncio.sleep((opens - datetime.now(UTC)).total_seconds() + 0.2)
    await realign(temporal)
    still = {each: moment for each, moment in waiting.items() if moment > datetime.now(UTC)}
    assert still == {each: await next_run(temporal, each) for each in still}


async def next_run(temporal: Client, scheduler_id: str) -> datetime:
    return (await temporal.get_schedule_handle(scheduler_id).describe()).info.next_action_times[0]


async def test_a_worker_renews_the_system_schedule_and_leaves_it_paused(stack: StackInfo, temporal: Client) -> None:
    system = temporal.get_schedule_handle(SYSTEM_SCHEDULE)
    outdated = system_schedule("a queue without workers")
    outdated.state.paused = True
    await system.update(lambda _: ScheduleUpdate(outdated))
    psutil.Process(stack.pids["worker"]).kill()  # the stack starts another
    try:
        async with asyncio.timeout(90):
            while task_queue(description := await system.describe()) != "backups":
                await asyncio.sleep(0.1)
        assert description.schedule.state.paused
    finally:
        await system.unpause(note=system_schedule("backups").state.note)


def task_queue(description: ScheduleDescription) -> str:
    assert isinstance(description.schedule.action, ScheduleActionStartWorkflow)
    return description.schedule.action.task_queue


async def test_the_system_schedule_explains_itself_and_is_not_a_job(call: Caller, temporal: Client) -> None:
    description = await temporal.get_schedule_handle(SYSTEM_SCHEDULE).describe()
    assert description.schedule.state.note == (
        "Keeps backup jobs at their start_time when clocks change, and reports lost runs"
    )
    for method in ONE_ID:
        assert_fails(call(method, SYSTEM_SCHEDULE), 404)
    assert_fails(call(MODIFY, SYSTEM_SCHEDULE, *TERMS), 404)
    assert_fails(call(ADD, SYSTEM_SCHEDULE, *TERMS), 400)
    assert SYSTEM_SCHEDULE not in {job["job_id"] for job in call("get_jobs")["description"]}
    assert (await temporal.get_schedule_handle(SYSTEM_SCHEDULE).describe()).schedule == description.schedule
