"""Jobs whose schedules were changed by other means than the service: they are called broken, and never "no job"."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleCalendarSpec,
    ScheduleHandle,
    ScheduleIntervalSpec,
    ScheduleOverlapPolicy,
    ScheduleRange,
    ScheduleUpdate,
)
from temporalio.common import TypedSearchAttributes

from backup_scheduler.contract.methods import ADD, GET, GET_ALL, MODIFY, PAUSE, REMOVE, RESUME
from lab.parts.backup_service import BackupService
from lab.parts.waiting import eventually
from tests.support.calls import TERMS, Caller, assert_fails, job

NOTHING_KNOWN: dict[str, Any] = {
    "func": "start_backup",
    "args": [],
    "kwargs": {"policy_name": None, "duration": None, "start_time": None},
    "misfire_grace_time": None,
    "next_run_time": None,
}


Edit = Callable[[Schedule], Schedule]


async def change(schedule: ScheduleHandle, edit: Edit) -> None:
    await schedule.update(lambda seen: ScheduleUpdate(edit(seen.description.schedule)))


def listed(call: Caller, scheduler_id: str) -> dict[str, Any]:
    """Return a job as get_jobs has it; Temporal's list of schedules lags behind."""

    def found() -> list[dict[str, Any]]:
        return [each for each in call(GET_ALL)["description"] if each["job_id"] == scheduler_id]

    [only] = eventually(found)
    return only


def deep(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


def acting(**changes: Any) -> Edit:
    def edit(schedule: Schedule) -> Schedule:
        assert isinstance(schedule.action, ScheduleActionStartWorkflow)
        for name, value in changes.items():
            setattr(schedule.action, name, value)
        return schedule

    return edit


def timed(**changes: Any) -> Edit:
    return lambda schedule: replace(schedule, spec=replace(schedule.spec, **changes))


SPOILING = {
    "terms nested too deep": acting(args=[{"scheduler_id": "a", "url_kwargs": {"tree": deep(199)}}]),
    "no terms": acting(args=[]),
    "another workflow": acting(workflow="SomebodyElses"),
}


@pytest.mark.parametrize("spoil", SPOILING.values(), ids=SPOILING)
async def test_a_job_that_cannot_be_read_is_broken_and_can_be_removed(
    call: Caller, schedule: ScheduleHandle, scheduler_id: str, spoil: Edit
) -> None:
    added = job(call(ADD, scheduler_id, *TERMS))
    await change(schedule, spoil)
    for method in (GET, PAUSE, RESUME):
        assert_fails(call(method, scheduler_id), 500, repr(scheduler_id), "is broken", REMOVE)
    assert_fails(call(MODIFY, scheduler_id, *TERMS), 500, repr(scheduler_id), "is broken", REMOVE)
    assert_fails(call(ADD, scheduler_id, *TERMS), 409, repr(scheduler_id))
    assert listed(call, scheduler_id) == NOTHING_KNOWN | {"job_id": scheduler_id}
    assert job(call(REMOVE, scheduler_id)) == NOTHING_KNOWN | {"job_id": scheduler_id}
    assert job(call(ADD, scheduler_id, *TERMS)) == added


CALENDAR = ScheduleCalendarSpec(hour=[ScheduleRange(4)])
EDITS: dict[str, Edit] = {
    "calendar": timed(intervals=[], calendars=[CALENDAR]),
    "calendar beside the interval": timed(calendars=[CALENDAR]),
    "cron": timed(cron_expressions=["0 4 * * *"]),
    "skipped days": timed(skip=[CALENDAR]),
    "two intervals": timed(
        intervals=[ScheduleIntervalSpec(timedelta(days=3)), ScheduleIntervalSpec(timedelta(days=5))]
    ),
    "another interval": timed(intervals=[ScheduleIntervalSpec(timedelta(days=20))]),
    "end": timed(end_at=datetime(2200, 1, 1, tzinfo=UTC)),
    "jitter": timed(jitter=timedelta(0)),
    "overlap": lambda schedule: replace(
        schedule, policy=replace(schedule.policy, overlap=ScheduleOverlapPolicy.ALLOW_ALL)
    ),
    "catch-up": lambda schedule: replace(schedule, policy=replace(schedule.policy, catchup_window=timedelta(days=365))),
    "start": timed(start_at=datetime(2200, 1, 1, tzinfo=UTC)),
    "pause on failure": lambda schedule: replace(schedule, policy=replace(schedule.policy, pause_on_failure=True)),
    "time limit of a run": acting(run_timeout=timedelta(seconds=1)),
    "number of runs": lambda schedule: replace(
        schedule, state=replace(schedule.state, limited_actions=True, remaining_actions=1)
    ),
}


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS)
async def test_a_job_whose_schedule_was_edited_says_so_until_modify_mends_it(
    call: Caller, schedule: ScheduleHandle, scheduler_id: str, edit: Edit
) -> None:
    added = job(call(ADD, scheduler_id, *TERMS))
    await change(schedule, edit)
    for method in (GET, PAUSE, RESUME):
        assert_fails(call(method, scheduler_id), 500, repr(scheduler_id), "is broken", MODIFY)
    assert_fails(call(ADD, scheduler_id, *TERMS), 409)
    assert job(call(MODIFY, scheduler_id, *TERMS)) == added
    assert job(call(GET, scheduler_id)) == added


async def test_a_job_that_no_worker_takes_says_so_until_modify_mends_it(
    call: Caller, schedule: ScheduleHandle, scheduler_id: str
) -> None:
    added = job(call(ADD, scheduler_id, *TERMS))
    await change(schedule, acting(task_queue="typo"))
    assert_fails(call(GET, scheduler_id), 500, repr(scheduler_id), "no worker polls its task queue 'typo'", MODIFY)
    assert job(call(PAUSE, scheduler_id))["kwargs"] == added["kwargs"]
    assert job(call(RESUME, scheduler_id)) == added
    assert job(call(MODIFY, scheduler_id, *TERMS)) == added
    assert job(call(GET, scheduler_id)) == added


async def test_a_job_that_no_list_has_says_so_until_modify_mends_it(
    call: Caller, schedule: ScheduleHandle, scheduler_id: str
) -> None:
    added = job(call(ADD, scheduler_id, *TERMS))
    await schedule.update(
        lambda seen: ScheduleUpdate(seen.description.schedule, search_attributes=TypedSearchAttributes([]))
    )

    def is_told() -> bool:
        reply = call(GET, scheduler_id)
        return reply["code"] == 500 and "(search attributes)" in reply["description"]

    eventually(is_told)
    assert job(call(MODIFY, scheduler_id, *TERMS)) == added
    eventually(lambda: call(GET, scheduler_id)["code"] == 200)
    assert listed(call, scheduler_id) == added


async def test_a_list_of_jobs_has_the_edited_ones_by_id_and_all_others_whole(
    call: Caller, schedule: ScheduleHandle, scheduler_id: str
) -> None:
    job(call(ADD, scheduler_id, *TERMS))
    whole = job(call(ADD, f"{scheduler_id}-whole", *TERMS))
    await change(schedule, EDITS["calendar"])
    assert listed(call, scheduler_id) == NOTHING_KNOWN | {"job_id": scheduler_id}
    assert listed(call, f"{scheduler_id}-whole") == whole
    assert job(call(REMOVE, scheduler_id))["kwargs"] == whole["kwargs"]


async def test_a_copy_of_a_jobs_schedule_is_no_job(
    call: Caller, temporal: Client, schedule: ScheduleHandle, scheduler_id: str
) -> None:
    added = job(call(ADD, scheduler_id, *TERMS))
    current = (await schedule.describe()).schedule
    copy = await temporal.create_schedule(f"{scheduler_id}-copy", current)
    try:
        assert_fails(call(GET, f"{scheduler_id}-copy"), 404)
        assert listed(call, scheduler_id) == added
    finally:
        await copy.delete()


async def test_the_deepest_arguments_reach_the_backup(
    call: Caller, schedule: ScheduleHandle, scheduler_id: str, backup_endpoint: BackupService
) -> None:
    job(call(ADD, scheduler_id, scheduler_id, *TERMS[1:], tree=deep(100)))
    await schedule.trigger()
    eventually(lambda: [each for each in backup_endpoint.received if dict(each.form)["policy_name"] == scheduler_id])
