"""The next windows of jobs, and the clock changes among them, against the zone database."""

from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backup_scheduler.jobs.alignment import CurrentSchedule
from backup_scheduler.jobs.description import describe_preview
from backup_scheduler.jobs.timing import first_run, nearest_start, phase, start_on
from backup_scheduler.jobs.to_schedule import Alignment
from backup_scheduler.jobs.windows import ClockChange, Window, clock_changes, next_windows
from tests.support.backup_requests import a_request
from tests.support.clock_changes import MILLISECOND, changes
from tests.support.v1_schedule import V1Schedule

ZONES = ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "America/St_Johns", "Africa/Casablanca", "UTC"]
MINUTE, HALF_AN_HOUR, HOUR, DAY = (timedelta(minutes=number) for number in (1, 30, 60, 24 * 60))

zones = st.sampled_from(ZONES)
moments = st.datetimes(datetime(2026, 1, 1), datetime(2035, 12, 31), timezones=st.just(UTC))
terms = st.fixed_dictionaries(
    {
        "days": st.integers(1, 9),
        "start_time": st.builds(lambda hour, minute: f"{hour:02}:{minute:02}", st.integers(0, 23), st.integers(0, 59)),
        "duration": st.integers(0, 24),
        "timezone": zones,
    }
)
numbers = st.integers(1, 60)


def offset(moment: datetime, zone: ZoneInfo) -> timedelta:
    found = moment.astimezone(zone).utcoffset()
    assert found is not None
    return found


@given(terms, moments, numbers)
def test_the_windows_of_a_new_job_are_those_to_which_its_schedule_is_moved_again_and_again(
    terms: dict[str, Any], now: datetime, number: int
) -> None:
    request = a_request(**terms)
    alignment = Alignment.at(now, request.job(), request.timezone)
    due = [alignment.first_run]
    while len(due) < number:
        due.append(
            nearest_start(
                alignment.request.anchor, request.days, request.wall_time, request.zone, due[-1] + request.every
            )
        )
    windows = next_windows(alignment.request, now, number)
    assert [window.opens for window in windows] == due
    assert {window.closes - window.opens for window in windows} == {timedelta(hours=request.duration)}
    assert [window.starts for window in windows] == (due if request.duration == 0 else [None] * number)


@given(terms, moments, numbers, st.integers(0, 40))
def test_the_windows_of_a_job_are_all_ahead_and_none_is_left_out(
    terms: dict[str, Any], now: datetime, number: int, age: int
) -> None:
    request = a_request(**terms, anchor=now.date() - age * DAY)
    windows = next_windows(request, now, number)
    assert len(windows) == number
    after = [
        start_on(request.anchor + run * request.every, request.wall_time, request.zone)
        for run in range(age + number + 2)
    ]
    assert [window.opens for window in windows] == [opens for opens in after if opens > now][:number]


@given(terms, moments, st.integers(-3, 40))
def test_a_window_that_is_open_is_the_next_one_while_its_run_is_to_come(
    terms: dict[str, Any], moment: datetime, age: int
) -> None:
    request = a_request(**terms | {"duration": 24}, anchor=moment.date() - age * DAY)
    run = max(age, 0) // request.days
    opens = start_on(request.anchor + run * request.every, request.wall_time, request.zone)
    now = opens + 23 * HOUR
    starts = {opens: opens + 23.5 * HOUR}
    [first, second] = next_windows(request, now, 2, starts)
    assert first == Window(opens, opens + DAY, opens + 23.5 * HOUR)
    assert [second] == next_windows(request, now, 1)
    assert second.opens > now


@given(terms, st.sampled_from(ZONES[:-1]), st.integers(0, 10), st.integers(0, 12), st.floats(0, 1))
def test_the_runs_of_a_job_through_a_clock_change_are_in_the_windows_that_were_shown(
    terms: dict[str, Any], name: str, change: int, days_before: int, place: float
) -> None:
    job = a_request(**terms | {"days": terms["days"] % 3 + 1, "duration": terms["duration"] % 21}).job()
    now = changes(name)[change].at - days_before * DAY
    alignment = Alignment.at(now, job, name)
    request, jitter = alignment.request, job.window * place
    schedule = V1Schedule(
        every=request.every,
        offset=phase(alignment.first_run, request.every),
        start_at=alignment.first_run,
        jitter=request.window,
        catch_up_window=request.catch_up_window,
        delay=lambda _, longest: min(jitter, max(longest - MILLISECOND, 0 * MILLISECOND)),
        last=now,
    )
    windows = next_windows(request, now, 8)
    days = (request.anchor, request.days, request.wall_time, request.zone)
    while now < windows[-1].closes:
        now += HOUR  # a pass
        schedule.run_until(now)
        current = CurrentSchedule(
            schedule.every,
            schedule.offset,
            schedule.jitter,
            schedule.catch_up_window,
            schedule.announced(),
            paused=False,
        )
        moved = current.moved(lambda nominal: nearest_start(*days, nominal), now)
        if moved is not None:
            schedule.update(now, phase(moved, schedule.every), moved)
    assert [nominal for nominal, _ in schedule.runs][:8] == [window.opens for window in windows]


def test_a_job_of_tomorrow_has_no_window_today() -> None:
    request = a_request(anchor=date(2026, 1, 5))
    now = datetime(2026, 1, 4, 1, 30, tzinfo=UTC)
    [first, *_] = next_windows(
        request, now, 3, {datetime(2026, 1, 4, 2, tzinfo=UTC): datetime(2026, 1, 4, 2, 30, tzinfo=UTC)}
    )
    assert first.opens == datetime(2026, 1, 5, 2, tzinfo=UTC)


def test_the_starts_that_are_known_are_in_their_windows() -> None:
    request = a_request(duration=3)
    opens = [datetime(2026, 1, day, 2, tzinfo=UTC) for day in (1, 2, 3)]
    starts = {opens[0]: opens[0] + HOUR, opens[2]: opens[2] + MINUTE, opens[2] + HOUR: opens[2] + 2 * HOUR}
    windows = next_windows(request, opens[0] - HOUR, 3, starts)
    assert [window.starts for window in windows] == [opens[0] + HOUR, None, opens[2] + MINUTE]


@given(zones.map(ZoneInfo), moments, st.integers(0, 200 * 24 * 60))
def test_the_clock_changes_of_a_time_are_all_changes_of_the_offset_in_it(
    zone: ZoneInfo, since: datetime, minutes: int
) -> None:
    since = since.replace(second=0, microsecond=0)
    until = since + minutes * MINUTE
    halves = (since.replace(minute=0) + number * HALF_AN_HOUR for number in range(minutes // 30 + 3))
    # Zones change their clocks at nothing but half hours.
    offsets = [(moment, offset(moment, zone)) for moment in (since, *halves) if since <= moment <= until]
    assert clock_changes(zone, since, until) == [
        ClockChange(at, before, after) for (_, before), (at, after) in pairwise(offsets) if before != after
    ]


def test_a_clock_change_counts_from_the_moment_after_the_beginning_to_the_end_itself() -> None:
    zone = ZoneInfo("Europe/Berlin")
    at = datetime(2026, 3, 29, 1, tzinfo=UTC)
    change = ClockChange(at, HOUR, 2 * HOUR)
    second = timedelta(seconds=1)
    assert clock_changes(zone, at - second, at) == [change] == clock_changes(zone, at - DAY, at + 20 * DAY)
    assert clock_changes(zone, at, at + DAY) == clock_changes(zone, at - DAY, at - second) == []
    assert clock_changes(zone, at, at) == []


def test_there_is_no_window_after_the_last_year_of_temporal() -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    windows = next_windows(a_request(days=3650), now, 100)
    assert [window.opens.year for window in windows] == [2026, 2035, 2045, 2055, 2065, 2075, 2085, 2095]
    last = next_windows(a_request(anchor=date(2100, 12, 30)), now, 100)
    assert [window.opens for window in last] == [datetime(2100, 12, day, 2, tzinfo=UTC) for day in (30, 31)]


@pytest.mark.parametrize("name", ["Europe/Berlin", "Africa/Casablanca", "Pacific/Chatham", "Asia/Gaza"])
def test_all_clock_changes_of_the_longest_preview_are_found(name: str) -> None:
    zone, since, until = ZoneInfo(name), datetime(2026, 1, 1, tzinfo=UTC), datetime(2101, 1, 1, tzinfo=UTC)
    days = [offset(since + number * DAY, zone) for number in range((until - since).days + 1)]
    number = sum(one != other for one, other in pairwise(days))
    assert len(clock_changes(zone, since, until)) == number > 100


@pytest.mark.parametrize(
    ("zone", "start_time", "now", "opens", "change"),
    [
        (
            "Europe/Berlin",
            "02:30",
            datetime(2026, 3, 27, 12, tzinfo=UTC),
            ["2026-03-28 02:30:00", "2026-03-29 03:30:00", "2026-03-30 02:30:00"],
            {"at": "2026-03-29 03:00:00", "from": "+01:00", "to": "+02:00"},
        ),
        (
            "Europe/Berlin",
            "02:30",
            datetime(2026, 10, 23, 12, tzinfo=UTC),
            ["2026-10-24 02:30:00", "2026-10-25 02:30:00", "2026-10-26 02:30:00"],
            {"at": "2026-10-25 02:00:00", "from": "+02:00", "to": "+01:00"},
        ),
        (
            "America/St_Johns",
            "01:00",
            datetime(2026, 3, 6, 12, tzinfo=UTC),
            ["2026-03-07 01:00:00", "2026-03-08 01:00:00", "2026-03-09 01:00:00"],
            {"at": "2026-03-08 03:00:00", "from": "-03:30", "to": "-02:30"},
        ),
    ],
)
def test_a_preview_names_the_clock_change_and_what_comes_of_the_start_time(
    zone: str, start_time: str, now: datetime, opens: list[str], change: dict[str, str]
) -> None:
    info = ZoneInfo(zone)
    anchor = first_run(time.fromisoformat(start_time), info, now).astimezone(info).date()
    request = a_request(timezone=zone, start_time=start_time, duration=0, anchor=anchor)
    preview = describe_preview(next_windows(request, now, 3), info)
    assert preview == {
        "timezone": zone,
        "paused": False,
        "windows": [{"opens": each, "closes": each, "starts": each} for each in opens],
        "clock_changes": [change],
    }


def test_a_clock_change_within_the_last_window_is_named() -> None:
    zone, now = ZoneInfo("Europe/Berlin"), datetime(2026, 3, 27, 12, tzinfo=UTC)
    request = a_request(timezone=zone.key, start_time="02:30", duration=24, anchor=date(2026, 3, 28))
    preview = describe_preview(next_windows(request, now, 1), zone)
    assert preview["windows"] == [{"opens": "2026-03-28 02:30:00", "closes": "2026-03-29 03:30:00", "starts": None}]
    assert [change["at"] for change in preview["clock_changes"]] == ["2026-03-29 03:00:00"]


def test_a_paused_job_has_windows_and_no_start() -> None:
    zone, opens = ZoneInfo("UTC"), datetime(2026, 1, 1, 2, tzinfo=UTC)
    preview = describe_preview([Window(opens, opens, opens)], zone, paused=True)
    assert preview["paused"]
    assert preview["windows"] == [{"opens": "2026-01-01 02:00:00", "closes": "2026-01-01 02:00:00", "starts": None}]


@pytest.mark.parametrize(
    ("name", "written"), [("UTC", "+00:00"), ("Asia/Kathmandu", "+05:45"), ("Etc/GMT+12", "-12:00")]
)
def test_offsets_are_written_as_in_iso_8601(name: str, written: str, monkeypatch: pytest.MonkeyPatch) -> None:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    changed = ClockChange(at, offset(at, ZoneInfo(name)), timedelta(0))
    monkeypatch.setattr("backup_scheduler.jobs.description.clock_changes", lambda *_: [changed])
    [change] = describe_preview([Window(at, at, at)], ZoneInfo("UTC"))["clock_changes"]
    assert change == {"at": "2026-01-01 00:00:00", "from": written, "to": "+00:00"}
