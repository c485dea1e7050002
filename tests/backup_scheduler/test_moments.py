"""Moments in arguments: what is read, and in which zone."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from pydantic import TypeAdapter, ValidationError

from backup_scheduler.contract.moments import Moment, in_utc, shown

BERLIN = ZoneInfo("Europe/Berlin")
READ = TypeAdapter(Moment)


@pytest.mark.parametrize(
    ("given", "moment"),
    [
        ("2026-11-28 02:30:00", datetime(2026, 11, 28, 1, 30, tzinfo=UTC)),
        ("2026-11-28 02:30", datetime(2026, 11, 28, 1, 30, tzinfo=UTC)),
        (" 2026-07-01 02:30:00 ", datetime(2026, 7, 1, 0, 30, tzinfo=UTC)),
        ("2026-11-28T02:30:00Z", datetime(2026, 11, 28, 2, 30, tzinfo=UTC)),
        ("2026-11-28T02:30:00.250+08:00", datetime(2026, 11, 27, 18, 30, 0, 250_000, tzinfo=UTC)),
        (datetime(2026, 11, 28, 2, 30, tzinfo=UTC), datetime(2026, 11, 28, 2, 30, tzinfo=UTC)),
        ("2026-10-25 02:30:00", datetime(2026, 10, 25, 0, 30, tzinfo=UTC)),  # the first of two
    ],
)
def test_a_moment_is_on_the_clock_of_the_zone_unless_it_has_an_offset(given: object, moment: datetime) -> None:
    assert in_utc(READ.validate_python(given), BERLIN) == moment


@pytest.mark.parametrize(
    "given",
    ["", "02:30", "2026-11-28", "20261128T023000", "tomorrow", "2026-13-01 00:00:00", "9999-12-31 23:59:59", 7, None],
)
def test_anything_else_is_no_moment(given: object) -> None:
    with pytest.raises(ValidationError):
        READ.validate_python(given)


def test_a_moment_is_shown_on_the_clock_of_the_zone() -> None:
    assert shown(datetime(2026, 11, 28, 1, 30, tzinfo=UTC), BERLIN) == "2026-11-28 02:30:00"
