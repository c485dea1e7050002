"""An outage lasts until all works again, or until the soak gives up: it is no excuse for ever."""

from pathlib import Path
from random import Random
from typing import Any, cast

import pytest

from lab.soak.killer import Kill, Killer

KILLED = 100.0


def killer(*kills: Kill) -> Killer:
    made = Killer(Path(), Random(1), cast("Any", None), cast("Any", None), lambda _: None)
    made.kills += kills
    return made


@pytest.mark.parametrize(
    ("kill", "end"),
    [
        (Kill("worker", "SIGKILL", KILLED, recovered=107), 107),
        (Kill("worker", "SIGKILL", KILLED, given_up=220), 220),
    ],
)
def test_calls_that_began_after_the_end_of_an_outage_are_not_disturbed(kill: Kill, end: float) -> None:
    assert killer(kill).disturbed(since=end - 1)
    assert not killer(kill).disturbed(since=end + 1)


def test_an_outage_that_goes_on_disturbs_what_begins_now() -> None:
    assert killer(Kill("worker", "SIGKILL", KILLED)).disturbed(since=KILLED + 1000)


def test_only_what_overlaps_an_outage_counts_as_meanwhile() -> None:
    spans = [(90.0, 99.0), (99.0, 101.0), (219.0, 300.0), (221.0, 300.0)]
    assert Kill("worker", "SIGKILL", KILLED, given_up=220).meanwhile(spans) == 2
