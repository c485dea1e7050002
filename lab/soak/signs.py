"""Signs of life in the logs of processes: each process has to be seen at work, not only the service as a whole."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

_ANSWERED = "call answered"
_BEGAN, _SUCCEEDED = "backup attempt started", "backup attempt succeeded"
"""Events of RPC processes and of workers."""


@dataclass
class LogFile:
    """A log that grows, of JSON lines and others; devstack's lines begin with the name of a service."""

    path: Path
    service: str = ""
    """The service whose lines count; without one all do."""
    ahead: float = 0
    """Seconds that the clock of the process is ahead."""
    _offset: int = 0
    _under_way: dict[tuple[str, int], float] = field(default_factory=dict)
    """Beginnings of attempts, by run and number."""
    _latest: float = 0

    def worked(self) -> float:
        """Return the beginning (of the epoch) of the last work that was done; 0 when there was none.

        Work is a call that Temporal answered, and a backup.
        """
        for line in self._new_lines():
            self._latest = max(self._latest, self._beginning(_entry(line)))
        return self._latest

    def _beginning(self, entry: dict[str, Any]) -> float:
        """Return the beginning of the work that an entry reports as done; 0 for any other entry."""
        event = entry.get("event")
        if event == _ANSWERED and entry["code"] == 200:
            return self._moment(entry) - float(entry["seconds"])
        if event in (_BEGAN, _SUCCEEDED):
            attempt = (entry["run_id"], entry["attempt"])
            if event == _SUCCEEDED:
                return self._under_way.pop(attempt, 0)
            self._under_way[attempt] = self._moment(entry)
        return 0

    def _moment(self, entry: dict[str, Any]) -> float:
        return datetime.fromisoformat(entry["timestamp"]).timestamp() - self.ahead

    def _new_lines(self) -> Iterator[str]:
        """Yield the lines since the last look, without the name of the service."""
        if not self.path.exists():
            return
        with self.path.open("rb") as file:
            file.seek(self._offset)
            for raw in file:
                if not raw.endswith(b"\n"):
                    return  # it is still being written
                self._offset += len(raw)
                line = raw.decode(errors="replace").strip()
                if not self.service:
                    yield line
                elif line.startswith(f"{self.service} │ "):
                    yield line.partition("│ ")[2]


def _entry(line: str) -> dict[str, Any]:
    try:
        entry = json.loads(line)
    except ValueError:
        return {}
    return entry if isinstance(entry, dict) else {}
