"""Pure functions on the output of restic: its messages, texts and snapshots, and the reports made from them.

Source: restic 0.14 by experiment, newer releases by their documentation and by `make test-restic`.
"""

import json
import os
import re
from collections.abc import Iterable
from typing import Any, Final

from activities.attempts import Progress
from backup_scheduler.runs.results import BackupReport, Outcome
from backup_scheduler.texts import redact

MOST_WARNINGS: Final = 20
"""Number of warnings that a report keeps."""

COMPLETENESS_UNKNOWN: Final = "whether the lost attempt could read all files is not known: the worker's log may tell"
"""Warning in the report of a snapshot that an earlier attempt made."""

_LONGEST_TEXT: Final = 500
_SHORT_ID: Final = 8
"""Characters of a snapshot id that restic lists; some releases print no more of the id of a new snapshot."""
_RETRY: Final = re.compile(r" returned error, retrying after \S+: ")


def is_retrying(text: str) -> bool:
    """Tell whether restic reports that it will retry a request to the repository."""
    return _RETRY.search(text) is not None


def has_recovered(text: str) -> bool:
    """Tell whether restic reports that a retry succeeded."""
    return "operation successful after" in text


def unreachable(texts: Iterable[str]) -> str:
    """Return a sentence for a repository that does not answer, with the last fault that restic met."""
    reasons = [_RETRY.split(text, 1)[1] for text in texts if is_retrying(text)]
    words = redact(" ".join(reasons[-1].split()))[-_LONGEST_TEXT:] if reasons else "restic did not say why"
    return f"the repository cannot be reached: {words}"


def exit_error_text(message: dict[str, Any] | None) -> str | None:
    """Return the text of an `exit_error` message, the form of fatal errors from 0.18 on; None for other messages."""
    return str(message.get("message")) if message and message.get("message_type") == "exit_error" else None


def parse_message(line: str) -> dict[str, Any] | None:
    """Parse a line as a JSON message of restic; None for plain text, which restic mixes in."""
    try:
        message = json.loads(line)
    except ValueError:
        return None
    return message if isinstance(message, dict) else None


def progress_of(message: dict[str, Any]) -> Progress:
    """Return the progress that a `status` message tells; restic leaves out fields that are zero."""
    return Progress(
        step="backing up",
        percent=round(100 * message.get("percent_done", 0), 1),
        files_done=message.get("files_done", 0),
        files_total=message.get("total_files", 0),
        bytes_done=message.get("bytes_done", 0),
        bytes_total=message.get("total_bytes", 0),
    )


def error_text(message: dict[str, Any]) -> str:
    """Return the text of an `error` message, with its file."""
    error = message.get("error")
    text = error.get("message") if isinstance(error, dict) else error
    item = message.get("item")
    # 0.14 gives a system error as separate fields, its number among them, and an empty text for other errors.
    if not isinstance(text, str) and isinstance(error, dict):
        text = " ".join(str(error[key]) for key in ("Op", "Path") if isinstance(error.get(key), str))
        if reason := _reason(error.get("Err")):
            text = f"{text}: {reason}" if text else reason
    words = redact(str(text or "could not be read"))
    return words if not item or str(item) in words else f"{item}: {words}"


def _reason(error: object) -> str | None:
    if isinstance(error, int):
        reason = os.strerror(error)
        return reason[0].lower() + reason[1:]
    return error if isinstance(error, str) else None


def parse_snapshots(lines: Iterable[str]) -> list[dict[str, Any]]:
    """Return the snapshots that `restic snapshots --json` lists."""
    for line in lines:
        try:
            listed = json.loads(line)
        except ValueError:
            continue
        if isinstance(listed, list):
            return [each for each in listed if isinstance(each, dict)]
    return []


def duplicates_warning(listed: list[dict[str, Any]]) -> list[str]:
    """Return a warning that names the snapshots of a run; no warning when it has only one."""
    if len(listed) < 2:
        return []
    ids = " and ".join(
        str(each.get("id"))[:_SHORT_ID] for each in sorted(listed, key=lambda each: str(each.get("time")))
    )
    return [
        f"this run has {len(listed)} snapshots, {ids}, because restic of an earlier attempt went on unseen: each is a "
        "whole backup, and `restic forget` with its id removes one"
    ]


def report_of_new(snapshot_id: str, summary: dict[str, Any], warnings: list[str], remark: str) -> BackupReport:
    """Make the report of a new snapshot from the `summary` message, in which restic leaves out fields that are zero."""
    snapshot_id = snapshot_id[:_SHORT_ID]
    files = int(summary.get("total_files_processed", 0))
    processed = int(summary.get("total_bytes_processed", 0))
    added = int(summary.get("data_added", 0))
    trouble = ", but not everything could be read" if warnings else ""
    return BackupReport(
        outcome=Outcome.COMPLETED_WITH_WARNINGS if warnings else Outcome.COMPLETED,
        message=f"restic saved snapshot {snapshot_id}{trouble}{remark}",
        warnings=warnings[:MOST_WARNINGS],
        snapshot_id=snapshot_id,
        files=files,
        bytes_processed=processed,
        bytes_added=added,
    )


def report_of_found(snapshot: dict[str, Any]) -> BackupReport:
    """Make the report of a snapshot that an earlier attempt made; it holds the counts from restic 0.17 on.

    It is never plain success: only that attempt knew whether it could read everything.
    """
    snapshot_id = str(snapshot["id"])[:_SHORT_ID]
    summary = snapshot.get("summary") or {}
    return BackupReport(
        outcome=Outcome.COMPLETED_WITH_WARNINGS,
        message=f"restic saved snapshot {snapshot_id} in an earlier attempt of this run, which was then lost",
        warnings=[COMPLETENESS_UNKNOWN],
        snapshot_id=snapshot_id,
        files=summary.get("total_files_processed"),
        bytes_processed=summary.get("total_bytes_processed"),
        bytes_added=summary.get("data_added"),
    )
