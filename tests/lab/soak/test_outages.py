"""An outage lasts until all works again, or until the soak gives up: it is no excuse for ever."""

from typing import Any, cast

import pytest

from lab.soak.faults import Fault, Kind, Step
from lab.soak.killer import Killer
from lab.soak.outages import Outage

STRUCK = 100.0
KILL = Step((Fault(Kind.KILL, "worker"),))
FREEZE = Step((Fault(Kind.FREEZE, "worker", 8),))
BOTH = Step((*KILL.faults, *FREEZE.faults))


def outage(step: Step = KILL, **times: float) -> Outage:
    return Outage(step, STRUCK, **times)


def killer(*outages: Outage) -> Killer:
    nothing = cast("Any", None)
    made = Killer(nothing, iter(()), nothing, nothing, nothing, lambda _: None)
    made.outages += outages
    return made


@pytest.mark.parametrize(
    ("made", "end"), [(outage(recovered=107), 107), (outage(given_up=220), 220), (outage(FREEZE, recovered=107), 107)]
)
def test_calls_that_began_after_the_end_of_an_outage_are_not_disturbed(made: Outage, end: float) -> None:
    assert killer(made).disturbed(since=end - 1)
    assert not killer(made).disturbed(since=end + 1)


def test_an_outage_that_goes_on_disturbs_what_begins_now() -> None:
    assert killer(outage()).disturbed(since=STRUCK + 1000)


def test_only_what_overlaps_an_outage_counts_as_meanwhile() -> None:
    spans = [(90.0, 99.0), (99.0, 101.0), (219.0, 300.0), (221.0, 300.0)]
    assert outage(given_up=220).meanwhile(spans) == 2


@pytest.mark.parametrize(("step", "seconds"), [(KILL, 12), (FREEZE, 4), (BOTH, 4)])
def test_the_time_to_recover_is_without_the_time_of_a_fault_that_lasts(step: Step, seconds: float) -> None:
    assert outage(step, over=STRUCK + 8, recovered=STRUCK + 12).seconds == seconds


def test_an_outage_without_an_end_has_no_time_to_recover() -> None:
    assert outage(over=101).seconds is outage(over=101, given_up=221).seconds is None
