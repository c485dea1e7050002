"""The preview of a job: what its windows would be, and its starts where Temporal knows them."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleHandle,
    ScheduleIntervalSpec,
    ScheduleSpec,
    ScheduleUpdate,
    ScheduleUpdateInput,
)

from backup_scheduler.contract.methods import ADD, GET, MODIFY, PAUSE, PREVIEW, RESUME
from backup_scheduler.jobs.names import SYSTEM_SCHEDULE
from tests.support.calls import TERMS, Caller, assert_fails, calling, job
from tests.support.rpc_processes import ZONE, rpc_process

DAILY = ("documents", 1, "02:01", 2, 3600)
DAY = timedelta(days=1)


def preview(reply: dict[str, Any]) -> dict[str, Any]:
    """Return the preview of a reply; the reply must have the contract's shape."""
    assert set(reply) == {"status", "description", "code"}
    assert (reply["status"], reply["code"]) == ("success", 200), reply
    description: dict[str, Any] = reply["description"]
    assert set(description) == {"timezone", "paused", "windows", "clock_changes"}
    for window in description["windows"]:
        assert set(window) == {"opens", "closes", "starts"}
    for change in description["clock_changes"]:
        assert set(change) == {"at", "from", "to"}
    return description


def moment(text: str) -> datetime:
    return datetime.strptime(text, "%Y-%m-%d %H:%M:%S").replace(tzinfo=ZoneInfo(ZONE))


def shown(moment: datetime, zone: str = ZONE) -> str:
    return moment.astimezone(ZoneInfo(zone)).strftime("%Y-%m-%d %H:%M:%S")


def starts(previewed: dict[str, Any]) -> list[str | None]:
    return [window["starts"] for window in previewed["windows"]]


def openings(previewed: dict[str, Any]) -> list[str]:
    return [window["opens"] for window in previewed["windows"]]


def before_the_clock_changes(previewed: dict[str, Any]) -> dict[str, Any]:
    """Leave the windows out whose starts Temporal cannot know, because the job will be moved before."""
    changes = [change["at"] for change in previewed["clock_changes"]]
    windows = [window for window in previewed["windows"] if not changes or window["opens"] < changes[0]]
    return previewed | {"windows": windows}


def next_noon() -> datetime:
    now = datetime.now(ZoneInfo(ZONE))
    noon = now.replace(hour=12, minute=0, second=0, microsecond=0)
    return noon if noon > now else noon + DAY


def test_a_preview_shows_ten_windows_from_the_next_start_time_on(call: Caller) -> None:
    before = next_noon()
    previewed = preview(call(PREVIEW, "documents", 3, "12:00", 2, 3600, path="/srv"))
    first = next(noon for noon in (before, next_noon()) if f"{noon:%Y-%m-%d}" in openings(previewed)[0])
    days = [f"{first + number * 3 * DAY:%Y-%m-%d}" for number in range(10)]
    assert previewed["windows"] == [
        {"opens": f"{day} 12:00:00", "closes": f"{day} 14:00:00", "starts": None} for day in days
    ]
    assert (previewed["timezone"], previewed["paused"]) == (ZONE, False)


def test_a_preview_of_a_year_has_its_clock_changes(call: Caller) -> None:
    previewed = preview(call(PREVIEW, "documents", 30, "12:00", 0, 3600, count=14))
    assert starts(previewed) == openings(previewed)
    assert {each[-8:] for each in openings(previewed)} == {"12:00:00"}
    changes = previewed["clock_changes"]
    assert [(change["from"], change["to"]) for change in changes[:2]] in (
        [("+01:00", "+02:00"), ("+02:00", "+01:00")],
        [("+02:00", "+01:00"), ("+01:00", "+02:00")],
    )
    for change in changes:
        at = moment(change["at"])
        assert (at.weekday(), at.month, at.hour) in ((6, 3, 3), (6, 10, 2))


@pytest.mark.parametrize("count", [1, 100])
def test_a_preview_has_as_many_windows_as_are_asked_for(call: Caller, count: int) -> None:
    for reply in (call(PREVIEW, *TERMS, count), call(PREVIEW, *TERMS, count=count)):
        assert len(preview(reply)["windows"]) == count


@pytest.mark.parametrize("count", [0, 101, -1, True, 1.0, "10", None])
def test_a_wrong_count_is_answered_400(call: Caller, count: Any) -> None:
    assert_fails(
        call(PREVIEW, *TERMS, count=count), 400, f"count must be a whole number of windows from 1 to 100, not {count!r}"
    )


WRONG: list[dict[str, Any]] = [
    {"scheduler_id": ""},
    {"scheduler_id": "a\tb"},
    {"scheduler_id": 5},
    {"scheduler_id": SYSTEM_SCHEDULE},
    {"scheduler_id": "temporal-sys-scheduler:a"},
    {"policy_name": None},
    {"policy_name": "x" * 201},
    {"days": True},
    {"days": 3651, "start_time": "24:00", "duration": 25},
    {"misfire_grace_time": 0},
    {"misfire_grace_time": "60"},
    {"blob": "x" * 70_000},
    {"not JSON": float("nan")},
]


@pytest.mark.parametrize("wrong", WRONG, ids=[" ".join(each) for each in WRONG])
def test_a_wrong_argument_is_answered_as_add_does(call: Caller, scheduler_id: str, wrong: dict[str, Any]) -> None:
    terms = dict(zip(("policy_name", "days", "start_time", "duration", "misfire_grace_time"), TERMS, strict=True))
    arguments = {"scheduler_id": scheduler_id} | terms | wrong
    reply = call(PREVIEW, **arguments)
    assert_fails(reply, 400)
    assert reply == call(ADD, **arguments)


def test_missing_and_surplus_arguments_are_answered_400(call: Caller) -> None:
    missing = call(PREVIEW)
    assert_fails(
        missing, 400, "policy_name is missing: it must be ", "days is missing", "misfire_grace_time is missing"
    )
    assert "scheduler_id" not in missing["description"]
    assert_fails(call(PREVIEW, *TERMS, 1, "id", "surplus"), 400, "at most 7 arguments go by position")


def test_a_preview_for_a_new_id_adds_nothing(call: Caller, scheduler_id: str) -> None:
    previewed = preview(call(PREVIEW, *DAILY, scheduler_id=scheduler_id))
    assert previewed == preview(call(PREVIEW, *DAILY))
    assert starts(previewed) == [None] * 10
    assert_fails(call(GET, scheduler_id), 404)


async def test_the_starts_of_a_job_are_those_that_temporal_tells(
    call: Caller, schedule: ScheduleHandle, scheduler_id: str
) -> None:
    added = job(call(ADD, scheduler_id, *DAILY, path="/srv"))
    previewed = before_the_clock_changes(preview(call(PREVIEW, *DAILY, 15, scheduler_id, path="/srv")))
    assert starts(previewed)[0] == added["next_run_time"] == job(call(GET, scheduler_id))["next_run_time"]
    known = [shown(each) for each in (await schedule.describe()).info.next_action_times]
    assert starts(previewed)[:10] == known[: len(starts(previewed))]
    assert None not in starts(previewed)
    for window in previewed["windows"]:
        assert window["opens"] <= window["starts"] <= window["closes"]


def test_new_terms_keep_the_starts_of_the_windows_that_they_keep(call: Caller, scheduler_id: str) -> None:
    job(call(ADD, scheduler_id, *DAILY))
    current = before_the_clock_changes(preview(call(PREVIEW, *DAILY, scheduler_id=scheduler_id)))
    renamed = preview(call(PREVIEW, "pictures", 2, *DAILY[2:], scheduler_id=scheduler_id))
    kept = before_the_clock_changes(renamed)
    assert (
        starts(kept)
        == [window["starts"] for window in preview(call(PREVIEW, *DAILY, 20, scheduler_id))["windows"]][::2][
            : len(kept["windows"])
        ]
    )
    modified = job(call(MODIFY, scheduler_id, "pictures", 2, *DAILY[2:]))
    assert modified["next_run_time"] == starts(kept)[0] == starts(current)[0]
    assert preview(call(PREVIEW, "pictures", 2, *DAILY[2:], scheduler_id=scheduler_id)) == renamed


@pytest.mark.parametrize("terms", [("documents", 1, "02:01", 3, 3600), ("documents", 1, "02:02", 2, 3600)])
def test_the_starts_in_new_windows_are_not_known(call: Caller, scheduler_id: str, terms: Sequence[Any]) -> None:
    job(call(ADD, scheduler_id, *DAILY))
    previewed = preview(call(PREVIEW, *terms, scheduler_id=scheduler_id))
    assert previewed == preview(call(PREVIEW, *terms))
    assert starts(previewed) == [None] * 10


def test_no_run_of_a_paused_job_starts(call: Caller, scheduler_id: str) -> None:
    job(call(ADD, scheduler_id, *DAILY))
    running = preview(call(PREVIEW, *DAILY, scheduler_id=scheduler_id))
    job(call(PAUSE, scheduler_id))
    for terms in (DAILY, ("documents", 1, "02:01", 0, 60)):
        paused = preview(call(PREVIEW, *terms, scheduler_id=scheduler_id))
        assert (paused["paused"], starts(paused)) == (True, [None] * 10)
        assert openings(paused) == openings(running)
    job(call(RESUME, scheduler_id))
    assert preview(call(PREVIEW, *DAILY, scheduler_id=scheduler_id)) == running


async def test_a_schedule_of_others_is_answered_as_add_does(
    call: Caller, temporal: Client, schedule: ScheduleHandle, scheduler_id: str
) -> None:
    theirs = Schedule(
        action=ScheduleActionStartWorkflow("SomebodyElses", id=scheduler_id, task_queue="theirs"),
        spec=ScheduleSpec(intervals=[ScheduleIntervalSpec(every=9 * DAY)]),
    )
    await temporal.create_schedule(scheduler_id, theirs)
    reply = call(PREVIEW, *DAILY, scheduler_id=scheduler_id)
    assert_fails(reply, 404, repr(scheduler_id))
    assert reply == call(ADD, scheduler_id, *DAILY)
    await schedule.delete()


async def test_a_broken_job_is_answered_as_get_job_does(
    call: Caller, schedule: ScheduleHandle, scheduler_id: str
) -> None:
    def edit(seen: ScheduleUpdateInput) -> ScheduleUpdate:
        seen.description.schedule.spec.jitter = timedelta(minutes=7)
        return ScheduleUpdate(seen.description.schedule)

    job(call(ADD, scheduler_id, *DAILY))
    await schedule.update(edit)
    reply = call(PREVIEW, *DAILY, scheduler_id=scheduler_id)
    assert_fails(reply, 500, "is broken: its schedule was changed by other means (jitter)")
    assert reply == call(GET, scheduler_id)


def test_a_preview_without_an_id_needs_no_temporal(private_broker: str) -> None:
    with rpc_process(private_broker, "127.0.0.1:1"), calling(private_broker) as call:
        assert len(preview(call(PREVIEW, *DAILY))["windows"]) == 10
        assert_fails(call(PREVIEW, *DAILY, scheduler_id="a"), 503, "Temporal cannot be reached")
