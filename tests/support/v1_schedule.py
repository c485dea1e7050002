"""Temporal's schedule engine (V1) as a pure simulation: the runs that it starts, misses and announces.

`test_clock_changes.py` looks with it for runs that get lost; `tests/test_wall_clock.py` compares it with the server.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND = timedelta(seconds=1)
_ANNOUNCED = 10


@dataclass
class V1Schedule:
    """A schedule of one interval. Times go forward; `delay` maps nominal time and longest jitter to the jitter."""

    every: timedelta
    offset: timedelta
    start_at: datetime
    jitter: timedelta
    catch_up_window: timedelta
    delay: Callable[[datetime, timedelta], timedelta]
    last: datetime
    """Start of the last run, or when the schedule was made or resumed: times are looked for from here on."""
    updated: datetime = _EPOCH
    paused: bool = False
    runs: list[tuple[datetime, datetime]] = field(default_factory=list)
    """Nominal time and start of each run."""
    missed: set[datetime] = field(default_factory=set)
    """Nominal times of runs that were too old to be made up for."""
    _announced: tuple[object, list[datetime]] = field(default=(None, []), init=False)

    def next_after(self, after: datetime) -> tuple[datetime, datetime]:
        """Return nominal time and start of the first run whose nominal time is later than `after`."""
        if after < self.start_at:
            after = self.start_at - _SECOND
        since_epoch = timedelta(seconds=(after - _EPOCH) // _SECOND) - self.offset
        nominal = _EPOCH + (since_epoch // self.every + 1) * self.every + self.offset
        return nominal, nominal + self.delay(nominal, min(self.jitter, self.every))

    def announced(self) -> list[datetime]:
        """Return the next times as `describe` has them, before the server has made the runs that are overdue."""
        state = (self.last, self.updated)
        if state != self._announced[0]:
            times: list[datetime] = []
            after = self.last
            while len(times) < _ANNOUNCED:
                _, after = self.next_after(after)
                if after >= self.updated:
                    times.append(after)
            self._announced = (state, times)
        return self._announced[1]

    def run_until(self, now: datetime) -> None:
        """Let the server work up to a moment, with each run at its time."""
        while not self.paused and (start := self._next_start()) <= now:
            self.wake(start)

    def wake(self, now: datetime) -> None:
        """Let the server make all runs that are due, as after an outage."""
        if self.paused:
            self.last = now
            return
        after = self.last
        while (following := self.next_after(after))[1] <= now:
            nominal, after = following
            if after < self.updated:
                continue
            if now - after > self.catch_up_window:
                self.missed.add(nominal)
            else:
                self.runs.append((nominal, now))
                self.last = after

    def update(self, now: datetime, offset: timedelta, start_at: datetime) -> None:
        """Replace the times; runs that are due have been started before."""
        self.wake(now)
        self.offset, self.start_at, self.updated = offset, start_at, now
        self.wake(now)

    def pause(self, now: datetime) -> None:
        """Start nothing from now on."""
        self.wake(now)
        self.paused = True

    def resume(self, now: datetime) -> None:
        """Go on; runs that came due meanwhile are not made up for."""
        self.wake(now)
        self.paused = False

    def _next_start(self) -> datetime:
        nominal, start = self.next_after(self.last)
        while start < self.updated or nominal in self.missed:
            nominal, start = self.next_after(start)
        return start
