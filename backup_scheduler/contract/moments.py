"""Moments in the arguments of a call: the clock of the scheduler's time zone, or ISO 8601."""

import re
from datetime import UTC, datetime
from typing import Annotated, Final
from zoneinfo import ZoneInfo

from pydantic import BeforeValidator

MOMENT_RULE: Final = (
    "a moment such as '2026-11-28 02:30:00' in the scheduler's time zone, or ISO 8601 with an offset or Z"
)

_DAY_AND_TIME: Final = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d.*")


def _read(value: object) -> datetime:
    # kombu turns a datetime into its text on the caller's side and back on the service's.
    moment = value if isinstance(value, datetime) else _of_text(value)
    if not 1970 < moment.year < 9000:  # so that no zone carries it out of the calendar
        raise ValueError
    return moment


def _of_text(value: object) -> datetime:
    if not isinstance(value, str) or not _DAY_AND_TIME.fullmatch(value.strip()):
        raise ValueError
    return datetime.fromisoformat(value.strip())


Moment = Annotated[datetime, BeforeValidator(_read)]
"""A moment as the caller wrote it: without an offset it is on the scheduler's clock (`in_utc`)."""


def in_utc(moment: datetime, zone: ZoneInfo) -> datetime:
    """Return the moment in UTC. One without an offset is on the clock of the zone; of a repeated hour, in the first."""
    return (moment if moment.tzinfo else moment.replace(tzinfo=zone)).astimezone(UTC)


def shown(moment: datetime, zone: ZoneInfo) -> str:
    """Write a moment as replies have it: `YYYY-MM-DD HH:MM:SS` on the clock of the zone."""
    return moment.astimezone(zone).strftime("%Y-%m-%d %H:%M:%S")
