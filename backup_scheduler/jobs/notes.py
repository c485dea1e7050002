"""The notes that changes leave at a schedule, for people and for the lists of jobs."""

import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final, Self

_TIME: Final = "%Y-%m-%d %H:%M:%S UTC"
_TIME_PATTERN: Final = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC"
_NOTE: Final = re.compile(
    rf"(?P<what>paused|resumed) by (?P<by>.+?)(?: for (?P<caller>.+?))? at (?P<at>{_TIME_PATTERN})"
    rf"(?: until (?P<until>{_TIME_PATTERN}))?(?: \[(?P<id>[0-9a-f]+)\])?(?:: (?P<reason>.+))?",
    re.DOTALL,
)

_TIME_IN_A_NAME: Final = re.compile(r"(?<=\d) UTC")

_LONGEST: Final = 1000
"""Bytes that Temporal takes (docs/temporal-facts.md#notes-have-1000-bytes)."""


def fitting(note: str) -> str:
    """Return as much of the beginning of a note as Temporal takes; what is cut of ours is the end of the reason."""
    encoded = note.encode()
    cut = "…"
    return note if len(encoded) <= _LONGEST else encoded[: _LONGEST - len(cut.encode())].decode(errors="ignore") + cut


@dataclass(frozen=True)
class By:
    """Who asked for a change, and why, as far as the call tells it."""

    caller: str | None = None
    reason: str | None = None

    def because(self, reason: str | None) -> Self:
        """Return the same with the reason that a method's own argument gives, if it gives one."""
        return replace(self, reason=reason or self.reason)

    def terms(self, at: datetime) -> str:
        """Write who gave a job its terms; `at` is when."""
        caller = self.caller or "a caller without a name"
        return fitting(f"terms from {caller} at {_written(at)}{_because(self.reason)}")


UNKNOWN: Final = By()


@dataclass(frozen=True)
class SwitchNote:
    """Who paused or resumed a job, when, why and until when."""

    paused: bool
    by: str
    """The method that did it, or the end of a pause."""
    at: datetime
    reason: str | None = None
    until: datetime | None = None
    """The end of a pause."""
    id: str | None = None
    """The short id of the request, by which the end of a pause knows the jobs; None for a switch that needs none."""
    caller: str | None = None
    """Who called the method."""

    @property
    def whom(self) -> str:
        """Who did it, for people: the method, and who called it; a time in a caller's name is not that of the note."""
        return f"{self.by} for {_TIME_IN_A_NAME.sub('', self.caller)}" if self.caller else self.by

    def text(self) -> str:
        """Write the note; `read` reads it, to the second, but for the end of a reason that is too long to be kept."""
        until = f" until {_written(self.until)}" if self.until else ""
        known_by = f" [{self.id}]" if self.id else ""
        what = "paused" if self.paused else "resumed"
        return fitting(f"{what} by {self.whom} at {_written(self.at)}{until}{known_by}{_because(self.reason)}")

    def has_resumed(self, text: str) -> bool:
        """Return whether a note was written for this resumption, or for an earlier delivery of its request."""
        return not self.paused and (is_of(text, self.id) if self.id else text == self.text())

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
        switched = match["what"] == "paused", match["by"], at
        return cls(*switched, match["reason"], until or None, match["id"], match["caller"])


def is_of(text: str, request_id: str | None) -> bool:
    """Return whether a note was written by the service for the request with this short id."""
    note = SwitchNote.read(text)
    return note is not None and note.id == request_id


def _because(reason: str | None) -> str:
    return f": {reason}" if reason else ""


def _written(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):{_TIME}}"


def _moment(text: str) -> datetime:
    return datetime.strptime(text, _TIME).replace(tzinfo=UTC)
