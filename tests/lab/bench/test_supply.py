"""What a figure is made of: enough calls, for long enough, each timed from its begin to its answer."""

import time
from collections.abc import Callable
from itertools import count
from threading import Barrier, get_ident

from lab.bench.supply import Least, Supply, Timing, clocked, in_parallel


def ticking(step: float) -> Callable[[], float]:
    """Return a clock that goes on by `step` at each look."""
    times = count()
    return lambda: next(times) * step


def names() -> "map[str]":
    return map(str, count())


def taken(supply: Supply) -> int:
    return sum(1 for _ in iter(supply.take, None))


def test_a_measurement_ends_when_both_its_seconds_and_its_operations_are_reached() -> None:
    assert taken(Supply(names(), Least(5, 10), ticking(1))) == 10
    assert taken(Supply(names(), Least(5, 10), ticking(0.1))) == 50
    assert taken(Supply(names(), Least(5, 1000), ticking(1))) == 1000


def test_a_supply_without_a_least_gives_all_jobs_out() -> None:
    supply = Supply(["a", "b"])
    assert taken(supply) == 2
    assert supply.taken == ["a", "b"]


def test_measurements_with_a_pause_between_them_are_added() -> None:
    both = Timing(2.0, [0.5]) + Timing(3.0, [1.0, 2.0])
    assert (both.seconds, both.operations) == (5.0, 3)
    assert Least(5, 4).after(both) == Least(0, 1)
    assert not Least(5, 4).is_reached(both.seconds, both.operations)


def test_a_latency_is_the_whole_time_until_the_answer() -> None:
    pause = 0.05
    assert clocked(lambda: time.sleep(pause)) >= pause
    timing = in_parallel([lambda _: time.sleep(pause)], Supply(["a", "b", "c"]))
    assert min(timing.latencies) >= pause
    assert timing.seconds >= 3 * pause


def test_callers_call_in_parallel() -> None:
    together, threads = Barrier(3, timeout=30), set()

    def call(_: str) -> None:
        threads.add(get_ident())
        together.wait()  # passes only when all three are here

    timing = in_parallel([call, call, call], Supply(["a", "b", "c", "d", "e", "f"]))
    assert timing.operations == 6
    assert len(threads) == 3
