"""The note that a pause or resume leaves at a schedule, for people and for the lists of jobs."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Self

_TIME: Final = "%Y-%m-%d %H:%M:%S UTC"
_TIME_PATTERN: Final = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC"
_NOTE: Final = re.compile(
    rf"(?P<what>paused|resumed) by (?P<by>.+?) at (?P<at>{_TIME_PATTERN})"
    rf"(?: until (?P<until>{_TIME_PATTERN}))?(?: \[(?P<id>[0-9a-f]+)\])?(?:: (?P<reason>.+))?",
    re.DOTALL,
)


@dataclass(frozen=True)
class SwitchNote:
    """Who paused or resumed a job, when, why and until when."""

    paused: bool
    by: str
    """The method that did it."""
    at: datetime
    reason: str | None = None
    until: datetime | None = None
    """The end of a pause."""
    id: str | None = None
    """The short id of the request, by which the end of a pause knows the jobs; None for a switch that needs none."""

    def text(self) -> str:
        """Write the note; `read` reads it, to the second."""
        until = f" until {_written(self.until)}" if self.until else ""
        known_by = f" [{self.id}]" if self.id else ""
        reason = f": {self.reason}" if self.reason else ""
        return f"{'paused' if self.paused else 'resumed'} by {self.by} at {_written(self.at)}{until}{known_by}{reason}"

    @classmethod
    def read(cls, text: str) -> Self | None:
        """Read a note; None if something other than the service wrote it."""
        match = _NOTE.fullmatch(text)
        if match is None:
            return None
        try:
            at, until = _moment(match["at"]), match["until"] and _moment(match["until"])
        except ValueError:  # such as a 31st of February
            return None
        return cls(match["what"] == "paused", match["by"], at, match["reason"], until or None, match["id"])


def _written(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):{_TIME}}"


def _moment(text: str) -> datetime:
    return datetime.strptime(text, _TIME).replace(tzinfo=UTC)
