"""Backups by restic: one snapshot per occurrence, however often it is tried."""

import asyncio
import os
import re
import socket
from collections.abc import Sequence
from contextlib import nullcontext
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities import restic_command, restic_output
from activities.attempts import Attempt, Progress, attempt
from activities.restic_output import Verdict
from backup_scheduler.backups import BackupReport, BackupTask
from backup_scheduler.policies import Policies, ResticPolicy

TIME_TO_STOP: Final = restic_command.STOP_TIME + timedelta(seconds=30)
"""An attempt is ended so long before Temporal would give it up: restic may take STOP_TIME, the rest is spare."""

_REMOTE = re.compile(r"(?!local:)[a-z0-9]+:")


class ResticBackup:
    """Backs up what restic policies name."""

    def __init__(self, policies: Policies) -> None:
        self._policies = policies

    @activity.defn
    async def restic_backup(self, task: BackupTask) -> BackupReport:
        """Back up the policy's paths into its repository, unless an earlier attempt has done so.

        Ends by itself before Temporal's limits, for an attempt and for all of them: Temporal would let the run go while
        restic still works, and the job's next run could begin beside it.
        """
        policy = self._policies.find(task.request.policy_name)
        if not isinstance(policy, ResticPolicy):
            raise _lasting(f"the policy {task.request.policy_name!r} is not of type restic any more")
        info = activity.info()
        assert info.start_to_close_timeout  # noqa: S101  # the workflow sets it
        assert info.schedule_to_close_timeout  # noqa: S101  # the workflow sets it
        # Temporal's times, not the policy's, which may have changed since; and all by the server's clock.
        limit = info.start_to_close_timeout - TIME_TO_STOP
        left = info.scheduled_time + info.schedule_to_close_timeout - TIME_TO_STOP - info.started_time
        async with attempt(task, "looking for what is to be backed up") as this:
            try:
                async with asyncio.timeout(min(limit, left).total_seconds()):
                    return await _Run(policy, task, this).run(again=info.attempt > 1)
            except TimeoutError:
                late = f", of which {_hours(left)} were left when a worker took it" if left < limit else ""
                raise _lasting(f"the backup did not end within its time limit of {_hours(limit)}{late}") from None


class _Run:
    def __init__(self, policy: ResticPolicy, task: BackupTask, this: Attempt) -> None:
        self._policy = policy
        self._task = task
        self._this = this
        self._host = policy.host or socket.gethostname()
        self._env = restic_command.environment(policy, dict(os.environ))
        self._warnings: list[str] = []
        self._summary: dict[str, Any] = {}

    async def run(self, *, again: bool) -> BackupReport:
        # In a thread, because a network file system that hangs must not stop the heartbeats of other backups.
        if obstacle := await asyncio.to_thread(_obstacle, self._policy):
            raise _lasting(obstacle)
        if again:
            # An attempt that was killed may have left its lock; of a live process, unlock leaves it alone.
            await self._restic("removing a stale lock", restic_command.UNLOCK)
        remark = ""
        while True:
            tag = restic_command.run_tag(self._task.occurrence)
            verdict, output, code = await self._restic(
                "looking for a snapshot of an earlier attempt", ["snapshots", "--json", f"--tag={tag}"]
            )
            if verdict is not Verdict.NO_REPOSITORY or remark:
                break
            await self._make_repository()
            remark = "; the repository was made on this first use"
        if verdict is not Verdict.DONE:
            raise _failure(verdict, code, output.texts)
        if earlier := restic_output.earlier_snapshot(output.texts):
            return restic_output.found(earlier)
        return await self._back_up(remark)

    async def _make_repository(self) -> None:
        try:
            folder = _local_repository(self._policy)
            async with restic_command.alone_in(folder) if folder else nullcontext():
                if folder and not await asyncio.to_thread(restic_command.clear_for_repository, folder):
                    raise _lasting(f"the repository is damaged: {folder} holds data but no config file")
                verdict, output, code = await self._restic("making the repository", ["init"])
        except OSError as error:
            raise _lasting(f"the repository cannot be made: {error.filename}: {error.strerror}") from None
        if verdict not in (Verdict.DONE, Verdict.REPOSITORY_EXISTS):  # another worker may have made it meanwhile
            raise _failure(verdict, code, output.texts)

    async def _back_up(self, remark: str) -> BackupReport:
        arguments = restic_command.backup_arguments(self._policy, self._task, self._host)
        verdict, output, code = await self._restic("backing up", arguments, listen=True)
        if verdict not in (Verdict.DONE, Verdict.INCOMPLETE):
            raise _failure(verdict, code, [*output.texts, *self._warnings])
        snapshot_id = self._summary.get("snapshot_id")
        if not snapshot_id:
            # The next attempt finds the snapshot by its tag.
            raise ApplicationError("restic did not name the snapshot that it made", type="ResticFailed")
        if verdict is Verdict.INCOMPLETE and not self._warnings:
            self._warnings = output.texts[: restic_output.MOST_WARNINGS] or ["restic did not say what"]
        warnings = self._warnings if verdict is Verdict.INCOMPLETE else []
        return restic_output.report(snapshot_id, self._summary, warnings, remark)

    async def _restic(
        self, step: str, arguments: Sequence[str], *, listen: bool = False
    ) -> tuple[Verdict, restic_command.Output, int]:
        self._this.step(step)
        output = restic_command.Output(self._heed if listen else None)
        try:
            exit_code = await restic_command.run(arguments, self._env, output)
        except asyncio.CancelledError:
            self._this.step("stopped")
            raise
        return restic_output.judge(exit_code, output.texts), output, exit_code

    def _heed(self, read: dict[str, Any]) -> None:
        match read.get("message_type"):
            case "status":
                self._this.progress = Progress(
                    step="backing up",
                    percent=round(100 * read.get("percent_done", 0), 1),
                    files_done=read.get("files_done", 0),
                    files_total=read.get("total_files", 0),
                    bytes_done=read.get("bytes_done", 0),
                    bytes_total=read.get("total_bytes", 0),
                )
            case "summary":
                self._summary = read
            case "error" if len(self._warnings) < restic_output.MOST_WARNINGS:
                self._warnings.append(restic_output.complaint(read))


def _obstacle(policy: ResticPolicy) -> str | None:
    """Say what keeps restic from working; 0.14 itself would skip a path that does not exist and call it success."""
    if not restic_command.installed():
        return "restic is not installed on the worker's machine"
    if missing := [str(path) for path in policy.paths if not os.path.lexists(path)]:
        return f"not on the worker's machine: {', '.join(missing)}"
    for secret in (policy.repository_file, policy.password_file):
        if secret is not None and not os.access(secret, os.R_OK):
            return f"the worker cannot read {secret}"
    return None


def _local_repository(policy: ResticPolicy) -> Path | None:
    location = policy.repository
    if location is None and policy.repository_file:
        location = policy.repository_file.read_text(encoding="utf-8").strip()
    return Path(location.removeprefix("local:")) if location and not _REMOTE.match(location) else None


def _hours(duration: timedelta) -> str:
    seconds = max(int(duration.total_seconds()), 0)
    return f"{seconds / 3600:.4g} h" if seconds >= 3600 else f"{seconds} s"


def _failure(verdict: Verdict, exit_code: int, texts: list[str]) -> ApplicationError:
    return ApplicationError(
        restic_output.explain(verdict, exit_code, texts), type="ResticFailed", non_retryable=verdict.lasting
    )


def _lasting(sentence: str) -> ApplicationError:
    return ApplicationError(sentence, type="ResticFailed", non_retryable=True)
