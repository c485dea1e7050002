"""What a check-up finds: results of checks."""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Final

SEE_TEMPORAL: Final = "see that Temporal runs, and the TEMPORAL_* settings of the service"
"""What to do where Temporal gives no answer, or a refusal."""


class State(StrEnum):
    """What a check found."""

    OK = "ok"
    WARNING = "warning"
    """Backups are made, and something is to be looked at."""
    FAULT = "fault"
    """Backups are not made, or nobody would learn that they are not."""


@dataclass(frozen=True)
class Finding:
    """The result of one check."""

    check: str
    state: State
    found: str
    todo: str = ""
    """What to do."""


def span_of(span: timedelta) -> str:
    """Return a span of time for people."""
    if span >= timedelta(days=1):
        return f"{span.days} d"
    minutes, seconds = divmod(round(span.total_seconds()), 60)
    return f"{minutes} min" if minutes else f"{seconds} s"
