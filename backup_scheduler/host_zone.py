"""The IANA name of the host's time zone, taken only if the clock of this process agrees with it.

The C library and `tzlocal` each read TZ, /etc/localtime and /etc/timezone in their own way, and both fall back silently
to UTC or to each other's sources. With a wrong zone a job would run at another hour than the host's clock says.
"""

import os
import time
import warnings
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import tzlocal

from backup_scheduler.contract.errors import ConfigurationError

_AHEAD = timedelta(days=3 * 365)
"""Time over which both are compared: daylight saving shows within a year, announced changes of its rules later."""

_DAY, _STEP = 86400, 900  # seconds; clocks change at a quarter of an hour

Offset = Callable[[float], float]
"""Function from a moment (seconds since the epoch) to seconds east of UTC."""


def host_zone() -> str:
    """Return the IANA name of the host's zone. Raises ConfigurationError if no name is certain."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # `difference` finds all that it warns of
            name = str(tzlocal.get_localzone())
            zone = ZoneInfo(name)
    except (LookupError, ValueError, OSError):
        raise ConfigurationError(f"the host's time zone {_source()} has no IANA name: {_CURE}") from None
    differing = difference(
        lambda moment: time.localtime(moment).tm_gmtoff,
        lambda moment: datetime.fromtimestamp(moment, zone).utcoffset().total_seconds(),  # type: ignore[union-attr]  # it has a zone
        time.time(),
    )
    if differing is not None:
        raise ConfigurationError(
            f"the host's time zone {_source()} seems to be {name!r}, but the host's clock differs from it on "
            f"{datetime.fromtimestamp(differing, zone):%Y-%m-%d}: {_CURE}"
        )
    return name


_CURE = "set SCHEDULER_TIMEZONE to the zone that start_time is meant in, such as 'Europe/Berlin'"


def _source() -> str:
    return f"(TZ={os.environ['TZ']!r})" if os.environ.get("TZ") else "(/etc/localtime, /etc/timezone)"


def difference(one: Offset, other: Offset, now: float, ahead: timedelta = _AHEAD) -> float | None:
    """Return the first moment at which two clocks differ; None if there is none.

    Looks at every day, and at every quarter of an hour of a day on which the clock `one` changes.
    """
    for moment in _moments(one, now, now + ahead.total_seconds()):
        if one(moment) != other(moment):
            return moment
    return None


def _moments(clock: Offset, start: float, end: float) -> Iterator[float]:
    day = start - start % _STEP
    yield start
    while day < end:
        following = day + _DAY
        if clock(day) != clock(following):
            yield from (day + _STEP * step for step in range(_DAY // _STEP))
        yield following
        day = following
