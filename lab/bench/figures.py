"""Medians, percentiles and ratios: pure functions."""

from collections.abc import Callable, Iterable, Sequence
from math import ceil
from statistics import median
from typing import Self, TypeVar

from pydantic import BaseModel

R = TypeVar("R")


class Spread(BaseModel):
    """The same figure of several rounds."""

    median: float
    low: float
    high: float
    rounds: int

    @classmethod
    def of(cls, values: Iterable[float]) -> Self:
        """Sum up one figure per round; at least one."""
        known = sorted(values)
        return cls(median=median(known), low=known[0], high=known[-1], rounds=len(known))

    def text(self, digits: int = 1, unit: str = "") -> str:
        """Write the median with the lowest and the highest value."""
        if f"{self.low:.{digits}f}" == f"{self.high:.{digits}f}":
            return f"{self.median:,.{digits}f}{unit}"
        return f"{self.median:,.{digits}f}{unit} ({self.low:,.{digits}f}–{self.high:,.{digits}f})"


def percentile(values: Sequence[float], share: float) -> float:
    """Return the smallest value that at least this share of all values do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, min(len(ordered) - 1, ceil(share * len(ordered)) - 1))]


def by_round(records: Iterable[R], number: Callable[[R], int], value: Callable[[R], float]) -> dict[int, float]:
    """Return one figure of each round."""
    return {number(record): value(record) for record in records}


def ratio(ours: dict[int, float], others: dict[int, float]) -> Spread | None:
    """Divide round by round, as a machine is equally fast within one; None where no round has both."""
    both = [ours[number] / others[number] for number in ours.keys() & others.keys() if others[number]]
    return Spread.of(both) if both else None
