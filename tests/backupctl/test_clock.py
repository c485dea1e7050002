"""How far apart two times of the scheduler's clock are, over its changes too."""

import pytest

from backupctl.clock import Clock

AUTUMN, SPRING = "2026-10-25", "2026-03-29"
"""Days on which Berlin's clock goes from 03:00 back to 02:00, and from 02:00 on to 03:00."""


def berlin(now: str) -> Clock:
    return Clock(now, "Europe/Berlin")


@pytest.mark.parametrize(
    ("start", "end", "said"),
    [
        (f"{AUTUMN} 02:50:00", f"{AUTUMN} 02:10:00", "20 min"),
        (f"{AUTUMN} 01:30:00", f"{AUTUMN} 03:30:00", "3 h"),
        (f"{SPRING} 01:55:00", f"{SPRING} 03:05:00", "10 min"),
        ("2026-11-27 02:00:00", "2026-11-27 02:00:42", "42 s"),
    ],
    ids=["back", "over the repeated hour", "on", "no change"],
)
def test_a_span_is_one_of_time_and_not_of_what_the_clock_shows(start: str, end: str, said: str) -> None:
    assert berlin(end).span(start, end) == said


@pytest.mark.parametrize(
    ("start", "end"),
    [(f"{AUTUMN} 02:10:00", f"{AUTUMN} 02:50:00"), ("2026-11-27 03:00:00", "2026-11-27 02:00:00")],
    ids=["in one or in two of the hours", "ends before it starts"],
)
def test_a_span_that_may_be_one_or_another_is_none(start: str, end: str) -> None:
    assert berlin(end).span(start, end) is None


def test_a_span_of_days_is_known_also_where_the_hour_is_not() -> None:
    assert berlin(f"{AUTUMN} 02:10:00").span("2026-10-22 01:00:00", f"{AUTUMN} 02:10:00") == "3 d"


def test_clocks_of_two_machines_that_differ_a_little_make_no_negative_span() -> None:
    clock = berlin("2026-11-27 02:00:00")
    assert clock.span("2026-11-27 02:00:02", clock.now) == "0 s"
    assert clock.ago("2026-11-27 02:00:02") == "0 s ago"


@pytest.mark.parametrize(
    ("time", "now", "said"),
    [
        ("2026-11-28 01:58:30", "2026-11-28 02:00:00", "1 min ago"),
        ("2026-11-28 02:10:00", "2026-11-28 02:00:00", "in 10 min"),
        (f"{AUTUMN} 02:50:00", f"{AUTUMN} 02:15:00", "25 min ago"),
        (f"{SPRING} 01:55:00", f"{SPRING} 03:05:00", "10 min ago"),
        (f"{AUTUMN} 02:15:00", f"{AUTUMN} 02:50:00", None),
    ],
    ids=["before", "wrong clock", "back", "on", "not known"],
)
def test_a_time_that_is_over_says_how_long(time: str, now: str, said: str | None) -> None:
    assert berlin(now).ago(time) == said


@pytest.mark.parametrize(
    ("time", "now", "said"),
    [
        ("2026-11-28 05:00:00", "2026-11-28 02:00:00", "in 3 h"),
        ("2026-12-02 02:00:01", "2026-11-28 02:00:00", "in 4 d"),
        ("2026-11-28 01:58:30", "2026-11-28 02:00:00", "1 min ago"),
        (f"{AUTUMN} 02:10:00", f"{AUTUMN} 02:50:00", "in 20 min"),
        (f"{SPRING} 03:05:00", f"{SPRING} 01:55:00", "in 10 min"),
        (f"{AUTUMN} 03:00:00", f"{AUTUMN} 02:10:00", None),
    ],
    ids=["hours", "days", "late", "back", "on", "not known"],
)
def test_a_time_that_is_to_come_says_how_far_it_is(time: str, now: str, said: str | None) -> None:
    assert berlin(now).ahead(time) == said


def test_a_zone_that_this_machine_does_not_know_tells_no_span() -> None:
    assert Clock("2026-11-27 02:00:00", "Mars/Base").ago("2026-11-27 01:00:00") is None
