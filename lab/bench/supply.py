"""Supplies of jobs for callers, and the time that their calls take."""

import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from threading import Lock

Clock = Callable[[], float]


@dataclass(frozen=True)
class Timing:
    """Duration of a number of operations."""

    seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)
    """Seconds of each."""

    @property
    def operations(self) -> int:
        """Number of operations."""
        return len(self.latencies)

    def __add__(self, later: "Timing") -> "Timing":
        """Add operations that were carried out after a pause, which does not count."""
        return Timing(self.seconds + later.seconds, self.latencies + later.latencies)


@dataclass(frozen=True)
class Least:
    """The least of what a figure is made of."""

    seconds: float
    operations: int

    def is_reached(self, seconds: float, operations: int) -> bool:
        """Return whether enough was measured."""
        return seconds >= self.seconds and operations >= self.operations

    def after(self, timing: Timing) -> "Least":
        """Return what is still to be measured."""
        return Least(max(0.0, self.seconds - timing.seconds), max(0, self.operations - timing.operations))


class Supply:
    """Gives out jobs, to any thread, until enough is measured or there are no more."""

    def __init__(self, ids: Iterable[str], least: Least | None = None, clock: Clock = time.perf_counter) -> None:
        self.taken: list[str] = []
        self._ids = iter(ids)
        self._least = least
        self._clock = clock
        self._began: float | None = None
        self._lock = Lock()

    def take(self) -> str | None:
        """Return the next job; None when it is enough. Without a least, all jobs are given out."""
        with self._lock:
            now = self._clock()
            if self._began is None:
                self._began = now
            if self._least and self._least.is_reached(now - self._began, len(self.taken)):
                return None
            scheduler_id = next(self._ids, None)
            if scheduler_id is not None:
                self.taken.append(scheduler_id)
            return scheduler_id


def in_parallel(operations: list[Callable[[str], object]], supply: Supply) -> Timing:
    """Carry out operations in parallel, a thread for each of the list, as long as there is supply."""
    latencies: list[float] = []

    def work(operation: Callable[[str], object]) -> None:
        while (scheduler_id := supply.take()) is not None:
            latencies.append(clocked(lambda: operation(scheduler_id)))

    began = time.perf_counter()
    with ThreadPoolExecutor(len(operations)) as pool:
        for done in [pool.submit(work, operation) for operation in operations]:
            done.result()
    return Timing(time.perf_counter() - began, latencies)


def clocked(operation: Callable[[], object]) -> float:
    """Return the seconds from the begin of an operation to its end."""
    began = time.perf_counter()
    operation()
    return time.perf_counter() - began
