"""Clock changes: the system schedule moves jobs back to their start_time, on the running stack."""

import asyncio
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import psutil
import pytest
from temporalio.client import (
    Client,
    ScheduleActionExecutionStartWorkflow,
    ScheduleActionStartWorkflow,
    ScheduleDescription,
    ScheduleHandle,
    ScheduleIntervalSpec,
    ScheduleOverlapPolicy,
    ScheduleUpdate,
    ScheduleUpdateInput,
)

from backup_scheduler.contract.methods import ADD, GET_ALL, MODIFY
from backup_scheduler.jobs.names import SYSTEM_SCHEDULE
from backup_scheduler.jobs.request import BackupRequest
from backup_scheduler.jobs.terms import BackupJob
from backup_scheduler.jobs.timing import phase
from backup_scheduler.jobs.to_schedule import Alignment, schedule_for, search_attributes, system_schedule
from devstack.running import StackInfo
from lab.parts.waiting import eventually_async
from tests.support.calls import ONE_ID, TERMS, Caller, assert_fails
from tests.support.v1_schedule import V1Schedule


async def job_off_by_an_hour(
    temporal: Client, scheduler_id: str, zone: str, window: int = 0, *, paused: bool = False
) -> datetime:
    """Make a job with its schedule from before the clocks changed; return the right time of its next run."""
    right = _minute(datetime.now(UTC) + timedelta(hours=22))
    await put_off(temporal, scheduler_id, right, right + timedelta(hours=1), zone, window, paused=paused)
    return right


def soon() -> datetime:
    """Return a moment by which a new schedule is surely in force: it makes up for no run that came due before."""
    return datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=6)


async def put_off(
    temporal: Client,
    scheduler_id: str,
    right: datetime,
    off: datetime,
    zone: str = "UTC",
    window: int = 0,
    *,
    paused: bool = False,
) -> ScheduleHandle:
    """Make a daily job that should run at one time and runs at another one, and wait until passes see it."""
    local = right.astimezone(ZoneInfo(zone))
    job = BackupJob(
        scheduler_id=scheduler_id,
        policy_name="documents",
        days=1,
        start_time=f"{local:%H:%M}",
        duration=window,
        misfire_grace_time=60,
    )
    request = BackupRequest.of(job, zone, local.date() - timedelta(days=2))
    schedule = schedule_for(Alignment(request, off), "nobody's")
    schedule.state.paused = paused
    handle = await temporal.create_schedule(scheduler_id, schedule, search_attributes=search_attributes(request))
    async with asyncio.timeout(60):
        while not await listed(temporal, scheduler_id):
            await asyncio.sleep(0.05)
    return handle


def _minute(moment: datetime) -> datetime:
    return moment.replace(second=0, microsecond=0)


async def listed(temporal: Client, scheduler_id: str) -> bool:
    """A pass looks at the jobs that Temporal lists, and its list lags."""
    return any([True async for _ in await temporal.list_schedules(f"ScheduleId = '{scheduler_id}'")])


async def realign(temporal: Client) -> None:
    """Let the system schedule make a pass now and wait for its end."""
    system = temporal.get_schedule_handle(SYSTEM_SCHEDULE)
    before = (await system.describe()).info.num_actions
    await system.trigger(overlap=ScheduleOverlapPolicy.BUFFER_ALL)  # not skipped for one of the full hour
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


async def test_a_run_that_is_still_to_come_is_not_lost(temporal: Client, scheduler_id: str) -> None:
    """The clocks went forward: the start is past by them and ahead by the schedule, or the window has just begun."""
    now = datetime.now(UTC)
    right = _minute(now)
    await put_off(temporal, scheduler_id, right, right + timedelta(hours=1))
    ids = [f"{scheduler_id}-{n}" for n in range(4)]
    opens = soon()
    await asyncio.gather(*(put_off(temporal, each, right - timedelta(hours=1), opens, window=23) for each in ids))
    assert datetime.now(UTC) < opens
    to_come = {each: await next_run(temporal, each) for each in (scheduler_id, *ids)}
    await asyncio.sleep((opens - datetime.now(UTC)).total_seconds() + 0.2)
    await realign(temporal)
    still = {each: moment for each, moment in to_come.items() if moment > datetime.now(UTC)}
    assert len(still) > 1
    assert still == {each: await next_run(temporal, each) for each in still}


async def test_a_run_that_was_started_is_not_repeated(temporal: Client, scheduler_id: str) -> None:
    """The clocks went back: the schedule made the run an hour ago, and by the clocks its start is ahead."""
    off = soon()
    right = _minute(off + timedelta(hours=1))
    handle = await put_off(temporal, scheduler_id, right, off)
    async with asyncio.timeout(60):
        while not (running := (await handle.describe()).info.running_actions):
            await asyncio.sleep(0.05)
    try:
        await realign(temporal)
        assert await next_run(temporal, scheduler_id) == right + timedelta(days=1)
    finally:
        [run] = running
        assert isinstance(run, ScheduleActionExecutionStartWorkflow)
        await temporal.get_workflow_handle(run.workflow_id).terminate()


@pytest.mark.parametrize("window", [0, 3, 24])
async def test_temporal_does_what_the_simulation_says(temporal: Client, scheduler_id: str, window: int) -> None:
    """The facts on which moves rest: the next runs after a change of a schedule's offset, start or pause."""
    opens = soon()
    handle = await put_off(temporal, scheduler_id, _minute(opens), opens, window=window)
    every, jitter = timedelta(days=1), timedelta(hours=window)
    delays: dict[datetime, timedelta] = {}
    simulated = V1Schedule(
        every=every,
        offset=phase(opens, every),
        start_at=opens,
        jitter=jitter,
        catch_up_window=timedelta(minutes=1),
        delay=lambda nominal, _: delays.get(nominal, timedelta(0)),
        last=(await handle.describe()).info.created_at,
    )

    async def agree() -> None:
        announced: list[datetime] = []

        async def compare() -> bool:  # a server under load lists a time for a moment after it is past
            nonlocal announced
            announced = list((await handle.describe()).info.next_action_times)
            for start in announced:
                delay = phase(start - simulated.offset, every)
                assert delay < jitter or delay == timedelta(0)
                delays[start - delay] = delay
            simulated.run_until(datetime.now(UTC))
            return announced == simulated.announced()

        with suppress(TimeoutError):
            await eventually_async(compare, patience=10)
        assert announced == simulated.announced()

    async def update(offset: timedelta, start_at: datetime) -> None:
        def changed(update: ScheduleUpdateInput) -> ScheduleUpdate:
            spec = update.description.schedule.spec
            spec.intervals, spec.start_at = [ScheduleIntervalSpec(every=every, offset=offset)], start_at
            return ScheduleUpdate(update.description.schedule)

        await handle.update(changed)
        updated = (await handle.describe()).info.last_updated_at
        assert updated is not None
        simulated.run_until(updated)
        simulated.update(updated, offset, start_at)

    await agree()
    await asyncio.sleep((opens - datetime.now(UTC)).total_seconds() + 0.1)
    async with asyncio.timeout(60):
        while window == 0 and not (await handle.describe()).info.num_actions:
            await asyncio.sleep(0.05)
    await agree()
    await update(phase(opens, every), opens)  # a run to come stays
    await agree()
    await update(phase(opens + timedelta(hours=1), every), opens)  # it is lost, and another one comes
    await agree()
    await update(phase(opens, every), opens + every)  # nothing comes before the start
    await agree()
    await update(phase(opens, every), opens)  # but a start in the past brings no lost run back
    await agree()
    await handle.pause()
    simulated.pause(datetime.now(UTC))
    await agree()
    await handle.unpause()
    simulated.resume(datetime.now(UTC))
    await agree()
    await handle.delete()


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
    assert_fails(call(ADD, SYSTEM_SCHEDULE, *TERMS), 400)
    assert_fails(call(MODIFY, SYSTEM_SCHEDULE, *TERMS), 404)
    assert SYSTEM_SCHEDULE not in {job["job_id"] for job in call(GET_ALL)["description"]}
    assert (await temporal.get_schedule_handle(SYSTEM_SCHEDULE).describe()).schedule == description.schedule
