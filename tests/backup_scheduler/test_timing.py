"""When runs are due, against the zone database, over years with every kind of clock change."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backup_scheduler.jobs.timing import first_run, latest_start, nearest_start, phase, start_on

ZONES = ["UTC", "Asia/Shanghai", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "America/St_Johns"]
zones = st.sampled_from(ZONES).map(ZoneInfo)
times_of_day = st.builds(time, st.integers(0, 23), st.integers(0, 59))
moments = st.datetimes(datetime(2026, 1, 1), datetime(2035, 12, 31), timezones=st.just(UTC))
intervals = st.integers(1, 3650).map(lambda days: timedelta(days=days))


@given(times_of_day, zones, moments)
def test_first_run_is_ahead_and_at_most_a_day_and_a_clock_change_away(
    start_time: time, zone: ZoneInfo, now: datetime
) -> None:
    first = first_run(start_time, zone, now)
    assert now < first <= now + timedelta(hours=25)
    assert first.utcoffset() == timedelta(0)


@given(times_of_day, zones, moments)
def test_first_run_shows_start_time_on_the_clock_unless_the_clock_skips_it(
    start_time: time, zone: ZoneInfo, now: datetime
) -> None:
    local = first_run(start_time, zone, now).astimezone(zone)
    later_by = datetime.combine(local.date(), local.time()) - datetime.combine(local.date(), start_time)
    skipped = datetime.combine(local.date(), start_time, zone).astimezone(UTC).astimezone(zone).time() != start_time
    assert later_by in ({timedelta(hours=1), timedelta(minutes=30)} if skipped else {timedelta(0)})


@given(times_of_day, zones, moments)
def test_no_start_time_between_now_and_the_first_run_is_passed_over(
    start_time: time, zone: ZoneInfo, now: datetime
) -> None:
    first = first_run(start_time, zone, now)
    day = now.astimezone(zone).date()
    assert not [
        moment
        for offset in (-1, 0, 1, 2)
        if now < (moment := start_on(day + timedelta(days=offset), start_time, zone)) < first
    ]


def test_first_run_is_today_while_start_time_is_ahead_and_tomorrow_from_then_on() -> None:
    zone = ZoneInfo("Asia/Shanghai")
    start = datetime(2026, 5, 4, 2, 1, tzinfo=zone)
    assert first_run(time(2, 1), zone, start - timedelta(microseconds=1)) == start
    assert first_run(time(2, 1), zone, start) == start + timedelta(days=1)


@pytest.mark.parametrize(
    ("zone", "day", "start_time", "expected"),
    [
        ("Europe/Berlin", date(2026, 3, 29), time(2, 30), "2026-03-29T03:30:00+02:00"),
        ("America/New_York", date(2026, 3, 8), time(2, 0), "2026-03-08T03:00:00-04:00"),
        ("Australia/Lord_Howe", date(2026, 10, 4), time(2, 15), "2026-10-04T02:45:00+11:00"),
        ("Europe/Berlin", date(2026, 10, 25), time(2, 30), "2026-10-25T02:30:00+02:00"),
        ("America/New_York", date(2026, 11, 1), time(1, 30), "2026-11-01T01:30:00-04:00"),
        ("Australia/Lord_Howe", date(2026, 4, 5), time(1, 45), "2026-04-05T01:45:00+11:00"),
    ],
)
def test_a_skipped_start_time_runs_later_that_day_and_a_repeated_one_the_first_time(
    zone: str, day: date, start_time: time, expected: str
) -> None:
    assert start_on(day, start_time, ZoneInfo(zone)) == datetime.fromisoformat(expected)


@given(times_of_day, zones, moments, intervals)
def test_an_interval_spec_with_this_phase_hits_the_first_run(
    start_time: time, zone: ZoneInfo, now: datetime, every: timedelta
) -> None:
    first = first_run(start_time, zone, now)
    offset = phase(first, every)
    assert timedelta(0) <= offset < every
    assert (first - datetime.fromtimestamp(0, UTC) - offset) % every == timedelta(0)


@given(times_of_day, zones, moments, st.integers(1, 30), st.integers(0, 20), st.integers(-2, 2))
def test_the_start_nearest_to_a_time_that_clock_changes_put_off_is_the_one_of_that_day(
    start_time: time, zone: ZoneInfo, now: datetime, days: int, run: int, hours: int
) -> None:
    anchor = first_run(start_time, zone, now).astimezone(zone).date()
    start = start_on(anchor + timedelta(days=run * days), start_time, zone)
    assert nearest_start(anchor, days, start_time, zone, start + timedelta(hours=hours)) == start


@given(times_of_day, st.sampled_from(["UTC", "Asia/Shanghai"]).map(ZoneInfo), moments, st.integers(1, 30))
def test_a_job_in_a_zone_without_clock_changes_never_moves(
    start_time: time, zone: ZoneInfo, now: datetime, days: int
) -> None:
    every = timedelta(days=days)
    first = first_run(start_time, zone, now)
    anchor = first.astimezone(zone).date()
    later = first + 400 * every
    assert nearest_start(anchor, days, start_time, zone, later) == later


def test_the_window_and_the_catch_up_window_end_the_time_in_which_a_run_may_start() -> None:
    scheduled = datetime(2026, 1, 1, 2, tzinfo=UTC)
    ends = datetime(2026, 1, 1, 5, tzinfo=UTC)
    assert latest_start(scheduled, timedelta(hours=3), timedelta(minutes=5)) == ends + timedelta(minutes=5)


def test_a_run_that_waited_for_the_previous_one_is_not_late_for_that() -> None:
    scheduled = datetime(2026, 1, 1, 2, tzinfo=UTC)
    for previous_end, latest in ((scheduled - timedelta(days=1), 1), (scheduled + timedelta(hours=9), 9 * 60 + 1)):
        found = latest_start(scheduled, timedelta(0), timedelta(minutes=1), previous_end)
        assert found == scheduled + timedelta(minutes=latest)
