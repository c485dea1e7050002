"""The times of runs: pure functions of clock and zone. A moment is an aware datetime in UTC."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def start_on(day: date, start_time: time, zone: ZoneInfo) -> datetime:
    """Return the moment at which the clock shows start_time on that day.

    A start_time that a spring change skips is as much later on that day as the change skips. One that an autumn change
    repeats is the first of the two.
    """
    return datetime.combine(day, start_time, tzinfo=zone).astimezone(UTC)


def first_run(start_time: time, zone: ZoneInfo, now: datetime) -> datetime:
    """Return the first start_time that is still ahead of now: today's, else tomorrow's (docs/api.md#first-run)."""
    today = now.astimezone(zone).date()
    start = start_on(today, start_time, zone)
    return start if start > now else start_on(today + timedelta(days=1), start_time, zone)


def nearest_start(anchor: date, days: int, start_time: time, zone: ZoneInfo, moment: datetime) -> datetime:
    """Return the start nearest to a moment, for a job that runs on every `days`-th day from `anchor` on."""
    run = (moment.astimezone(zone).date() - anchor).days // days
    starts = [start_on(anchor + timedelta(days=days * each), start_time, zone) for each in (run - 1, run, run + 1)]
    return min(starts, key=lambda start: abs(start - moment))


def last_due(anchor: date, days: int, start_time: time, zone: ZoneInfo, moment: datetime) -> datetime | None:
    """Return the last start at or before a moment, for a job that runs on every `days`-th day from `anchor` on.

    None before the first one.
    """
    run = (moment.astimezone(zone).date() - anchor).days // days
    starts = [start_on(anchor + timedelta(days=days * each), start_time, zone) for each in (run, run - 1) if each >= 0]
    return next((start for start in starts if start <= moment), None)


def phase(first: datetime, every: timedelta) -> timedelta:
    """Return the offset with which an interval hits `first`.

    Its times are those with (t - offset) mod every = 0, counted from the Unix epoch; 0 <= offset < every
    (docs/temporal-facts.md#intervals-count-from-the-epoch).
    """
    return (first - _EPOCH) % every


def latest(moment: datetime, offset: timedelta, every: timedelta) -> datetime:
    """Return the last time of an interval up to a moment."""
    return moment - phase(moment - offset, every)


def latest_start(
    scheduled: datetime, window: timedelta, catch_up_window: timedelta, previous_end: datetime | None = None
) -> datetime:
    """Return the latest moment at which a worker may pick a run up; after that the run counts as missed.

    Temporal's catch-up window does not cover workers that are down
    (docs/temporal-facts.md#catch-up-covers-the-server-only). A run that waits for the job's previous backup is not late
    for that (docs/api.md#overlap).
    """
    window_end = scheduled + window
    return max(window_end, previous_end or window_end) + catch_up_window
