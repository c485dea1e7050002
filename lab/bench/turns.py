"""Turns: systems are measured one at a time, each round begins with another one, and what is not measured is frozen."""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Generic, TypeVar

from lab.bench.plan import Plan
from lab.bench.processes import frozen

T = TypeVar("T")


@dataclass(frozen=True)
class System(Generic[T]):
    """A system that takes its turn in each round."""

    name: str
    measure: Callable[[int], Iterable[T]]
    """Measures it in the round of that number."""
    processes: Callable[[], Collection[int]]
    """Ids of its processes that run also while others have their turn; asked anew for each turn, as a process that was
    killed comes back under another id. What is started and ended within `measure` does not belong here."""
    once: bool = False
    """Whether it is measured in the first round only."""


def no_processes() -> Collection[int]:
    """Return the processes of a system that runs in its own turns only."""
    return ()


def always(pids: Collection[int]) -> Callable[[], Collection[int]]:
    """Return the processes of a system that never change."""
    return lambda: pids


def rotated(items: Sequence[T], number: int) -> list[T]:
    """Return the items, starting with another one in each round, so that none is always first."""
    start = number % len(items)
    return [*items[start:], *items[:start]]


def in_turns(
    plan: Plan,
    systems: Sequence[System[T]],
    freeze: Callable[[Collection[int]], AbstractContextManager[None]] = frozen,
) -> Iterator[T]:
    """Measure the systems round by round, one at a time; the processes of the others are frozen meanwhile.

    A process that two systems share runs in the turns of both.
    """
    for number in plan.each_round():
        for system in rotated(systems, number):
            if number and system.once:
                continue
            try:
                with freeze(_others(system, systems)):
                    measured = list(system.measure(number))
            except Exception as error:
                error.add_note(f"in round {number}, in the turn of {system.name}")
                raise
            yield from measured


def _others(system: System[T], systems: Iterable[System[T]]) -> set[int]:
    own = set(system.processes())
    return {pid for each in systems if each is not system for pid in each.processes()} - own
