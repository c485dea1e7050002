"""The host's zone is taken only if the clock of the process shows it; else SCHEDULER_TIMEZONE is asked for."""

import os
import subprocess
import sys
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from backup_scheduler.host_zone import Offset, difference
from lab.parts.places import ROOT

LOAD = "from backup_scheduler import settings; print(settings.load_settings().timezone)"
CURE = "set SCHEDULER_TIMEZONE to the zone that start_time is meant in, such as 'Europe/Berlin'"
ZONES = Path("/usr/share/zoneinfo")


def loaded(*command: str, **environment: str) -> str:
    """Return the zone that a process of its own takes, or its last line of error."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("SCHEDULER_", "TZ"))}
    ended = subprocess.run(
        [*command, sys.executable, "-c", LOAD],
        cwd=ROOT,
        env=kept | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    return ended.stdout.strip() or ended.stderr.strip().splitlines()[-1]


def on_a_host(localtime: str, timezone: str, script: str = "cp") -> tuple[str, ...]:
    """Return a command that runs another one where /etc has this zone as a copy, and this name in /etc/timezone."""
    made = f"""
        set -e
        mount -t tmpfs none /mnt
        cp -a /etc /mnt/etc
        rm -f /mnt/etc/localtime /mnt/etc/timezone
        {script} {ZONES / localtime} /mnt/etc/localtime
        [ -z "{timezone}" ] || echo "{timezone}" >/mnt/etc/timezone
        mount --bind /mnt/etc /etc
        exec "$@"
    """
    return ("unshare", "--mount", "--", "bash", "-c", made, "bash")


@pytest.mark.programs
@pytest.mark.parametrize("tz", ["Europe/Rome", ":Europe/Rome", str(ZONES / "Europe/Rome")])
def test_a_zone_that_tz_names_is_taken(tz: str) -> None:
    assert loaded(TZ=tz) == "Europe/Rome"


@pytest.mark.programs
@pytest.mark.parametrize("tz", ["CST-8", '"Europe/Rome"', "Foo/Bar", "europe/rome", "China Standard Time", "EST5EDT4"])
def test_a_tz_that_is_no_name_of_a_zone_is_refused_and_quoted(tz: str) -> None:
    said = loaded(TZ=tz)
    assert said.endswith(f"ConfigurationError: the host's time zone (TZ={tz!r}) has no IANA name: {CURE}")


@pytest.mark.programs
def test_a_copy_of_a_zone_without_a_name_is_refused() -> None:
    said = loaded(*on_a_host("Europe/Rome", ""))
    assert said.endswith(f"the host's time zone (/etc/localtime, /etc/timezone) has no IANA name: {CURE}")


@pytest.mark.programs
def test_a_copy_of_a_zone_with_its_name_beside_it_is_taken() -> None:
    assert loaded(*on_a_host("Europe/Rome", "Europe/Rome")) == "Europe/Rome"


@pytest.mark.programs
def test_a_copy_of_a_zone_with_another_name_beside_it_is_refused_though_both_clocks_agree_today() -> None:
    said = loaded(*on_a_host("Europe/London", "Africa/Casablanca"))
    assert "seems to be 'Africa/Casablanca', but the host's clock differs from it on 20" in said
    assert said.endswith(CURE)


@pytest.mark.programs
def test_a_wrong_name_beside_a_zone_is_refused_in_one_sentence_and_no_library_warns_of_it() -> None:
    said = loaded(*on_a_host("Europe/Rome", "Asia/Tokyo"), PYTHONWARNINGS="error::UserWarning")
    assert "seems to be 'Asia/Tokyo', but the host's clock differs from it on 20" in said


@pytest.mark.programs
def test_a_link_to_a_zone_is_taken() -> None:
    assert loaded(*on_a_host("Europe/Rome", "", "ln -s")) == "Europe/Rome"


@pytest.mark.programs
def test_where_the_zone_is_set_the_hosts_is_not_looked_at() -> None:
    assert loaded(TZ="CST-8", SCHEDULER_TIMEZONE="Asia/Shanghai") == "Asia/Shanghai"


def clock(zone: str) -> Offset:
    def offset(moment: float) -> float:
        there = datetime.fromtimestamp(moment, ZoneInfo(zone)).utcoffset()
        assert there is not None
        return there.total_seconds()

    return offset


@pytest.mark.parametrize(
    ("one", "other", "day"),
    [
        ("Europe/Berlin", "Europe/Rome", None),
        ("Europe/Berlin", "Africa/Tunis", "2026-03-29"),
        ("Europe/Lisbon", "Atlantic/Azores", "2026-01-01"),
        ("America/New_York", "America/Havana", "2026-03-08"),  # an hour apart on the day of the change alone
        ("Asia/Jerusalem", "Asia/Beirut", "2026-03-27"),
    ],
)
def test_clocks_that_differ_at_any_time_of_the_coming_years_are_found(one: str, other: str, day: str | None) -> None:
    now = datetime(2026, 1, 1, tzinfo=ZoneInfo("UTC")).timestamp()
    found = difference(clock(one), clock(other), now)
    assert (found and f"{datetime.fromtimestamp(found, ZoneInfo('UTC')):%Y-%m-%d}") == day


def test_clocks_that_change_on_one_day_at_other_hours_are_told_apart_to_a_quarter_of_an_hour() -> None:
    midnight = datetime(2026, 3, 8, tzinfo=ZoneInfo("UTC")).timestamp()

    def changes_at(hour: float) -> Offset:
        return lambda moment: 3600 if moment >= midnight + hour * 3600 else 0

    january = datetime(2026, 1, 1, 0, 7, 30, tzinfo=ZoneInfo("UTC")).timestamp()
    assert difference(changes_at(5.25), changes_at(5.5), january) == midnight + 5.25 * 3600
    assert difference(changes_at(23.75), changes_at(24), january) == midnight + 23.75 * 3600
    assert difference(changes_at(5), changes_at(5), january) is None


def test_clocks_are_compared_from_now_on_for_three_years() -> None:
    now = datetime(2026, 1, 1, 0, 7, 30, tzinfo=ZoneInfo("UTC")).timestamp()
    days = 86_400

    def until(end: float) -> Offset:
        return lambda moment: 3600 if moment < end else 0

    def since(begin: float) -> Offset:
        return lambda moment: 3600 if moment >= begin else 0

    assert difference(until(0), until(now), now) is None, "what was before does not matter"
    assert difference(until(0), until(now + 1), now) == now
    assert difference(until(0), since(now + 3 * 365 * days - 2 * days), now)
    assert difference(until(0), since(now + 3 * 365 * days + 2 * days), now) is None
