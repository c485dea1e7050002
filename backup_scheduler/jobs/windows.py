"""The next windows of a job, and the clock changes among them: pure functions of terms, clock and zone."""

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import count, islice, takewhile
from typing import Final
from zoneinfo import ZoneInfo

from backup_scheduler.jobs.request import BackupRequest
from backup_scheduler.jobs.timing import start_on

_LAST_YEAR: Final = 2100
"""No interval has times after it (docs/temporal-facts.md#intervals-end-in-2100)."""

_STEP: Final = timedelta(days=5)
"""No zone changes its clock twice within a step; the nearest changes are 7 days apart, in Gaza."""


@dataclass(frozen=True)
class Window:
    """A window of a job: one run starts in it."""

    opens: datetime
    closes: datetime
    starts: datetime | None
    """When the run starts; None if that is not known."""


@dataclass(frozen=True)
class ClockChange:
    """A change of a zone's UTC offset."""

    at: datetime
    before: timedelta
    after: timedelta


def next_windows(
    request: BackupRequest, now: datetime, number: int, starts: Mapping[datetime, datetime] | None = None
) -> list[Window]:
    """Return the next windows of a job, by the wall clock (docs/api.md#time-zone); fewer if Temporal has no more.

    `starts` has starts that lie ahead, each under the opening of its window. A window that is open counts as the next
    one if its start is among them. Raises ZoneInfoNotFoundError if this machine does not know the job's zone.
    """
    zone, starts = request.zone, starts or {}
    today = (now.astimezone(zone).date() - request.anchor).days // request.days
    # The window of the run before today's may still be open.
    days = (request.anchor + timedelta(days=run * request.days) for run in count(max(today - 1, 0)))
    openings = (start_on(day, request.wall_time, zone) for day in days)
    possible = takewhile(lambda opens: opens.year <= _LAST_YEAR, openings)
    to_come = (opens for opens in possible if opens > now or opens in starts)
    return [
        Window(opens, opens + request.window, starts.get(opens) if request.window else opens)
        for opens in islice(to_come, number)
    ]


def clock_changes(zone: ZoneInfo, since: datetime, until: datetime) -> list[ClockChange]:
    """Return the changes of a zone's clock after `since`, up to and including `until`; both are whole seconds."""
    found, before = [], _offset(zone, since)
    while since < until:
        end = min(since + _STEP, until)
        after = _offset(zone, end)
        if before != after:
            found.append(ClockChange(_end_of(before, zone, since, end), before, after))
        since, before = end, after
    return found


def _offset(zone: ZoneInfo, moment: datetime) -> timedelta:
    return moment.astimezone(zone).utcoffset() or timedelta(0)


def _end_of(offset: timedelta, zone: ZoneInfo, since: datetime, until: datetime) -> datetime:
    """Return the first second at which the zone has another offset; at `until` it has one."""
    seconds = range(int((until - since).total_seconds()))
    changed = bisect_left(seconds, True, key=lambda second: _offset(zone, since + timedelta(seconds=second)) != offset)
    return since + timedelta(seconds=changed)
