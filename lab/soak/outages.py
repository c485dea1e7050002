"""An outage: a step of faults, from its beginning until everything works again."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from lab.soak.faults import Step

_AFTER_SPLIT: Final = 180
"""Seconds after which, at the latest, a server tries a step again that failed
(docs/temporal-facts.md#a-node-that-is-cut-off-shows-the-past)."""


@dataclass
class Outage:
    """Faults that were made; times of the epoch."""

    step: Step
    at: float
    over: float | None = None
    """Moment since which no fault lasts: killed processes are gone, frozen ones go on, links are mended."""
    recovered: float | None = None
    """Moment by which a call that was sent later had been answered with 200, a run that came due later had reached its
    target, and each RPC process and each worker had done its work again."""
    given_up: float | None = None
    """Moment at which the soak stopped waiting for that."""

    @property
    def end(self) -> float:
        """Moment since which the stack counts as whole again; infinite while the soak waits for that.

        A stack that has not recovered in time has failed, and is no excuse for what comes later.
        """
        return next((moment for moment in (self.recovered, self.given_up) if moment is not None), math.inf)

    @property
    def calm(self) -> float:
        """Moment since which nothing of it can be felt, for any job."""
        return self.end + (_AFTER_SPLIT if self.step.splits else 0)

    def meanwhile(self, spans: Iterable[tuple[float, float]]) -> int:
        """Return the number of these spans of time that overlap the outage."""
        return sum(began <= self.end and ended >= self.at for began, ended in spans)

    @property
    def seconds(self) -> float | None:
        """Time to recover: from a kill on, or from when a frozen process went on or a link was mended."""
        if self.recovered is None:
            return None
        lasting = not all(fault.is_kill for fault in self.step.faults)
        return self.recovered - (self.over if lasting and self.over is not None else self.at)
