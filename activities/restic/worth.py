"""Pure functions that tell whether a snapshot is a real backup, also compared with the run before."""

import re

from temporalio.exceptions import ApplicationError

from activities.restic.failures import failure, permanent
from activities.restic.messages import COMPLETENESS_UNKNOWN, MOST_WARNINGS
from activities.restic.verdicts import Verdict
from backup_scheduler.policies.restic import ResticPolicy
from backup_scheduler.runs.results import BackupReport, Outcome
from backup_scheduler.runs.task import BackupTask

_NOT_THERE = re.compile(r"does not exist|no such file|not found|\b404\b", re.IGNORECASE)
"""Texts that show a missing repository; restic 0.14 reports every one that it cannot open as perhaps missing."""


def missing_repository(repository: str, task: BackupTask, exit_code: int, texts: list[str]) -> ApplicationError | None:
    """Return the failure when the job's last snapshot is in the missing repository; None when one may be made."""
    previous = task.previous
    if previous is None or previous.snapshot_id is None:
        return None
    # Older releases did not record the repository of a snapshot.
    same = previous.repository == repository or (
        previous.repository is None and previous.policy_name == task.request.policy_name
    )
    if not same:
        return None
    if not any(_NOT_THERE.search(text) for text in texts):
        return failure(Verdict.UNKNOWN, exit_code, texts)
    return permanent(
        f"the repository at {repository} is gone, which has this job's snapshot {previous.snapshot_id}: a disk that is "
        "not mounted? (`restic init` makes a new one there, if that is wanted)"
    )


def assess(
    report: BackupReport, policy: ResticPolicy, empty: list[str], task: BackupTask, warnings: list[str]
) -> BackupReport:
    """Return the report of a snapshot with its own warnings, `warnings`, and those about its worth.

    Raises ApplicationError when the snapshot holds no file. `empty` names the policy's paths that hold no file.
    """
    if not report.files:
        _refuse_if_worthless(report, policy)
    warnings = [*warnings, *(f"{path} holds no file: a disk that is not mounted?" for path in empty)]
    if shrunk := _shrunk(report, policy.shrink_warning, task):
        warnings.append(shrunk)
    if not warnings:
        return report
    return report.model_copy(
        update={
            "outcome": Outcome.COMPLETED_WITH_WARNINGS,
            "message": "; ".join([report.message, *warnings]),
            "warnings": [*warnings, *report.warnings][:MOST_WARNINGS],
        }
    )


def _refuse_if_worthless(report: BackupReport, policy: ResticPolicy) -> None:
    snapshot = f"snapshot {report.snapshot_id} holds no file"
    if complaints := [warning for warning in report.warnings if warning != COMPLETENESS_UNKNOWN]:
        raise permanent(f"nothing could be saved, {snapshot}: {complaints[0]}")
    if not policy.allow_empty:
        raise permanent(
            f"nothing was saved, {snapshot}: a disk that is not mounted, or are all files excluded? "
            "(allow_empty = true in the policy says that this may be)"
        )


def _shrunk(report: BackupReport, part: float, task: BackupTask) -> str | None:
    previous = task.previous
    if previous is None or previous.policy_name != task.request.policy_name:
        return None
    counts = (("files", report.files, previous.files), ("bytes", report.bytes_processed, previous.bytes_processed))
    less = [
        f"{now:,} {unit} instead of {before:,}"
        for unit, now, before in counts
        if now is not None and before is not None and now < before * part
    ]
    return f"much less than in the run before: {' and '.join(less)}" if less else None
