"""The scheduler's clock, and how far apart two of its times are.

Replies tell what the clock showed (docs/api.md#a-run). Where it is put back it shows an hour twice, and of a time in
that hour nobody can say which of the two it was: then a span is told only if it is the same for both.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import product
from typing import Any, Final, Self
from zoneinfo import ZoneInfo

_CLOCKS_DIFFER: Final = 5
"""Seconds by which a time of one machine may lie ahead of a later one of another; `doctor` warns of more."""


@dataclass(frozen=True)
class Clock:
    """What the scheduler's clock shows now, and its time zone."""

    now: str
    timezone: str

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> Self:
        """Return the clock that a check_scheduler tells."""
        return cls(told["now"], told["timezone"])

    def span(self, start: str, end: str) -> str | None:
        """Return how long it was from one time to a later one; None if that is not known."""
        return _said("{}", self._spans(start, end))

    def ago(self, time: str) -> str | None:
        """Return how far a time that is over is from now, such as `2 h ago`; None if that is not known."""
        back, ahead = self._spans(time, self.now), self._spans(self.now, time)
        return _said("{} ago", back) if back else _said("in {}", ahead)

    def ahead(self, time: str) -> str | None:
        """Return how far a time that is to come is from now, such as `in 3 h`; None if that is not known."""
        ahead, back = self._spans(self.now, time), self._spans(time, self.now)
        return _said("in {}", ahead) if ahead else _said("{} ago", back)

    def _spans(self, start: str, end: str) -> set[str]:
        """Return all spans that there can be from one time to a later one; none if it is not later."""
        try:
            zone = ZoneInfo(self.timezone)
        except (LookupError, ValueError, OSError):  # of newer tzdata than this machine has
            return set()
        seconds = [(b - a).total_seconds() for a, b in product(_moments(start, zone), _moments(end, zone))]
        return {_span(max(0, each)) for each in seconds if each >= -_CLOCKS_DIFFER}


def _moments(time: str, zone: ZoneInfo) -> set[datetime]:
    """Return the moments at which the clock showed a time: in the hour that it shows twice, two."""
    shown = datetime.fromisoformat(time)
    return {shown.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1)}


def _said(words: str, spans: set[str]) -> str | None:
    return words.format(*spans) if len(spans) == 1 else None


def _span(seconds: float) -> str:
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{seconds // length:.0f} {unit}"
    return f"{seconds:.0f} s"
