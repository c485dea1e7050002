"""The rule for moving a schedule to the wall clock, a pure function: no move skips or repeats a run.

An interval knows only UTC, so a clock change shifts the runs of a job. A move gives the interval another offset, and a
start before which nothing runs. Temporal then forgets the old times: those still to come are lost, and each new time
that lies ahead is run (docs/temporal-facts.md#update-forgets-old-times). So a move is right only at a moment when every
occurrence either had its run at the old time or has it at the new one.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from backup_scheduler.jobs.timing import latest, phase

LEEWAY: Final = timedelta(minutes=5)
"""A time nearer than this may fall on either side of the move: the clocks of worker and server differ, and the server
takes a while."""


@dataclass(frozen=True)
class CurrentSchedule:
    """A schedule with one interval, as Temporal describes it."""

    every: timedelta
    offset: timedelta
    window: timedelta
    """Jitter: a run starts at most this long after its nominal time, and always before the next nominal time
    (docs/temporal-facts.md#jitter-is-fixed)."""
    catch_up_window: timedelta
    starts: Sequence[datetime]
    """Start times that Temporal lists, the first ones after the last run that it started; they may be past
    (docs/temporal-facts.md#next-times-can-be-past)."""
    paused: bool

    def moved(self, right_start: Callable[[datetime], datetime], now: datetime) -> datetime | None:
        """Return the first run at the new offset; None if the offset is right, or if the move has to wait.

        `right_start` maps a nominal time of the schedule to the start of that occurrence by the wall clock.
        """
        certain = now + LEEWAY
        for nominal, start in self._to_come(now):
            right = right_start(nominal)
            if start < self._made_up_for_since(now) and right <= certain:
                continue  # this occurrence is lost at both times
            # The run starts now, or is about to be made up for.
            waits = self._made_up_for_since(now) <= start <= certain
            return None if waits or right <= certain or phase(right, self.every) == self.offset else right
        return None

    def _made_up_for_since(self, now: datetime) -> datetime:
        """Return the earliest time whose missed run is made up for; runs of a pause never are (docs/api.md#pause)."""
        return now if self.paused else now - self.catch_up_window - LEEWAY

    def _to_come(self, now: datetime) -> Iterator[tuple[datetime, datetime]]:
        """Yield nominal time and start of each run that Temporal has not started, as far as they are known."""
        for start in self.starts:
            yield self.nominal(start), start
        # After a pause or an outage of many intervals, all ten times that Temporal lists are past.
        last = self.nominal(now)
        if self.paused or last + self.window < now - LEEWAY:
            yield last + self.every, last + self.every

    def nominal(self, moment: datetime) -> datetime:
        """Return the last nominal time up to a moment; for the start of a run, that is the run's nominal time."""
        return latest(moment, self.offset, self.every)
