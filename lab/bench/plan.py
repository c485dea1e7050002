"""The extent of measurements: rounds, sizes, and the time after which to stop."""

import math
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Plan:
    """The plan of one run of the benchmarks."""

    rounds: int = 3
    longest: float = math.inf
    """Seconds for all rounds; a round that would exceed them, at the pace of those before it, is left out."""
    tiny: bool = False
    """Only try whether everything works; the figures mean nothing."""
    most_jobs: int = 1_000
    """The largest number of jobs in the benchmarks of growth and of an outage."""
    most_listed: int = 10_000
    """The largest number of jobs, and of runs of a job, in the benchmark of lists."""
    began: float = field(default_factory=time.monotonic)

    @property
    def has_time(self) -> bool:
        """Whether rounds may take however long they do."""
        return math.isinf(self.longest)

    def each_round(self) -> Iterator[int]:
        """Count the rounds; ends early when the time is up."""
        first = time.monotonic()
        for number in range(1 if self.tiny else self.rounds):
            now = time.monotonic()
            if number and now - self.began + (now - first) / number > self.longest:
                return
            yield number

    def up_to_most_jobs(self, levels: Iterable[int]) -> list[int]:
        """Return the numbers of jobs that are not too large."""
        return [level for level in levels if level <= self.most_jobs]

    def size(self, full: int, tiny: int) -> int:
        """Return how many of something to measure."""
        return tiny if self.tiny else full
