"""What is read from a schedule: the job, what is broken, what was lost, who changed it, and when it runs."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfoNotFoundError

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from temporalio.api.enums.v1 import ScheduleOverlapPolicy
from temporalio.api.schedule.v1 import CalendarSpec, IntervalSpec, StructuredCalendarSpec
from temporalio.api.schedule.v1 import Schedule as ScheduleMessage

from backup_scheduler.contract.errors import BrokenJob
from backup_scheduler.jobs.from_schedule import Losses, ScheduledJob
from backup_scheduler.jobs.to_schedule import short_request_id
from tests.support.backup_requests import a_request
from tests.support.described_jobs import FIRST, described, job_of

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def stamp(moment: datetime) -> Timestamp:
    found = Timestamp()
    found.FromDatetime(moment)
    return found


async def test_the_job_of_a_schedule_has_the_terms_that_it_was_made_of() -> None:
    request = a_request(url_kwargs={"path": "/srv"}, days=3)
    job = await job_of(request)
    assert job.request == request
    assert (job.schedule_id, job.task_queue, job.paused, job.broken) == ("job-1", "backups", False, None)


def other_workflow(schedule: ScheduleMessage) -> None:
    schedule.action.start_workflow.workflow_type.name = "SomebodyElses"


def no_argument(schedule: ScheduleMessage) -> None:
    del schedule.action.start_workflow.input.payloads[:]


def two_arguments(schedule: ScheduleMessage) -> None:
    payloads = schedule.action.start_workflow.input.payloads
    payloads.add().CopyFrom(payloads[0])


def other_workflow_id(schedule: ScheduleMessage) -> None:
    schedule.action.start_workflow.workflow_id = "backup-other"


def no_terms(schedule: ScheduleMessage) -> None:
    schedule.action.start_workflow.input.payloads[0].data = b"[]"


UNREADABLE = (other_workflow, no_argument, two_arguments, other_workflow_id, no_terms)


@pytest.mark.parametrize("edit", UNREADABLE)
async def test_a_job_whose_terms_cannot_be_read_is_broken_and_named(edit: Callable[[ScheduleMessage], None]) -> None:
    with pytest.raises(BrokenJob, match="'job-1' is broken: its schedule holds no terms that can be read") as caught:
        ScheduledJob.read("job-1", await described(edit=edit))
    assert caught.value.scheduler_id == "job-1"


@pytest.mark.parametrize("edit", UNREADABLE)
async def test_a_schedule_that_was_not_made_for_a_job_is_none(edit: Callable[[ScheduleMessage], None]) -> None:
    description = await described(edit=edit)
    description.memo.fields.clear()
    assert ScheduledJob.read("job-1", description) is None
    assert ScheduledJob.read("copied", await described(edit=edit)) is None, "under another id"
    assert ScheduledJob.read("copied", await described()) is None, "under another id"


def calendar(schedule: ScheduleMessage) -> None:
    schedule.spec.calendar.append(CalendarSpec())


def structured_calendar(schedule: ScheduleMessage) -> None:
    schedule.spec.structured_calendar.append(StructuredCalendarSpec())


def cron(schedule: ScheduleMessage) -> None:
    schedule.spec.cron_string.append("0 3 * * *")


def excluded(schedule: ScheduleMessage) -> None:
    schedule.spec.exclude_calendar.append(CalendarSpec())


def excluded_structured(schedule: ScheduleMessage) -> None:
    schedule.spec.exclude_structured_calendar.append(StructuredCalendarSpec())


def an_end(schedule: ScheduleMessage) -> None:
    schedule.spec.end_time.FromDatetime(FIRST)


def another_interval(schedule: ScheduleMessage) -> None:
    schedule.spec.interval[0].interval.FromTimedelta(HOUR)


def a_second_interval(schedule: ScheduleMessage) -> None:
    schedule.spec.interval.append(IntervalSpec())


def no_interval(schedule: ScheduleMessage) -> None:
    del schedule.spec.interval[:]


def jitter(schedule: ScheduleMessage) -> None:
    schedule.spec.jitter.FromTimedelta(2 * HOUR)


def overlap(schedule: ScheduleMessage) -> None:
    schedule.policies.overlap_policy = ScheduleOverlapPolicy.SCHEDULE_OVERLAP_POLICY_SKIP


def catch_up(schedule: ScheduleMessage) -> None:
    schedule.policies.catchup_window.FromTimedelta(DAY)


def limited(schedule: ScheduleMessage) -> None:
    schedule.state.limited_actions = True


def jitter_and_overlap(schedule: ScheduleMessage) -> None:
    jitter(schedule)
    overlap(schedule)


@pytest.mark.parametrize(
    ("edit", "parts"),
    [
        (calendar, "times"),
        (structured_calendar, "times"),
        (cron, "times"),
        (excluded, "times"),
        (excluded_structured, "times"),
        (an_end, "times"),
        (another_interval, "times"),
        (a_second_interval, "times"),
        (no_interval, "times"),
        (jitter, "jitter"),
        (overlap, "overlap policy"),
        (catch_up, "catch-up window"),
        (limited, "number of runs"),
        (jitter_and_overlap, "jitter, overlap policy"),
    ],
)
async def test_a_schedule_that_was_changed_by_other_means_is_broken_in_what_was_changed(
    edit: Callable[[ScheduleMessage], None], parts: str
) -> None:
    assert (await job_of(edit=edit)).broken == (
        f"its schedule was changed by other means ({parts}): modify_start_backup_job_by_interval mends it"
    )


def moved(schedule: ScheduleMessage) -> None:
    schedule.spec.interval[0].phase.FromTimedelta(5 * HOUR)
    schedule.spec.start_time.FromDatetime(FIRST + DAY)


def paused(schedule: ScheduleMessage) -> None:
    schedule.state.paused = True
    schedule.state.notes = "paused by hand"


@pytest.mark.parametrize("edit", [moved, paused])
async def test_a_job_that_was_moved_or_paused_is_not_broken(edit: Callable[[ScheduleMessage], None]) -> None:
    assert (await job_of(edit=edit)).broken is None


async def test_runs_that_wait_or_were_lost_are_counted_apart() -> None:
    job = await job_of(buffer_size=3, buffer_dropped=4, missed_catchup_window=5)
    assert job.losses == Losses(waiting=3, dropped=4, missed_catchup=5)


async def test_terms_are_in_force_since_the_last_update_else_since_the_job_was_made() -> None:
    made, updated = datetime(2026, 1, 1, 12, tzinfo=UTC), datetime(2026, 2, 1, 12, tzinfo=UTC)
    assert (await job_of(create_time=stamp(made))).in_force_since == made
    job = await job_of(create_time=stamp(made), update_time=stamp(updated))
    assert (job.created_at, job.in_force_since) == (made, updated)


async def test_a_request_finds_the_job_that_it_made() -> None:
    job = await job_of(made_by="one")
    assert job.was_made_by("one")
    assert not job.was_made_by("other")


async def test_the_last_eight_requests_that_changed_a_job_find_their_change() -> None:
    job = await job_of(changed_by=[short_request_id(f"{number}") for number in range(9)], request_id="last")
    assert job.changed_by == [short_request_id(each) for each in ("2", "3", "4", "5", "6", "7", "8", "last")]
    assert job.was_changed_by("last")
    assert job.was_changed_by("2")
    assert not job.was_changed_by("1")


async def test_a_job_that_nobody_changed_names_no_request() -> None:
    assert (await job_of()).changed_by == []
    kept = [short_request_id("one")]
    assert (await job_of(changed_by=kept)).changed_by == kept, "a move is no request"


async def test_a_header_that_somebody_else_wrote_names_no_request() -> None:
    def other_header(schedule: ScheduleMessage) -> None:
        schedule.action.start_workflow.header.fields["backup-scheduler-calls"].data = b"{"

    assert (await job_of(edit=other_header, request_id="one")).changed_by == []


async def test_the_next_run_is_the_first_time_that_lies_ahead() -> None:
    now = FIRST + DAY
    job = await job_of(starts=[FIRST, now, now + HOUR, now + DAY])
    assert job.next_run(now) == now + HOUR
    assert (await job_of(starts=[FIRST])).next_run(now) is None
    assert (await job_of(starts=[now + HOUR], edit=paused)).next_run(now) is None


async def test_the_starts_ahead_are_known_by_their_nominal_times() -> None:
    now = FIRST + 30 * timedelta(minutes=1)
    early, late, next_day = FIRST + HOUR / 4, FIRST + HOUR * 3 / 4, FIRST + DAY + HOUR / 4
    job = await job_of(starts=[early, late])
    assert job.starts_ahead(now, [late, next_day]) == {FIRST: late, FIRST + DAY: next_day}
    assert job.starts_ahead(late, []) == {}
    assert (await job_of(starts=[late], edit=paused)).starts_ahead(now, [next_day]) == {}


@pytest.mark.parametrize(
    ("since", "starts", "late"),
    [
        (FIRST - timedelta(seconds=1), [FIRST + DAY], False),
        (FIRST, [FIRST + DAY], True),
        (FIRST + HOUR, [FIRST + DAY], True),
        (FIRST, [FIRST], False),
        (FIRST, [FIRST + HOUR, FIRST + DAY], False),
        (FIRST, [FIRST + HOUR + timedelta(seconds=1)], True),
        (FIRST, [FIRST - timedelta(seconds=1)], True),
        (FIRST, [], True),
    ],
)
async def test_terms_came_too_late_when_their_first_window_was_open_already_and_has_no_run(
    since: datetime, starts: list[datetime], late: bool
) -> None:
    job = await job_of(create_time=stamp(since), starts=starts)
    assert job.came_too_late is late


@pytest.mark.parametrize(
    ("changes", "hours", "upcoming", "first"),
    [
        ({}, 0, FIRST + 2 * DAY, None),
        ({}, 1, FIRST + 2 * DAY + HOUR, FIRST + 2 * DAY),
        ({"days": 3}, 1, FIRST + 3 * DAY + HOUR, FIRST + 3 * DAY),
        ({"start_time": "03:00"}, 0, FIRST + 2 * DAY, FIRST + 2 * DAY + HOUR),
        ({"timezone": "Asia/Tokyo", "start_time": "11:00"}, 0, FIRST + 2 * DAY, None),
        ({"timezone": "Asia/Tokyo", "start_time": "11:00"}, 1, FIRST + 2 * DAY + HOUR, FIRST + 2 * DAY),
    ],
)
async def test_a_job_off_its_start_time_is_moved_to_the_next_day_at_it(
    changes: dict[str, Any], hours: int, upcoming: datetime, first: datetime | None
) -> None:
    def off(schedule: ScheduleMessage) -> None:
        phase = schedule.spec.interval[0].phase
        phase.FromTimedelta(phase.ToTimedelta() + hours * HOUR)

    job = await job_of(a_request(**changes), edit=off, starts=[upcoming])
    assert job.realigned(FIRST + DAY + 12 * HOUR) == first


async def test_a_zone_that_this_machine_does_not_know_is_named() -> None:
    job = await job_of(a_request(timezone="Mars/Olympus_Mons"), starts=[FIRST + 2 * DAY])
    assert job.broken is None
    with pytest.raises(ZoneInfoNotFoundError, match="Mars/Olympus_Mons"):
        job.realigned(FIRST + DAY)


async def test_a_paused_job_is_moved_too() -> None:
    def off_and_paused(schedule: ScheduleMessage) -> None:
        paused(schedule)
        phase = schedule.spec.interval[0].phase
        phase.FromTimedelta(phase.ToTimedelta() + HOUR)

    job = await job_of(edit=off_and_paused)
    assert job.realigned(FIRST + DAY + 12 * HOUR) == FIRST + 2 * DAY
