"""The commands of restic in one attempt: each is a step, and none leaves a process or a lock behind."""

import asyncio
import math
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from temporalio.exceptions import ApplicationError

from activities.attempts import Attempt
from activities.restic import commands
from activities.restic.aftermath import Aftermath
from activities.restic.failures import transient
from activities.restic.messages import has_recovered, is_retrying, unreachable
from activities.restic.processes import StartedRestic, identify
from activities.restic.verdicts import Verdict, judge, was_killed

_PATIENCE: Final = timedelta(seconds=10)
"""Longest time for the retries of a restic that only reads. From 0.17 on it would retry for 15 minutes, but Temporal
owns retries. A backup under way keeps restic's own time, else its last uploads would be lost."""

_LONGEST_READING: Final = timedelta(minutes=15)
"""Time limit of a command that only reads, for a repository that neither answers nor fails."""

KNOWN_WITHIN: Final = timedelta(seconds=20)
"""Time in which Temporal has to learn of a restic that has just started. The next attempt, perhaps on another machine,
would know nothing of this restic and begin another one beside it, at the earliest after the heartbeat time-out and the
first wait (`HEARTBEAT_TIMEOUT` and `RESTIC_RETRIES` of workflows/engines.py)."""

_LONGEST_CLEARING: Final = timedelta(seconds=20)
"""Time limit for the removal of a lock, for a repository that does not answer."""


class Session:
    """Runs the commands of one attempt on one repository."""

    def __init__(self, env: dict[str, str], attempt: Attempt, folder: Path | None) -> None:
        self._env = env
        self._attempt = attempt
        self._started: StartedRestic | None = None
        self.aftermath = Aftermath(self.read_lines, folder, attempt.step, commands.STOP_TIME)

    async def read(
        self, step: str, arguments: Sequence[str], on_message: Callable[[dict[str, Any]], None] | None = None
    ) -> commands.Ended:
        """Run a command that only reads. Raises a transient failure when the repository does not answer."""
        self._attempt.step(step)
        return await self._run(arguments, commands.Output(on_message), limit=_LONGEST_READING)

    async def read_lines(self, arguments: Sequence[str]) -> list[str]:
        """Run a command that only reads; return its lines, none when it failed."""
        verdict, output, _ = await self.read(step_of(arguments), arguments)
        return output.texts if verdict is Verdict.DONE else []

    async def make(self, arguments: Sequence[str]) -> commands.Ended:
        """Run one of the commands that make a repository and check it."""
        step = "making the repository"
        if arguments[0] in commands.READ_ONLY:
            return await self.read(step, arguments)
        self._attempt.step(step)
        return await self._run(arguments, commands.Output())

    async def back_up(self, arguments: Sequence[str], on_message: Callable[[dict[str, Any]], None]) -> commands.Ended:
        """Run a backup, which locks the repository. Record its process for the next attempt, and clear its lock.

        It begins when Temporal has just said that this attempt counts, and ends when Temporal does not learn of it in
        time: an attempt that was given up, by a worker that does not know it yet, must not run beside the next one.
        Raises ApplicationError.
        """
        self._attempt.step("waiting for Temporal's word that this attempt counts")
        await self._attempt.confirm()
        self._attempt.step("backing up")
        since = datetime.now(UTC)
        telling: list[asyncio.Task[None]] = []
        try:
            async with asyncio.timeout(None) as unknown:

                def record(pid: int) -> None:
                    if restic := identify(pid, since):
                        self._started = restic
                        self._attempt.keep(restic)
                        unknown.reschedule(asyncio.get_running_loop().time() + KNOWN_WITHIN.total_seconds())
                        telling.append(asyncio.create_task(self._make_known(unknown)))

                ended = await self._run(arguments, commands.Output(on_message), on_start=record)
        except (asyncio.CancelledError, TimeoutError) as stopped:
            # Clear also when restic ended by itself: a lock that it was just making stays behind.
            await commands.to_its_end(self._clear())
            if isinstance(stopped, TimeoutError):
                raise transient("restic was ended: Temporal did not learn in time that it runs") from None
            raise
        finally:
            for task in telling:
                task.cancel()
        _, _, exit_code = ended
        await self._clear() if was_killed(exit_code) else self._attempt.keep()
        return ended

    async def _make_known(self, unknown: asyncio.Timeout) -> None:
        """Let Temporal learn of the restic that has started, and lift its time limit then."""
        until = None
        try:
            await self._attempt.confirm()
        except ApplicationError:  # given up
            until = asyncio.get_running_loop().time()
        if not unknown.expired():
            unknown.reschedule(until)

    async def _run(
        self,
        arguments: Sequence[str],
        output: commands.Output,
        *,
        on_start: Callable[[int], None] | None = None,
        limit: timedelta | None = None,
    ) -> commands.Ended:
        try:
            async with asyncio.timeout(limit.total_seconds() if limit else None) as timeout:
                if limit:
                    output.on_text = lambda text: _adjust(timeout, text)
                exit_code = await commands.run(arguments, self._env, output, on_start)
        except TimeoutError:
            raise transient(unreachable(output.texts)) from None
        except asyncio.CancelledError:
            self._attempt.step("stopped")
            raise
        return judge(exit_code, output.texts), output, exit_code

    async def _clear(self) -> None:
        """Remove the lock of the restic that was just ended. The next attempt reports a lock that stays."""
        with suppress(TimeoutError, ApplicationError):  # the repository does not answer any more
            async with asyncio.timeout(_LONGEST_CLEARING.total_seconds()):
                if self._started and not await self.aftermath.clear(self._started):
                    self._attempt.keep()


def step_of(arguments: Sequence[str]) -> str:
    """Return what people read while restic reads these."""
    return f"looking at {arguments[-1]}"[:40]


def _adjust(limit: asyncio.Timeout, text: str) -> None:
    """Shorten the time limit of a command that retries, and restore it when a retry succeeds."""
    if limit.expired():
        return
    now, end = asyncio.get_running_loop().time(), limit.when() or math.inf
    if is_retrying(text):
        limit.reschedule(min(end, now + _PATIENCE.total_seconds()))
    elif has_recovered(text):
        limit.reschedule(now + _LONGEST_READING.total_seconds())
