"""Backups by restic: one snapshot for each occurrence, after any number of attempts."""

import asyncio
import os
import socket
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any, Final

from temporalio import activity

from activities.attempts import Attempt, Tell, attempt, kept, tell
from activities.paths import PathProbe
from activities.restic import commands, locations, repositories, worth
from activities.restic.failures import failure, permanent, transient
from activities.restic.messages import (
    MOST_WARNINGS,
    duplicates_warning,
    error_text,
    parse_snapshots,
    progress_of,
    report_of_found,
    report_of_new,
)
from activities.restic.processes import StartedRestic
from activities.restic.session import Session
from activities.restic.sources import Sources, check
from activities.restic.verdicts import Verdict
from backup_scheduler.policies.file import Policies
from backup_scheduler.policies.restic import ResticPolicy
from backup_scheduler.runs.results import BackupReport
from backup_scheduler.runs.task import BackupTask

TIME_TO_STOP: Final = commands.STOP_TIME + timedelta(seconds=30)
"""Time between the end of an attempt and Temporal's own limit: STOP_TIME for restic, the rest is spare."""


def activities(policies: Policies) -> list[Callable[..., Any]]:
    """Make the activities of the engine for a worker."""
    probe = PathProbe()
    return [ResticBackup(policies, probe).restic_backup, repositories.RepositoryMaker(policies, probe).make_repository]


class ResticBackup:
    """Backs up the paths of restic policies."""

    def __init__(self, policies: Policies, probe: PathProbe | None = None, tell: Tell = tell) -> None:
        self._policies = policies
        self._probe = probe or PathProbe()
        self._tell = tell

    @activity.defn
    async def restic_backup(self, task: BackupTask) -> BackupReport:
        """Back up the policy's paths into its repository, unless an earlier attempt has done so.

        Ends by itself before Temporal's limits, for an attempt and for all of them: Temporal would end the run while
        restic still works, and the job's next run could begin beside it.
        """
        policy = self._policies.find(task.request.policy_name)
        if not isinstance(policy, ResticPolicy):
            raise permanent(f"the policy {task.request.policy_name!r} is not of type restic any more")
        info = activity.info()
        assert info.start_to_close_timeout  # noqa: S101  # the workflow sets it
        assert info.schedule_to_close_timeout  # noqa: S101  # the workflow sets it
        # Temporal's limits, because the policy may have changed since; all times by the server's clock.
        limit = info.start_to_close_timeout - TIME_TO_STOP
        left = info.scheduled_time + info.schedule_to_close_timeout - TIME_TO_STOP - info.started_time
        async with attempt(task, "looking for what is to be backed up", tell=self._tell) as current:
            try:
                async with asyncio.timeout(min(limit, left).total_seconds()):
                    return await self._back_up(policy, task, current, kept(StartedRestic))
            except TimeoutError:
                late = f", of which {_hours(left)} were left when a worker took it" if left < limit else ""
                raise permanent(f"the backup did not end within its time limit of {_hours(limit)}{late}") from None

    async def _back_up(
        self, policy: ResticPolicy, task: BackupTask, current: Attempt, earlier: Sequence[StartedRestic]
    ) -> BackupReport:
        """Clean up after `earlier`, the restic processes of earlier attempts, then find or make the snapshot."""
        current.keep(*earlier)
        sources = await check(policy, self._probe)
        env = commands.environment(policy, dict(os.environ))
        session = Session(env, current, locations.local_folder(sources.repository))
        warnings = await session.aftermath.settle(earlier)
        current.keep()
        occurrence = _Occurrence(policy, task, current, session, sources)
        report = await occurrence.snapshot()
        report.repository = occurrence.repository
        if activity.info().attempt > 1:
            warnings += await occurrence.duplicates()
        return worth.assess(report, policy, sources.empty, task, warnings)


class _Occurrence:
    """The snapshot of one occurrence in one repository."""

    def __init__(
        self, policy: ResticPolicy, task: BackupTask, current: Attempt, session: Session, sources: Sources
    ) -> None:
        self._policy = policy
        self._task = task
        self._attempt = current
        self._session = session
        self._sources = sources
        self._host = policy.host or socket.gethostname()
        self._warnings: list[str] = []
        self._summary: dict[str, Any] = {}
        self.repository = locations.without_credentials(sources.repository)
        """Location of the repository, without credentials."""

    async def snapshot(self) -> BackupReport:
        """Find the snapshot of an earlier attempt, or make one. Make a missing repository first."""
        step, command = "looking for a snapshot of an earlier attempt", commands.snapshots_of(self._task)
        remark = ""
        verdict, output, code = await self._session.read(step, command)
        if verdict is Verdict.NO_REPOSITORY:
            if failed := worth.missing_repository(self.repository, self._task, code, output.texts):
                raise failed
            self._attempt.step("making the repository")
            await repositories.ensure(self._sources.repository, self._task.request.policy_name, self._session.make)
            remark = "; the repository was made on this first use"
            verdict, output, code = await self._session.read(step, command)
        if verdict is not Verdict.DONE:
            raise failure(verdict, code, output.texts)
        if earlier := parse_snapshots(output.texts):
            return await self._found(earlier[0])
        return await self._made(remark)

    async def duplicates(self) -> list[str]:
        """Warn when this run has several snapshots: an earlier attempt went on without its worker."""
        _, output, _ = await self._session.read(
            "looking for snapshots of other attempts", commands.snapshots_of(self._task)
        )
        return duplicates_warning(parse_snapshots(output.texts))

    async def _found(self, snapshot: dict[str, Any]) -> BackupReport:
        report = report_of_found(snapshot)
        if report.files is None:  # a snapshot by restic before 0.17
            sizes: list[int] = []

            def count(entry: dict[str, Any]) -> None:
                if entry.get("type") == "file":
                    sizes.append(int(entry.get("size", 0)))

            verdict, output, code = await self._session.read(
                "counting what an earlier attempt saved", ["ls", "--json", str(snapshot["id"])], count
            )
            if verdict is not Verdict.DONE:
                raise failure(verdict, code, output.texts)
            report.files, report.bytes_processed = len(sizes), sum(sizes)
        return report

    async def _made(self, remark: str) -> BackupReport:
        arguments = commands.backup_arguments(self._policy, self._task, self._host, self._sources.paths)
        verdict, output, code = await self._session.back_up(arguments, self._on_message)
        if verdict not in (Verdict.DONE, Verdict.INCOMPLETE):
            raise failure(verdict, code, [*output.texts, *self._warnings])
        snapshot_id = self._summary.get("snapshot_id")
        if not snapshot_id:
            # Transient, because the next attempt finds the snapshot by its tag.
            raise transient("restic did not name the snapshot that it made")
        if verdict is Verdict.INCOMPLETE and not self._warnings:
            self._warnings = output.texts[:MOST_WARNINGS] or ["restic did not say what"]
        warnings = self._warnings if verdict is Verdict.INCOMPLETE else []
        return report_of_new(snapshot_id, self._summary, warnings, remark)

    def _on_message(self, message: dict[str, Any]) -> None:
        match message.get("message_type"):
            case "status":
                self._attempt.progress = progress_of(message)
            case "summary":
                self._summary = message
            case "error" if len(self._warnings) < MOST_WARNINGS:
                self._warnings.append(error_text(message))


def _hours(duration: timedelta) -> str:
    seconds = max(int(duration.total_seconds()), 0)
    return f"{seconds / 3600:.4g} h" if seconds >= 3600 else f"{seconds} s"
