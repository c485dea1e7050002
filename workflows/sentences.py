"""Sentences of a run for people: why it made no backup, and its summary in the Web UI."""

from datetime import timedelta
from typing import Final

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError, FailureError, RetryState, TimeoutType
from temporalio.exceptions import TimeoutError as TimedOut

with workflow.unsafe.imports_passed_through():
    from backup_scheduler.jobs import names
    from backup_scheduler.runs.asked import StartedBy
    from backup_scheduler.runs.memo import RunMemo
    from backup_scheduler.runs.results import BackupResult
    from backup_scheduler.texts import clean


NO_TERMS: Final = (
    "the schedule gave this run no terms that can be read, nothing was backed up: "
    "remove the job with remove_job, then add it anew"
)
"""Why a run made no backup whose argument is not the terms of a job."""


POLL: Final = "http_poll"
"""The activity that waits for the end of a backup which a service has begun."""

POLLS: Final = "Asks the service until the backup has ended"
"""Summary of that activity."""

HOW_FAR: Final = "- how far it is: tab Pending Activities"
"""Line on a run whose activity tells that in its heartbeats."""

AWAITS_REPORT: Final = "Until the service has to have reported the end"
"""Summary of the timer of a run whose service reports."""


def missed(scheduler_id: str, late: timedelta) -> str:
    """Return why a missed run made no backup, and the command that makes one now."""
    late -= timedelta(microseconds=late.microseconds)
    return (
        f"picked up {late} after the end of its window and grace time, nothing was backed up; "
        f"`{names.trigger_command(scheduler_id)}` makes a backup now"
    )


def no_backup(reason: str | None) -> str:
    """Return what became of a run that was cancelled; `reason` is what the person said."""
    return f"no backup was made: {reason}" if reason else "no backup was made"


def reason(error: FailureError) -> str:
    """Return why a failed run made no backup."""
    if not isinstance(error, ActivityError):
        return error.message
    cause = error.cause
    # A time-out of Temporal has the last failure of an attempt as its cause.
    last = cause.cause if isinstance(cause, TimedOut) and cause.type != TimeoutType.HEARTBEAT else cause
    waited = isinstance(cause, TimedOut) and not error.started_event_id
    if isinstance(last, ApplicationError):
        what = last.message
    elif isinstance(last, TimedOut):
        what = "the worker was lost during the backup"
    elif waited and error.activity_type == POLL:
        return "the backup began, but no worker was free to ask how it ended before its time was up"
    elif waited:
        return "no worker took the backup before its time was up: none was running, or all were busy"
    else:
        what = "no worker made the backup within its time limit"
    if waited:
        return f"{what}; after that no worker took it before its time was up"
    gave_up = error.retry_state in (RetryState.TIMEOUT, RetryState.MAXIMUM_ATTEMPTS_REACHED)
    return f"{what}; it was tried until its time was up" if gave_up else what


def never_reported(limit: timedelta, last_words: str) -> str:
    """Return why a run failed whose backup service was to report the end of the backup."""
    last = f"; at last: {last_words}" if last_words else ""
    return f"never reported: the backup service reported no end within {limit.total_seconds():g} s of its answer{last}"


def running(what: str, memo: RunMemo | None, *lines: str) -> str:
    """Return what a run does, as Markdown for people who open it in the Web UI; `lines` stand below."""
    return _details("running", what, [*_started_by(memo), *lines])


def summary(result: BackupResult, memo: RunMemo | None = None) -> str:
    """Return the result as Markdown for people who open the run in the Web UI."""
    answer = result.answer.status if result.answer else None
    facts = {
        "snapshot": result.snapshot_id and f"`{result.snapshot_id}`",
        "repository": result.repository and f"`{result.repository}`",
        "files": result.files is not None and f"{result.files:,}",
        "size": result.bytes_processed is not None and f"{result.bytes_processed:,} bytes",
        "added to the repository": result.bytes_added is not None and f"{result.bytes_added:,} bytes",
        "answer": answer and f"HTTP status {answer}",
    }
    lines = [f"- {name}: {value}" for name, value in facts.items() if value]
    lines += [f"- warning: {warning}" for warning in result.warnings]
    return _details(result.outcome, result.message, [*lines, *_started_by(memo)])


def cancelled(sentence: str, memo: RunMemo | None) -> str:
    """Return what became of a cancelled run, as Markdown for people who open it in the Web UI."""
    return _details("cancelled", sentence, _started_by(memo))


def _details(state: str, message: str, lines: list[str]) -> str:
    return "\n\n".join(filter(None, [f"**{state}**: {message}", "\n".join(lines)]))


def _started_by(memo: RunMemo | None) -> list[str]:
    """Return a line on a run that somebody asked for."""
    if memo is None or memo.started_by is StartedBy.SCHEDULE:
        return []
    caller = f" ({memo.caller})" if memo.caller else ""
    reason = f": {memo.reason}" if memo.reason else ""
    return [f"- started by {clean(f'{memo.started_by}{caller}{reason}')}"]
