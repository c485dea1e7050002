"""The place at which the next page of a list begins, as a text that callers hand back."""

import base64
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Self

_DIGITS: Final = 12


@dataclass(frozen=True)
class Cursor:
    """A place in Temporal's list."""

    token: bytes = b""
    """Temporal's own; empty for the beginning."""
    given: frozenset[str] = frozenset()
    """Short forms of the ids that are left out of the list, because they come before it."""
    owed: tuple[str, ...] = ()
    """Those of these ids that are still to come."""
    count: int | None = None
    """How many entries the list had when its first page was read; None if that is not known."""

    def text(self, of: str) -> str:
        """Write the place; `of` is the question that has the list for its answer."""
        content = [base64.b64encode(self.token).decode(), sorted(self.given), [*self.owed], self.count]
        return base64.urlsafe_b64encode(json.dumps([_sum(content, of), *content]).encode()).decode()

    @classmethod
    def read(cls, text: str, of: str) -> Self | None:
        """Read a place; None if the text is not one, or the place is in the list of another question."""
        try:
            found, *content = json.loads(base64.urlsafe_b64decode(text.encode()))
        except (ValueError, TypeError, RecursionError):  # anything may have been given
            return None
        if found != _sum(content, of):
            return None
        token, given, owed, count = content
        return cls(base64.b64decode(token), frozenset(given), tuple(owed), count)

    @classmethod
    def before_list(cls, schedule_ids: Sequence[str]) -> Self:
        """Return the place before some ids, which come before the whole list."""
        return cls(b"", frozenset(map(_short, schedule_ids)), tuple(schedule_ids))

    def leaves_out(self, schedule_id: str) -> bool:
        """Return whether the list is to be read without an id."""
        return _short(schedule_id) in self.given


def _short(schedule_id: str) -> str:
    return hashlib.sha256(schedule_id.encode()).hexdigest()[:_DIGITS]


def _sum(content: Sequence[object], of: str) -> str:
    return hashlib.sha256(json.dumps([content, of]).encode()).hexdigest()[:_DIGITS]
