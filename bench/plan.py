"""How much is measured: rounds, sizes, and when to stop."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TypeVar

LONGEST = 14 * 60
"""Seconds; no round begins later, so that a run of all benchmarks stays below a quarter of an hour."""

T = TypeVar("T")


@dataclass(frozen=True)
class Plan:
    """What one run of the benchmarks is to do."""

    rounds: int = 5
    tiny: bool = False
    """Only try whether everything works; the figures mean nothing."""
    most_jobs: int = 10_000
    """The largest number of jobs in the benchmark of growth."""
    began: float = field(default_factory=time.monotonic)

    def each_round(self) -> Iterator[int]:
        """Count the rounds; ends early when the time is up."""
        for number in range(1 if self.tiny else self.rounds):
            if number and self.seconds_left <= 0:
                return
            yield number

    @property
    def seconds_left(self) -> float:
        """Seconds in which something may still begin."""
        return self.began + LONGEST - time.monotonic()

    def size(self, full: int, tiny: int) -> int:
        """Return how many of something to measure."""
        return tiny if self.tiny else full


def rotated(items: list[T], number: int) -> list[T]:
    """Return the items beginning with another one in each round, so that none is always the first."""
    start = number % len(items)
    return items[start:] + items[:start]
