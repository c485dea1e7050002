"""Medians, percentiles and ratios: pure functions."""

from collections.abc import Callable, Iterable, Sequence
from math import ceil
from statistics import median
from typing import Self, TypeVar

from pydantic import BaseModel

R = TypeVar("R")

_ABOVE = 10
"""Values that have to lie above a percentile: with fewer, the next slow one would move it far."""
NOT_SHOWN = "–"
"""Stands in a table for a figure of which too little was measured."""


class TooFewSamples(Exception):
    """Too few values for a percentile."""


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


def samples_for(share: float) -> int:
    """Return how many values a percentile needs: 20 for the median, 200 for p95, 1,000 for p99."""
    return ceil(round(_ABOVE / (1 - share), 6))


def percentile(values: Sequence[float], share: float) -> float:
    """Return the smallest value that at least this share of all values do not exceed. Raises TooFewSamples."""
    if len(values) < samples_for(share):
        raise TooFewSamples(f"{len(values)} values, and {samples_for(share)} are needed")
    return sorted(values)[ceil(round(share * len(values), 6)) - 1]


def percentile_or_none(values: Sequence[float], share: float) -> float | None:
    """Return a percentile; None where there are too few values."""
    try:
        return percentile(values, share)
    except TooFewSamples:
        return None


def by_round(records: Iterable[R], number: Callable[[R], int], value: Callable[[R], float]) -> dict[int, float]:
    """Return one figure of each round."""
    return {number(record): value(record) for record in records}


def ratios(ours: dict[int, float], others: dict[int, float]) -> dict[int, float]:
    """Divide round by round, as a machine is equally fast within one; rounds that lack one of both are left out."""
    return {number: ours[number] / others[number] for number in sorted(ours.keys() & others.keys()) if others[number]}


def spread_text(values: Iterable[float], digits: int) -> str:
    """Write a figure of several rounds, or that it is not shown."""
    known = list(values)
    return Spread.of(known).text(digits) if known else NOT_SHOWN


def total(counted: Iterable[int | None]) -> str:
    """Write the sum of what was counted; where nothing was counted, that it is not shown."""
    known = [each for each in counted if each is not None]
    return f"{sum(known):,}" if known else NOT_SHOWN
