"""When a schedule may be moved to the wall clock: a pure rule, so that no move skips or repeats a run.

An interval knows only UTC, so a clock change puts the runs of a job off. A move gives it another offset, and a start
before which nothing runs. Temporal then forgets the old times: those that were still to come are lost, and of the new
ones each that lies ahead is run (Temporal fact). So a move is right only at moments when every occurrence either had
its run at the old time or has it at the new one.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from backup_scheduler.jobs.timing import phase

LEEWAY: Final = timedelta(minutes=5)
"""Nobody knows on which side of the move a time falls that is nearer: the clocks of worker and server differ, and the
server takes a while."""


@dataclass(frozen=True)
class CurrentSchedule:
    """A schedule with one interval, as Temporal describes it."""

    every: timedelta
    offset: timedelta
    window: timedelta
    """Jitter: a run starts so long after its nominal time at the most, and always before the next one."""
    catch_up_window: timedelta
    starts: Sequence[datetime]
    """Times at which runs start, the first ones after the last run that was started; they may lie in the past."""
    paused: bool

    def moved(self, right_start: Callable[[datetime], datetime], now: datetime) -> datetime | None:
        """Return the first run of the schedule at its new offset, or None: it fits, or a move has to wait.

        `right_start` maps a nominal time of the schedule to where the clock wants that occurrence.
        """
        certain = now + LEEWAY
        for nominal, start in self._to_come(now):
            right = right_start(nominal)
            if start < self._made_up_for_since(now) and right <= certain:
                continue  # lost already, by either time
            waits = (
                self._made_up_for_since(now) <= start <= certain
            )  # its run starts now, or is about to be made up for
            return None if waits or right <= certain or phase(right, self.every) == self.offset else right
        return None

    def _made_up_for_since(self, now: datetime) -> datetime:
        """Return the moment before which no run that was missed is made up for (contract: none of a pause)."""
        return now if self.paused else now - self.catch_up_window - LEEWAY

    def _to_come(self, now: datetime) -> Iterator[tuple[datetime, datetime]]:
        """Yield nominal time and start of the runs that Temporal has not started, as far as it is known."""
        for start in self.starts:
            yield self._nominal(start), start
        # After a pause or an outage of many intervals, all ten times that Temporal tells are past.
        last = self._nominal(now)
        if self.paused or last + self.window < now - LEEWAY:
            yield last + self.every, last + self.every

    def _nominal(self, moment: datetime) -> datetime:
        """Return the nominal time whose start is at the moment, or the last one before it."""
        return moment - phase(moment - self.offset, self.every)
