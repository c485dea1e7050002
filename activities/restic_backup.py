"""Backups by restic: one snapshot per occurrence, however often it is tried."""

import asyncio
import math
import os
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities import restic_command, restic_location, restic_output, restic_repository, restic_sources, restic_worth
from activities.attempts import Attempt, Progress, attempt, kept
from activities.paths import PathLooks
from activities.restic_aftermath import Aftermath
from activities.restic_failures import failure, lasting, passing
from activities.restic_output import Verdict
from activities.restic_processes import StartedRestic, identify
from activities.restic_sources import Sources
from backup_scheduler.backups import BackupReport, BackupTask
from backup_scheduler.policies import Policies, ResticPolicy

TIME_TO_STOP: Final = restic_command.STOP_TIME + timedelta(seconds=30)
"""An attempt is ended so long before Temporal would give it up: restic may take STOP_TIME, the rest is spare."""

_PATIENCE: Final = timedelta(seconds=10)
"""How long restic may try again to reach a repository that it only reads; from 0.17 on it would for 15 minutes, but
Temporal owns retries. A backup under way is left its own: what it uploaded last would be lost."""

_LONGEST_READING: Final = timedelta(minutes=15)
"""For a list of snapshots, from a repository that neither answers nor fails."""


_LONGEST_CLEARING: Final = timedelta(seconds=20)
"""For the lock of a restic that was ended, from a repository that does not answer."""


class ResticBackup:
    """Backs up what restic policies name."""

    def __init__(self, policies: Policies, look: PathLooks | None = None) -> None:
        self._policies = policies
        self._look = look or PathLooks()

    @activity.defn
    async def restic_backup(self, task: BackupTask) -> BackupReport:
        """Back up the policy's paths into its repository, unless an earlier attempt has done so.

        Ends by itself before Temporal's limits, for an attempt and for all of them: Temporal would let the run go while
        restic still works, and the job's next run could begin beside it.
        """
        policy = self._policies.find(task.request.policy_name)
        if not isinstance(policy, ResticPolicy):
            raise lasting(f"the policy {task.request.policy_name!r} is not of type restic any more")
        info = activity.info()
        assert info.start_to_close_timeout  # noqa: S101  # the workflow sets it
        assert info.schedule_to_close_timeout  # noqa: S101  # the workflow sets it
        # Temporal's times, not the policy's, which may have changed since; and all by the server's clock.
        limit = info.start_to_close_timeout - TIME_TO_STOP
        left = info.scheduled_time + info.schedule_to_close_timeout - TIME_TO_STOP - info.started_time
        async with attempt(task, "looking for what is to be backed up") as this:
            try:
                async with asyncio.timeout(min(limit, left).total_seconds()):
                    return await _Run(policy, task, this, self._look, kept(StartedRestic)).run()
            except TimeoutError:
                late = f", of which {_hours(left)} were left when a worker took it" if left < limit else ""
                raise lasting(f"the backup did not end within its time limit of {_hours(limit)}{late}") from None


class _Run:
    def __init__(
        self,
        policy: ResticPolicy,
        task: BackupTask,
        this: Attempt,
        look: PathLooks,
        earlier: Sequence[StartedRestic],
    ) -> None:
        self._policy = policy
        self._look = look
        self._task = task
        self._this = this
        self._earlier = earlier
        """What earlier attempts started and did not account for."""
        self._host = policy.host or socket.gethostname()
        self._env = restic_command.environment(policy, dict(os.environ))
        self._started: StartedRestic | None = None
        self._warnings: list[str] = []
        self._summary: dict[str, Any] = {}

    async def run(self) -> BackupReport:
        self._this.keep(*self._earlier)
        sources = await restic_sources.look_at(self._policy, self._look)
        repository = restic_location.public(sources.repository)
        self._aftermath = Aftermath(
            self._read, restic_location.local(sources.repository), self._this.step, restic_command.STOP_TIME
        )
        doubts = await self._aftermath.settle(self._earlier)
        self._this.keep()
        report = await self._snapshot(sources, repository)
        report.repository = repository
        if activity.info().attempt > 1:
            doubts += await self._twins()
        return restic_worth.judged(report, self._policy, sources.empty, self._task, doubts)

    async def _snapshot(self, sources: Sources, repository: str) -> BackupReport:
        remark = ""
        while True:
            verdict, output, code = await self._restic(
                "looking for a snapshot of an earlier attempt", restic_command.snapshots_of(self._task)
            )
            if verdict is not Verdict.NO_REPOSITORY or remark:
                break
            if gone := restic_worth.gone(repository, self._task, code, output.texts):
                raise gone
            self._this.step("making the repository")
            await restic_repository.see_to(sources.repository, self._task.request.policy_name, self._init)
            remark = "; the repository was made on this first use"
        if verdict is not Verdict.DONE:
            raise failure(verdict, code, output.texts)
        if earlier := restic_output.snapshots(output.texts):
            return await self._found(earlier[0])
        return await self._back_up(sources.paths, remark)

    async def _found(self, snapshot: dict[str, Any]) -> BackupReport:
        report = restic_output.found(snapshot)
        if report.files is None:  # before 0.17
            sizes: list[int] = []

            def count(read: dict[str, Any]) -> None:
                if read.get("type") == "file":
                    sizes.append(int(read.get("size", 0)))

            verdict, output, code = await self._restic(
                "counting what an earlier attempt saved", ["ls", "--json", str(snapshot["id"])], count
            )
            if verdict is not Verdict.DONE:
                raise failure(verdict, code, output.texts)
            report.files, report.bytes_processed = len(sizes), sum(sizes)
        return report

    async def _back_up(self, paths: Sequence[str], remark: str) -> BackupReport:
        arguments = restic_command.backup_arguments(self._policy, self._task, self._host, paths)
        verdict, output, code = await self._restic("backing up", arguments, self._heed)
        if verdict not in (Verdict.DONE, Verdict.INCOMPLETE):
            raise failure(verdict, code, [*output.texts, *self._warnings])
        snapshot_id = self._summary.get("snapshot_id")
        if not snapshot_id:
            # The next attempt finds the snapshot by its tag.
            raise passing("restic did not name the snapshot that it made")
        if verdict is Verdict.INCOMPLETE and not self._warnings:
            self._warnings = output.texts[: restic_output.MOST_WARNINGS] or ["restic did not say what"]
        warnings = self._warnings if verdict is Verdict.INCOMPLETE else []
        return restic_output.report(snapshot_id, self._summary, warnings, remark)

    async def _restic(
        self, step: str, arguments: Sequence[str], heed: Callable[[dict[str, Any]], None] | None = None
    ) -> tuple[Verdict, restic_command.Output, int]:
        self._this.step(step)
        output = restic_command.Output(heed)
        locks, since = arguments[0] == "backup", datetime.now(UTC)

        def started(pid: int) -> None:
            if locks and (restic := identify(pid, since)):
                self._started = restic
                self._this.keep(restic)

        reads = arguments[0] in restic_command.READING
        patience = _LONGEST_READING.total_seconds() if reads else None
        try:
            async with asyncio.timeout(patience) as limit:
                if patience:
                    output.on_text = lambda text: _hurry(limit, text)
                exit_code = await restic_command.run(arguments, self._env, output, started)
        except TimeoutError:
            raise passing(restic_output.silence(output.texts)) from None
        except asyncio.CancelledError:
            self._this.step("stopped")
            if locks:  # one that was just being made stays behind also when restic ends by itself
                await restic_command.to_its_end(self._clear())
            raise
        if locks:
            await self._clear() if restic_output.was_killed(exit_code) else self._this.keep()
        return restic_output.judge(exit_code, output.texts), output, exit_code

    async def _init(self, arguments: Sequence[str]) -> tuple[Verdict, restic_command.Output, int]:
        return await self._restic("making the repository", arguments)

    async def _clear(self) -> None:
        """Remove the lock of the restic that was just ended; a next attempt tells of one that stays."""
        with suppress(TimeoutError, ApplicationError):  # a repository that does not answer any more
            async with asyncio.timeout(_LONGEST_CLEARING.total_seconds()):
                if self._started and not await self._aftermath.clear(self._started):
                    self._this.keep()

    async def _twins(self) -> list[str]:
        """Name the snapshots of this run where there are several: an earlier attempt went on without its worker."""
        _, output, _ = await self._restic(
            "looking for snapshots of other attempts", restic_command.snapshots_of(self._task)
        )
        return restic_output.twins(restic_output.snapshots(output.texts))

    async def _read(self, arguments: Sequence[str]) -> list[str]:
        verdict, output, _ = await self._restic(f"looking at {arguments[-1]}"[:40], arguments)
        return output.texts if verdict is Verdict.DONE else []

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


def _hurry(limit: asyncio.Timeout, text: str) -> None:
    """Shorten the time of a command that only tries again, and give it back to one that goes on."""
    if limit.expired():
        return
    now, end = asyncio.get_running_loop().time(), limit.when() or math.inf
    if restic_output.tries_again(text):
        limit.reschedule(min(end, now + _PATIENCE.total_seconds()))
    elif restic_output.goes_on(text):
        limit.reschedule(now + _LONGEST_READING.total_seconds())


def _hours(duration: timedelta) -> str:
    seconds = max(int(duration.total_seconds()), 0)
    return f"{seconds / 3600:.4g} h" if seconds >= 3600 else f"{seconds} s"
