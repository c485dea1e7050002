"""Systems are measured one at a time, each round begins with another one, and who has no turn stands still."""

import re
import subprocess
import sys
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from functools import partial

import psutil
import pytest

from lab.bench.plan import Plan
from lab.bench.processes import frozen
from lab.bench.turns import System, always, in_turns, no_processes, rotated
from lab.parts.places import ROOT
from lab.parts.waiting import eventually


@contextmanager
def nothing_frozen(_: Collection[int]) -> Iterator[None]:
    yield


def names_in(plan: Plan, *systems: str, once: str = "") -> list[tuple[int, str]]:
    """Return the order in which systems are measured: rounds and names."""

    def measure(name: str, number: int) -> list[tuple[int, str]]:
        return [(number, name)]

    each = [System(name, partial(measure, name), no_processes, once=name == once) for name in systems]
    return list(in_turns(plan, each, freeze=nothing_frozen))


def test_each_round_begins_with_another_system() -> None:
    order = names_in(Plan(rounds=3), "ours", "peer, 10 threads", "peer, 100 threads")
    assert order == [
        *((0, name) for name in ("ours", "peer, 10 threads", "peer, 100 threads")),
        *((1, name) for name in ("peer, 10 threads", "peer, 100 threads", "ours")),
        *((2, name) for name in ("peer, 100 threads", "ours", "peer, 10 threads")),
    ]
    assert [rotated([1, 2], number)[0] for number in range(3)] == [1, 2, 1]


def test_a_system_that_is_measured_once_has_its_turn_in_the_first_round_only() -> None:
    assert names_in(Plan(rounds=3), "a", "b", once="a") == [(0, "a"), (0, "b"), (1, "b"), (2, "b")]


def test_one_system_has_its_turn_at_a_time() -> None:
    under_way: list[str] = []

    def measure(name: str, _: int) -> Iterator[list[str]]:
        under_way.append(name)
        yield [*under_way]
        under_way.remove(name)

    systems = [System(name, partial(measure, name), no_processes) for name in "abc"]
    assert list(in_turns(Plan(rounds=2), systems, freeze=nothing_frozen)) == [["a"], ["b"], ["c"], ["b"], ["c"], ["a"]]


def test_an_error_says_in_whose_turn_it_came() -> None:
    def fail(_: int) -> list[None]:
        raise RuntimeError("a call failed")

    with pytest.raises(RuntimeError) as raised:
        list(in_turns(Plan(), [System("ours", fail, no_processes)], freeze=nothing_frozen))
    assert raised.value.__notes__ == ["in round 0, in the turn of ours"]


def frozen_in_turns(plan: Plan, *systems: System[None]) -> list[set[int]]:
    """Return which processes are frozen in each turn."""
    turns: list[set[int]] = []

    @contextmanager
    def freeze(pids: Collection[int]) -> Iterator[None]:
        turns.append(set(pids))
        yield

    assert list(in_turns(plan, systems, freeze)) == []
    return turns


def idle(name: str, processes: Callable[[], Collection[int]]) -> System[None]:
    return System(name, lambda _: (), processes)


def test_who_has_no_turn_is_frozen_and_what_two_systems_share_is_not() -> None:
    server, service, peer = 1, 2, 3
    by_rpc, by_sdk = idle("ours", always({server, service})), idle("bare SDK", always({server}))
    assert frozen_in_turns(Plan(rounds=2), by_rpc, by_sdk, idle("peer", always({peer}))) == [
        *({peer}, {service, peer}, {server, service}),
        *({service, peer}, {server, service}, {peer}),
    ]


def test_processes_are_asked_for_in_each_turn_as_they_may_have_been_started_again() -> None:
    now = iter(range(9))
    turns = frozen_in_turns(Plan(rounds=2), idle("ours", lambda: {next(now)}), idle("peer", always(())))
    assert turns == [set(), {1}, {2}, set()]


@pytest.mark.programs
def test_a_frozen_process_uses_no_time_and_goes_on_afterwards() -> None:
    spinning = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        process = psutil.Process(spinning.pid)
        with frozen([spinning.pid]):
            assert process.status() == psutil.STATUS_STOPPED
            before = process.cpu_times()
            subprocess.run([sys.executable, "-c", "sum(range(3_000_000))"], check=True)
            assert process.cpu_times() == before
        eventually(lambda: process.cpu_times() != before)
    finally:
        spinning.kill()
        spinning.wait()


@pytest.mark.programs
def test_a_process_that_has_ended_needs_no_freezing() -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    with frozen([ended.pid]):
        pass


def test_no_benchmark_counts_rounds_by_itself() -> None:
    """Only `in_turns` does: a loop of a benchmark's own would measure its systems in an order of its own."""
    counting = re.compile(r"each_round\(|range\(plan\.rounds\)")
    found = {path.name for path in (ROOT / "lab/bench").glob("*.py") if counting.search(path.read_text())}
    assert found - {"plan.py", "backups.py"} == {"turns.py"}
    assert len(counting.findall((ROOT / "lab/bench/backups.py").read_text())) == 1  # the names of its policies
