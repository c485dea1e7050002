"""The signals that end a stack: the first one ends it in order, the second one at once."""

import signal
from collections.abc import Callable
from types import FrameType


class StopSignals:
    """Counts SIGINT, SIGTERM and SIGHUP (a closed terminal), from its creation to the end of the process."""

    def __init__(self) -> None:
        self.count = 0
        self.on_second: Callable[[], None] = lambda: None
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._on_signal)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self.count += 1
        if self.count > 1:
            self.on_second()
