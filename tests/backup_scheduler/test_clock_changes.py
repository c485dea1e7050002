"""No clock change makes a job skip or repeat a run: a sample of tests/support/clock_changes.py."""

from collections.abc import Callable
from datetime import datetime
from functools import cache
from random import Random

import pytest

from backup_scheduler.jobs.alignment import CurrentSchedule
from backup_scheduler.jobs.timing import phase
from tests.support.clock_changes import DAYS, DURATIONS, Rule, Story, all_changes, faults, make_up

STORIES = 400


@cache
def stories(seed: int) -> list[Story]:
    """Make stories up, half of them of daily jobs: those have the least room."""
    random = Random(seed)
    days = [1, 2, 3, *DAYS]
    return [
        make_up(random.choice(all_changes()), number % 2 or random.choice(days), random.choice(DURATIONS), random)
        for number in range(STORIES)
    ]


def test_no_run_is_skipped_or_repeated_or_off_the_wall_clock_without_need() -> None:
    for story in stories(seed=1):
        assert faults(story) == [], story


def by_the_clock_alone(
    current: CurrentSchedule, right_start: Callable[[datetime], datetime], now: datetime
) -> datetime | None:
    """Move to the next start_time, whether or not a run has been made or is still to come."""
    starts = [right_start(now + number * current.every) for number in range(3)]
    return _unless_aligned(current, next(start for start in starts if start > now))


def unless_a_run_of_the_open_window_is_to_come(
    current: CurrentSchedule, right_start: Callable[[datetime], datetime], now: datetime
) -> datetime | None:
    """Move to the next start_time, but not in a window whose run is still to come."""
    following = now - phase(now - current.offset, current.every) + current.every
    if not current.paused and current.starts[0] < following:
        return None
    return by_the_clock_alone(current, right_start, now)


def at_the_last_moment(
    current: CurrentSchedule, right_start: Callable[[datetime], datetime], now: datetime
) -> datetime | None:
    """Ignore that clocks differ and that an update takes a while."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("backup_scheduler.jobs.alignment.LEEWAY", now - now)
        return current.moved(right_start, now)


def never(_: CurrentSchedule, __: Callable[[datetime], datetime], ___: datetime) -> None:
    """Leave every job where it is."""


def _unless_aligned(current: CurrentSchedule, first: datetime) -> datetime | None:
    return None if phase(first, current.every) == current.offset else first


@pytest.mark.parametrize(
    ("rule", "fault"),
    [
        (by_the_clock_alone, "skipped"),
        (unless_a_run_of_the_open_window_is_to_come, "skipped"),
        (unless_a_run_of_the_open_window_is_to_come, "ran 2 times"),
        (at_the_last_moment, "skipped"),
        (never, "off the wall clock"),
    ],
)
def test_a_rule_that_does_worse_is_found_out(rule: Rule, fault: str) -> None:
    assert any(fault in found for story in stories(seed=1) for found in faults(story, rule))
