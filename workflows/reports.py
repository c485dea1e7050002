"""What the backup service reports of a run, by updates of its workflow."""

from datetime import datetime, timedelta
from typing import Final, Protocol

from temporalio import workflow
from temporalio.exceptions import ApplicationError

with workflow.unsafe.imports_passed_through():
    from backup_scheduler.runs.reports import NOT_AWAITED, TOO_SOON, RunReport
    from backup_scheduler.texts import clean

_PROGRESS_OF_WAIT: Final = 500
"""Reports of progress that a run takes in the time that the backup may take after the answer."""

_PROGRESS_AT_MOST: Final = 1500
"""Reports of progress that a run takes in all: those before the answer, which may take days, count, too. Temporal takes
2,000 updates of a run, and the last report has to be among them (docs/temporal-facts.md#updates-are-limited)."""

_SHORTEST_PAUSE: Final = timedelta(seconds=10)
"""Between two reports of progress."""


class Tell(Protocol):
    """Shows people what a run does, in a sentence and in lines below it."""

    def __call__(self, what: str, *lines: str) -> None:
        """Show it in place of what was shown before."""


class Reports:
    """The reports on one run."""

    def __init__(self) -> None:
        self.final: RunReport | None = None
        """The report that tells the end."""
        self.last_words = ""
        """The last report of progress, for people."""
        self._taken = 0
        """Reports of progress so far."""
        self._pause: timedelta | None = None
        self._next: datetime | None = None
        self._tell: Tell | None = None

    def expect(self, limit: timedelta, tell: Tell) -> None:
        """Take reports from now on, and `tell` of progress; `limit` is the time that the backup may take."""
        self._pause = max(_SHORTEST_PAUSE, limit / _PROGRESS_OF_WAIT)
        self._tell = tell

    def check(self, report: RunReport) -> None:
        """Raise ApplicationError when a report cannot be taken; it then leaves no trace in the history."""
        if self._pause is None:
            raise ApplicationError("the run does not wait for a report", type=NOT_AWAITED)
        if self.final is not None and report != self.final:
            raise ApplicationError(f"the run was reported as {self.final.outcome} before", type=NOT_AWAITED)
        if not report.is_final and self._next is not None and workflow.now() < self._next:
            raise ApplicationError("progress was reported a moment ago", type=TOO_SOON)
        if not report.is_final and self._taken >= _PROGRESS_AT_MOST:
            sentence = f"the run has taken {_PROGRESS_AT_MOST:,} reports of progress, and takes no more of them"
            raise ApplicationError(sentence, type=TOO_SOON)

    def take(self, report: RunReport) -> None:
        """Take a report that was checked."""
        if report.is_final:
            self.final = report
            return
        self._taken += 1
        self._next = workflow.now() + (self._pause or _SHORTEST_PAUSE)
        self.last_words = _words(report)
        if self._tell is not None:
            self._tell(self.last_words)


def _words(report: RunReport) -> str:
    facts = {
        "%": report.progress is not None and f"{report.progress:g} %",
        "files": report.files is not None and f"{report.files:,} files",
        "bytes": report.bytes is not None and f"{report.bytes:,} bytes",
    }
    known = ", ".join(fact for fact in facts.values() if fact)
    said = clean(report.message or "reported as running")
    return f"{said} ({known})" if known else said
