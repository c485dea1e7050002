"""The commands of restic in one attempt: each is a step, and none leaves a process or a lock behind."""

import asyncio
import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from temporalio.exceptions import ApplicationError

from activities.attempts import Attempt
from activities.restic import commands
from activities.restic.aftermath import Aftermath
from activities.restic.failures import passing
from activities.restic.messages import goes_on, silence, tries_again
from activities.restic.processes import StartedRestic, identify
from activities.restic.verdicts import Verdict, judge, was_killed

_PATIENCE: Final = timedelta(seconds=10)
"""Time in which restic may try again to reach a repository that it only reads; from 0.17 on it would try for 15
minutes, but Temporal owns retries. A backup under way keeps its own time: its last uploads would be lost."""

_LONGEST_READING: Final = timedelta(minutes=15)
"""For a list of snapshots, from a repository that neither answers nor fails."""

_LONGEST_CLEARING: Final = timedelta(seconds=20)
"""For the lock of a restic that was ended, from a repository that does not answer."""

Ended = tuple[Verdict, commands.Output, int]
"""A command that has ended: the verdict, the output and the exit code."""


class Session:
    """Runs the commands of one attempt on one repository."""

    def __init__(self, env: Mapping[str, str], attempt: Attempt, folder: Path | None) -> None:
        self._env = dict(env)
        self._attempt = attempt
        self._started: StartedRestic | None = None
        self.aftermath = Aftermath(self.read, folder, attempt.step, commands.STOP_TIME)

    async def read(self, arguments: Sequence[str]) -> list[str]:
        """Run a command that only reads; return its lines, none when it failed."""
        verdict, output, _ = await self.look(f"looking at {arguments[-1]}"[:40], arguments)
        return output.texts if verdict is Verdict.DONE else []

    async def init(self, arguments: Sequence[str]) -> Ended:
        """Run a command of those that make a repository."""
        if arguments[0] in commands.READING:
            return await self.look("making the repository", arguments)
        self._attempt.step("making the repository")
        output = commands.Output()
        exit_code = await self._until_end(arguments, output)
        return judge(exit_code, output.texts), output, exit_code

    async def look(
        self, step: str, arguments: Sequence[str], heed: Callable[[dict[str, Any]], None] | None = None
    ) -> Ended:
        """Run a command that only reads; raises a passing failure when the repository does not answer."""
        self._attempt.step(step)
        output = commands.Output(heed)
        try:
            async with asyncio.timeout(_LONGEST_READING.total_seconds()) as limit:
                output.on_text = lambda text: _hurry(limit, text)
                exit_code = await self._until_end(arguments, output)
        except TimeoutError:
            raise passing(silence(output.texts)) from None
        return judge(exit_code, output.texts), output, exit_code

    async def back_up(self, arguments: Sequence[str], heed: Callable[[dict[str, Any]], None]) -> Ended:
        """Run a backup, which locks the repository: the next attempt knows its process, and its lock is cleared."""
        self._attempt.step("backing up")
        output = commands.Output(heed)
        since = datetime.now(UTC)

        def record(pid: int) -> None:
            if restic := identify(pid, since):
                self._started = restic
                self._attempt.keep(restic)

        try:
            exit_code = await self._until_end(arguments, output, record)
        except asyncio.CancelledError:
            # A lock that was just being made stays behind also when restic ends by itself.
            await commands.to_its_end(self._clear())
            raise
        await self._clear() if was_killed(exit_code) else self._attempt.keep()
        return judge(exit_code, output.texts), output, exit_code

    async def _until_end(
        self, arguments: Sequence[str], output: commands.Output, on_start: Callable[[int], None] | None = None
    ) -> int:
        try:
            return await commands.run(arguments, self._env, output, on_start)
        except asyncio.CancelledError:
            self._attempt.step("stopped")
            raise

    async def _clear(self) -> None:
        """Remove the lock of the restic that was just ended; a next attempt names a lock that stays."""
        with suppress(TimeoutError, ApplicationError):  # a repository that does not answer any more
            async with asyncio.timeout(_LONGEST_CLEARING.total_seconds()):
                if self._started and not await self.aftermath.clear(self._started):
                    self._attempt.keep()


def _hurry(limit: asyncio.Timeout, text: str) -> None:
    """Shorten the time of a command that only tries again, and give it back to one that goes on."""
    if limit.expired():
        return
    now, end = asyncio.get_running_loop().time(), limit.when() or math.inf
    if tries_again(text):
        limit.reschedule(min(end, now + _PATIENCE.total_seconds()))
    elif goes_on(text):
        limit.reschedule(now + _LONGEST_READING.total_seconds())
