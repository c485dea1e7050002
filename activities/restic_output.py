"""What restic says, as pure functions of its lines and exit codes.

Source: restic 0.14 by experiment, newer ones by their documentation.
"""

import json
import re
from collections.abc import Iterable
from enum import Enum, auto
from typing import Any

from backup_scheduler.backups import BackupReport, Outcome
from backup_scheduler.texts import redact

MOST_WARNINGS = 20
"""Complaints that a report keeps (backups.py)."""

_LONGEST_TEXT = 500
_SHORT_ID = 8
"""Characters of a snapshot's id, as restic lists them: some releases tell no more of a new snapshot."""
_STACK_TRACE = re.compile(r"\S+\.(?:go|s):\d+$|(?:main|runtime|\w+\.(?:com|org)/\S+)\.[\w.()*]+$")
"""A line of those that restic prints behind some errors: a function of Go, or its place."""


class Verdict(Enum):
    """What an exit code of restic means for the run."""

    DONE = auto()
    INCOMPLETE = auto()
    """A snapshot was written, but some files could not be read."""
    NO_REPOSITORY = auto()
    REPOSITORY_EXISTS = auto()
    LOCKED = auto()
    WRONG_PASSWORD = auto()
    NO_SPACE = auto()
    DAMAGED = auto()
    NO_PERMISSION = auto()
    UNKNOWN = auto()

    @property
    def lasting(self) -> bool:
        """Whether trying again is no use until a person did something."""
        return self in (Verdict.WRONG_PASSWORD, Verdict.NO_SPACE, Verdict.DAMAGED, Verdict.NO_PERMISSION)


_CODES = {
    0: Verdict.DONE,
    3: Verdict.INCOMPLETE,
    10: Verdict.NO_REPOSITORY,  # from 0.17
    11: Verdict.LOCKED,  # from 0.17
    12: Verdict.WRONG_PASSWORD,  # from 0.17.1
}
_TEXTS = (
    # The order matters: restic 0.14 adds "Is there a repository" to whatever kept it from reading the config.
    ("wrong password", Verdict.WRONG_PASSWORD),
    ("no space left", Verdict.NO_SPACE),
    ("quota exceeded", Verdict.NO_SPACE),
    ("unable to create lock", Verdict.LOCKED),
    ("already locked", Verdict.LOCKED),
    ("config file already exists", Verdict.REPOSITORY_EXISTS),
    ("already initialized", Verdict.REPOSITORY_EXISTS),
    ("is damaged", Verdict.DAMAGED),
    ("ciphertext verification failed", Verdict.DAMAGED),
    ("invalid data returned", Verdict.DAMAGED),
    ("permission denied", Verdict.NO_PERMISSION),
    ("is there a repository", Verdict.NO_REPOSITORY),
)
_SENTENCES = {
    Verdict.NO_REPOSITORY: "restic found no repository",
    Verdict.REPOSITORY_EXISTS: "the repository exists already",
    Verdict.LOCKED: "the repository is locked by another restic process, such as prune",
    Verdict.WRONG_PASSWORD: "the repository does not open with this password",
    Verdict.NO_SPACE: "there is no space left for the repository",
    Verdict.DAMAGED: "the repository is damaged, `restic check` tells more",
    Verdict.NO_PERMISSION: "the worker has no permission",
    Verdict.UNKNOWN: "restic failed",
}


def judge(exit_code: int, texts: Iterable[str]) -> Verdict:
    """Tell from the exit code, and where that is 1 (anything, before 0.17) from the texts, what became of a command."""
    if exit_code != 1:
        return _CODES.get(exit_code, Verdict.UNKNOWN)
    said = "\n".join(texts).lower()
    return next((verdict for text, verdict in _TEXTS if text in said), Verdict.UNKNOWN)


def explain(verdict: Verdict, exit_code: int, texts: Iterable[str]) -> str:
    """Say in a sentence why a command failed, with restic's own words behind it."""
    sentence = _SENTENCES[verdict]
    words = redact(" ".join(" ".join(text for text in texts if not _STACK_TRACE.match(text)).split()))[-_LONGEST_TEXT:]
    return f"{sentence} (exit code {exit_code}): {words}" if words else f"{sentence} (exit code {exit_code})"


def message(line: str) -> dict[str, Any] | None:
    """Read a line as one of restic's JSON messages; None when it is plain text, which restic mixes in."""
    try:
        read = json.loads(line)
    except ValueError:
        return None
    return read if isinstance(read, dict) else None


def complaint(read: dict[str, Any]) -> str:
    """Return the text of an `error` message, with the file that it is about."""
    error = read.get("error")
    text = error.get("message") if isinstance(error, dict) else error
    item = read.get("item")
    # 0.14 gives the details of an error from the system apart, and an empty text for others.
    if not isinstance(text, str) and isinstance(error, dict):
        text = " ".join(str(error[key]) for key in ("Op", "Path", "Err") if isinstance(error.get(key), str))
    words = redact(str(text or "could not be read"))
    return words if not item or str(item) in words else f"{item}: {words}"


def earlier_snapshot(lines: Iterable[str]) -> dict[str, Any] | None:
    """Return the first snapshot that `restic snapshots --json` lists."""
    for line in lines:
        try:
            snapshots = json.loads(line)
        except ValueError:
            continue
        if isinstance(snapshots, list) and snapshots and isinstance(snapshots[0], dict):
            return snapshots[0]
    return None


def report(snapshot_id: str, summary: dict[str, Any], warnings: list[str], remark: str) -> BackupReport:
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


def found(snapshot: dict[str, Any]) -> BackupReport:
    """Make the report of a snapshot that an earlier attempt left; restic keeps the counts with it from 0.17 on.

    Whether that attempt could read everything, only it knew: this is never plain success.
    """
    snapshot_id = str(snapshot["id"])[:_SHORT_ID]
    summary = snapshot.get("summary") or {}
    return BackupReport(
        outcome=Outcome.COMPLETED_WITH_WARNINGS,
        message=f"restic saved snapshot {snapshot_id} in an earlier attempt of this run, which was then lost",
        warnings=["whether the lost attempt could read all files is not known: the worker's log may tell"],
        snapshot_id=snapshot_id,
        files=summary.get("total_files_processed"),
        bytes_processed=summary.get("total_bytes_processed"),
        bytes_added=summary.get("data_added"),
    )
