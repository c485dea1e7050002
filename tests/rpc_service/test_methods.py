"""The methods of the contract, called over AMQP; their effects are read from Temporal itself."""

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleDescription,
    ScheduleHandle,
    ScheduleIntervalSpec,
    ScheduleOverlapPolicy,
    ScheduleSpec,
)
from temporalio.service import RPCError, RPCStatusCode

from backup_scheduler.contract.methods import ADD, GET, GET_ALL, MODIFY, PAUSE, REMOVE, RESUME
from backup_scheduler.jobs.names import POLICY_NAME, SCHEDULER_ID, workflow_id
from backup_scheduler.jobs.request import BackupRequest
from lab.parts.waiting import eventually, eventually_async
from tests.support.calls import ONE_ID, TERMS, Caller, assert_fails, job
from tests.support.rpc_processes import ZONE

ARGUMENTS = ("scheduler_id", "policy_name", "days", "start_time", "duration", "misfire_grace_time")


def shown(moment: datetime) -> str:
    return moment.astimezone(ZoneInfo(ZONE)).strftime("%Y-%m-%d %H:%M:%S")


async def request_in(handle: ScheduleHandle) -> BackupRequest:
    description = await handle.describe()
    action = description.schedule.action
    assert isinstance(action, ScheduleActionStartWorkflow)
    [request] = await description.data_converter.decode(action.args, [BackupRequest])
    assert isinstance(request, BackupRequest)
    return request


def longest_run(description: ScheduleDescription) -> timedelta | None:
    """Return the time after which Temporal ends a run of the schedule."""
    assert isinstance(description.schedule.action, ScheduleActionStartWorkflow)
    return description.schedule.action.execution_timeout


async def test_add_makes_a_schedule_and_describes_the_job(
    call: Caller, schedule: ScheduleHandle, scheduler_id: str
) -> None:
    described = job(call(ADD, scheduler_id, *TERMS, path="/srv", tags=["a", {"b": None}]))

    current = await schedule.describe()
    assert described == {
        "job_id": scheduler_id,
        "func": "start_backup",
        "args": [],
        "kwargs": {
            "policy_name": "documents",
            "duration": 2,
            "start_time": "02:01",
            "path": "/srv",
            "tags": ["a", {"b": None}],
        },
        "misfire_grace_time": 3600,
        "next_run_time": shown(current.info.next_action_times[0]),
    }
    [interval] = current.schedule.spec.intervals
    first = datetime.fromtimestamp(0, UTC) + interval.offset  # type: ignore[operator]  # an interval of ours has an offset
    assert interval.every == timedelta(days=3)
    assert first.astimezone(UTC).astimezone(ZoneInfo(ZONE)).minute == 1
    assert current.schedule.spec.jitter == timedelta(hours=2)
    assert current.schedule.policy.catchup_window == timedelta(seconds=3600)
    assert current.schedule.policy.overlap is ScheduleOverlapPolicy.BUFFER_ALL
    assert longest_run(current) == timedelta(days=31, hours=2 + 1)
    assert current.typed_search_attributes[SCHEDULER_ID] == scheduler_id
    assert current.typed_search_attributes[POLICY_NAME] == "documents"
    assert (await request_in(schedule)).timezone == ZONE


def test_the_first_run_is_in_the_window_that_opens_at_the_next_start_time(call: Caller, scheduler_id: str) -> None:
    zone = ZoneInfo(ZONE)
    asked = datetime.now(zone)
    opens_at = asked - timedelta(minutes=30)  # today's is past: tomorrow's it is
    described = job(call(ADD, scheduler_id, "documents", 2, f"{opens_at:%H:%M}", 1, 60))
    opens = opens_at.replace(second=0, microsecond=0) + timedelta(days=1)
    runs = datetime.strptime(described["next_run_time"], "%Y-%m-%d %H:%M:%S").replace(tzinfo=zone)
    assert opens <= runs <= opens + timedelta(hours=1)


def test_without_a_window_the_run_is_at_start_time_itself(call: Caller, scheduler_id: str) -> None:
    start = datetime.now(ZoneInfo(ZONE)) + timedelta(hours=3)
    described = job(call(ADD, scheduler_id, "documents", 1, f"{start:%H:%M}", 0, 60))
    assert described["next_run_time"] == f"{start:%Y-%m-%d %H:%M}:00"


def test_arguments_may_come_by_name(call: Caller, scheduler_id: str) -> None:
    described = job(call(ADD, **dict(zip(ARGUMENTS, (scheduler_id, *TERMS), strict=True))))
    assert described["job_id"] == scheduler_id


async def test_adding_an_id_twice_is_a_conflict_and_changes_nothing(
    call: Caller, schedule: ScheduleHandle, scheduler_id: str
) -> None:
    job(call(ADD, scheduler_id, *TERMS))
    assert_fails(call(ADD, scheduler_id, "other", 1, "03:00", 0, 60), 409, repr(scheduler_id))
    assert (await request_in(schedule)).policy_name == "documents"


async def test_modify_replaces_all_terms(call: Caller, schedule: ScheduleHandle, scheduler_id: str) -> None:
    job(call(ADD, scheduler_id, *TERMS, path="/srv"))
    start = datetime.now(ZoneInfo(ZONE)) + timedelta(hours=5)
    described = job(call(MODIFY, scheduler_id, "pictures", 1, f"{start:%H:%M}", 0, 120, depth=1))

    assert described["kwargs"] == {
        "policy_name": "pictures",
        "duration": 0,
        "start_time": f"{start:%H:%M}",
        "depth": 1,
    }
    assert described["misfire_grace_time"] == 120
    assert described["next_run_time"] == f"{start:%Y-%m-%d %H:%M}:00"
    current = await schedule.describe()
    assert current.schedule.spec.intervals[0].every == timedelta(days=1)
    assert current.schedule.policy.catchup_window == timedelta(seconds=120)
    assert longest_run(current) == timedelta(days=31, seconds=120)
    assert current.typed_search_attributes[POLICY_NAME] == "pictures"
    assert current.info.next_action_times[0] == start.replace(second=0, microsecond=0)
    assert call(GET, scheduler_id)["description"] == described


async def test_a_paused_job_has_no_next_run_until_it_is_resumed(
    call: Caller, schedule: ScheduleHandle, scheduler_id: str
) -> None:
    added = job(call(ADD, scheduler_id, *TERMS))
    assert job(call(PAUSE, scheduler_id)) == added | {"next_run_time": None}
    state = (await schedule.describe()).schedule.state
    assert state.paused
    assert PAUSE in (state.note or "")
    assert job(call(GET, scheduler_id))["next_run_time"] is None
    assert job(call(RESUME, scheduler_id)) == added
    assert not (await schedule.describe()).schedule.state.paused


def test_pausing_a_paused_job_and_resuming_a_running_one_succeed(call: Caller, scheduler_id: str) -> None:
    added = job(call(ADD, scheduler_id, *TERMS))
    assert job(call(RESUME, scheduler_id)) == added
    assert job(call(PAUSE, scheduler_id)) == job(call(PAUSE, scheduler_id))


async def test_a_resume_starts_no_run(call: Caller, schedule: ScheduleHandle, scheduler_id: str) -> None:
    job(call(ADD, scheduler_id, *TERMS))
    for _ in range(2):
        job(call(PAUSE, scheduler_id))
        job(call(RESUME, scheduler_id))
    # Runs start in the order in which they were asked for, so one of a resume would come before this one.
    await schedule.trigger(overlap=ScheduleOverlapPolicy.BUFFER_ALL)

    async def runs() -> int:
        return (await schedule.describe()).info.num_actions

    assert await eventually_async(runs) == 1


async def test_modify_leaves_a_paused_job_paused(call: Caller, schedule: ScheduleHandle, scheduler_id: str) -> None:
    job(call(ADD, scheduler_id, *TERMS))
    job(call(PAUSE, scheduler_id))
    assert job(call(MODIFY, scheduler_id, "pictures", 1, "04:00", 0, 120))["next_run_time"] is None
    assert (await schedule.describe()).schedule.state.paused


async def test_a_removed_job_is_gone_at_once_and_its_id_is_free(
    call: Caller, schedule: ScheduleHandle, scheduler_id: str
) -> None:
    added = job(call(ADD, scheduler_id, *TERMS))
    assert job(call(REMOVE, scheduler_id)) == added | {"next_run_time": None}
    with pytest.raises(RPCError) as caught:
        await schedule.describe()
    assert caught.value.status is RPCStatusCode.NOT_FOUND
    assert_fails(call(REMOVE, scheduler_id), 404, repr(scheduler_id))
    job(call(ADD, scheduler_id, *TERMS))


@pytest.mark.parametrize("method", ONE_ID)
def test_an_unknown_id_is_not_found(call: Caller, method: str) -> None:
    assert_fails(call(method, "nobody's"), 404, '"nobody\'s"')


def test_modify_does_not_make_a_job(call: Caller, scheduler_id: str) -> None:
    assert_fails(call(MODIFY, scheduler_id, *TERMS), 404, repr(scheduler_id))
    assert_fails(call(GET, scheduler_id), 404)


def test_get_jobs_lists_every_job_as_get_job_describes_it(call: Caller, scheduler_id: str) -> None:
    ids = [f"{scheduler_id}-{n}" for n in range(3)]
    for each in ids:
        job(call(ADD, each, *TERMS))
    job(call(PAUSE, ids[1]))
    job(call(REMOVE, ids[2]))

    def listed() -> list[dict[str, Any]]:
        reply = call(GET_ALL)
        assert (reply["status"], reply["code"]) == ("success", 200)
        return [each for each in reply["description"] if each["job_id"].startswith(scheduler_id)]

    # Temporal's list of schedules lags behind.
    eventually(lambda: listed() == [job(call(GET, each)) for each in ids[:2]])


@pytest.mark.parametrize(
    ("workflow", "is_request"),
    [("SomebodyElses", False), ("BackupWorkflow", False), ("SomebodyElses", True)],
    ids=["all theirs", "our workflow's name", "our argument"],
)
async def test_schedules_of_others_are_not_jobs(
    call: Caller, temporal: Client, schedule: ScheduleHandle, scheduler_id: str, workflow: str, is_request: bool
) -> None:
    request = dict(zip(ARGUMENTS, (scheduler_id, *TERMS), strict=True)) | {"timezone": ZONE, "anchor": "2026-01-01"}
    theirs = Schedule(
        action=ScheduleActionStartWorkflow(
            workflow, request if is_request else {"not": "ours"}, id=workflow_id(scheduler_id), task_queue="theirs"
        ),
        spec=ScheduleSpec(intervals=[ScheduleIntervalSpec(every=timedelta(days=9))]),
    )
    await temporal.create_schedule(scheduler_id, theirs)
    try:
        before = (await schedule.describe()).schedule
        for method in ONE_ID:
            assert_fails(call(method, scheduler_id), 404)
        for method in (ADD, MODIFY):
            assert_fails(call(method, scheduler_id, *TERMS), 404)
        # Temporal's list of schedules lags behind; ours was made later.
        ours = f"{scheduler_id}-ours"
        job(call(ADD, ours, *TERMS))

        def listed() -> set[str] | None:
            ids = {each["job_id"] for each in call(GET_ALL)["description"]}
            return ids if ours in ids else None

        assert scheduler_id not in eventually(listed)
        job(call(REMOVE, ours))
        assert (await schedule.describe()).schedule == before
    finally:
        await schedule.delete()


@pytest.mark.parametrize(
    "scheduler_id",
    ["é" * 200, "a/b?c=d&e#f", "SELECT '1'; --", " ", "%s{}$", "😀" * 200, "-" * 200],
    ids=["long", "url", "sql", "blank", "format", "wide", "dashes"],
)
def test_ids_with_odd_characters_live_like_any_other(call: Caller, scheduler_id: str) -> None:
    assert job(call(ADD, scheduler_id, *TERMS))["job_id"] == scheduler_id
    assert job(call(PAUSE, scheduler_id))["job_id"] == scheduler_id
    # Temporal's list of schedules lags behind.
    eventually(lambda: scheduler_id in {each["job_id"] for each in call(GET_ALL)["description"]})
    assert job(call(REMOVE, scheduler_id))["job_id"] == scheduler_id
