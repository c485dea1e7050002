"""The output of restic: its JSON messages, complaints, snapshots and the reports made of them; pure functions.

Source: restic 0.14 by experiment, newer releases by their documentation and by `make test-restic`.
"""

import json
import os
import re
from collections.abc import Iterable
from typing import Any, Final

from backup_scheduler.runs.results import BackupReport, Outcome
from backup_scheduler.texts import redact

MOST_WARNINGS: Final = 20
"""Complaints that a report keeps."""

COMPLETENESS_UNKNOWN: Final = "whether the lost attempt could read all files is not known: the worker's log may tell"
"""The warning of a snapshot that an earlier attempt left."""

_LONGEST_TEXT: Final = 500
_SHORT_ID: Final = 8
"""Characters of a snapshot's id, as restic lists them: some releases print no more of a new snapshot."""
_TRIES_AGAIN: Final = re.compile(r" returned error, retrying after \S+: ")


def is_retrying(text: str) -> bool:
    """Tell whether restic says that it waits to ask the repository again."""
    return _TRIES_AGAIN.search(text) is not None


def has_recovered(text: str) -> bool:
    """Tell whether restic says that the repository answered when it was asked again."""
    return "operation successful after" in text


def unreachable(texts: Iterable[str]) -> str:
    """Say in a sentence that a repository does not answer, with what restic met last."""
    reasons = [_TRIES_AGAIN.split(text, 1)[1] for text in texts if is_retrying(text)]
    words = redact(" ".join(reasons[-1].split()))[-_LONGEST_TEXT:] if reasons else "restic did not say why"
    return f"the repository cannot be reached: {words}"


def exit_error_text(read: dict[str, Any] | None) -> str | None:
    """Return the text of an `exit_error` message, as which fatal errors come from 0.18 on."""
    return str(read.get("message")) if read and read.get("message_type") == "exit_error" else None


def parse_message(line: str) -> dict[str, Any] | None:
    """Read a line as one of restic's JSON messages; None when it is plain text, which restic mixes in."""
    try:
        read = json.loads(line)
    except ValueError:
        return None
    return read if isinstance(read, dict) else None


def error_text(read: dict[str, Any]) -> str:
    """Return the text of an `error` message, with the file that it is about."""
    error = read.get("error")
    text = error.get("message") if isinstance(error, dict) else error
    item = read.get("item")
    # 0.14 gives the details of an error from the system apart, its number among them, and an empty text for others.
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
    """Say that a run has several snapshots, and which; nothing where it has one."""
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
    """Make the report of a snapshot from the `summary` message; restic leaves fields out that are zero."""
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
    """Make the report of a snapshot that an earlier attempt left; restic keeps the counts with it from 0.17 on.

    Whether that attempt could read everything, only it knew: this is never plain success.
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
