"""The command lines of restic, and the process that runs one: it ends soon after its worker."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

from activities.restic.messages import exit_error_text, parse_message
from activities.restic.verdicts import Verdict
from backup_scheduler.policies.restic import ResticPolicy
from backup_scheduler.runs.task import BackupTask

STOP_TIME = timedelta(seconds=60)
"""Longest time for restic to end after SIGINT: it finishes its uploads and removes its lock (13 s measured)."""

READ_ONLY = ("snapshots", "ls", "list", "cat")
"""Commands that write nothing, so they can be ended and repeated at any time. They run without a lock: none stays
behind, and they can read a repository that another restic has locked."""

_MINDER = Path(__file__).with_name("minder.py")
_LONGEST_LINE = 64 * 1024 * 1024
_LAST_OUTPUT = 5
"""Seconds for the rest of the output: a process that a password_command left may hold the pipes open for ever."""
_MOST_TEXTS = 50
_OURS = ("RESTIC_REPOSITORY", "RESTIC_PASSWORD")
_FOREIGN_SECRETS = ("SCHEDULER_", "TEMPORAL_", "AMQP_URI")


def environment(policy: ResticPolicy, inherited: dict[str, str]) -> dict[str, str]:
    """Return restic's environment: the worker's (keys for S3 and the like), and the places of the policy's secrets."""
    own = {
        "RESTIC_REPOSITORY": policy.repository,
        "RESTIC_REPOSITORY_FILE": policy.repository_file,
        "RESTIC_PASSWORD_FILE": policy.password_file,
        "RESTIC_PASSWORD_COMMAND": policy.password_command,
        "RESTIC_CACHE_DIR": policy.cache_dir,
        "RESTIC_PROGRESS_FPS": 1,
    }
    kept = {name: value for name, value in inherited.items() if not name.startswith((*_OURS, *_FOREIGN_SECRETS))}
    return kept | {name: str(value) for name, value in own.items() if value is not None}


def run_tag(occurrence: str) -> str:
    """Return the tag of the snapshot of an occurrence, URL-encoded because restic splits tags at commas."""
    return f"run={quote(occurrence, safe='')}"


def snapshots_of(task: BackupTask) -> list[str]:
    """Return the command line that lists the snapshots of an occurrence."""
    return ["snapshots", "--json", f"--tag={run_tag(task.occurrence)}"]


def backup_arguments(policy: ResticPolicy, task: BackupTask, host: str, paths: Sequence[str]) -> list[str]:
    """Return the command line of a backup of these paths; it holds no secret."""
    tags = [
        run_tag(task.occurrence),
        f"job={quote(task.request.scheduler_id, safe='')}",
        f"policy={quote(task.request.policy_name, safe='')}",
    ]
    return [
        "backup",
        "--json",
        f"--host={host}",
        *(f"--tag={tag}" for tag in tags),
        *(f"--exclude={pattern}" for pattern in policy.exclude),
        "--",
        *paths,
    ]


class Output:
    """Output of restic: JSON messages go to `on_message`, lines of plain text are kept."""

    def __init__(self, on_message: Callable[[dict[str, Any]], None] | None = None) -> None:
        self.texts: list[str] = []
        """The last 50 lines of plain text, from both streams."""
        self.on_text: Callable[[str], None] | None = None
        """Called with each plain text."""
        self._on_message = on_message

    async def read(self, stream: asyncio.StreamReader) -> None:
        """Read a stream to its end."""
        async for line in stream:
            raw = line.decode(errors="replace").strip()
            message = parse_message(raw)
            text = exit_error_text(message)
            if text is None and message is not None and self._on_message:
                self._on_message(message)
            elif text := text or raw:
                lines = [line.strip() for line in text.splitlines()]  # a message may hold a stack trace
                self.texts = [*self.texts, *lines][-_MOST_TEXTS:]
                if self.on_text:
                    self.on_text(text)


Ended = tuple[Verdict, Output, int]
"""A command that has ended: the verdict, the output and the exit code."""


async def run(
    arguments: Sequence[str], env: dict[str, str], output: Output, on_start: Callable[[int], None] | None = None
) -> int:
    """Run restic. Return its exit code, or 128 plus the signal that ended it; `on_start` gets its process id.

    When cancelled, end restic with SIGINT, on which it removes its lock, and after STOP_TIME with SIGKILL. Only then
    raise CancelledError: nothing is running any more. When the worker is killed, the minder ends restic the same way.
    """
    no_lock = ["--no-lock"] if arguments[0] in READ_ONLY else []
    with _lifeline() as lifeline:
        async with _pipe() as (stdout, stdout_end), _pipe() as (stderr, stderr_end), _pipe() as (pid, pid_end):
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-I", "-S", str(_MINDER), str(lifeline), str(pid_end.write)),
                *(str(STOP_TIME.total_seconds()), "restic", *no_lock, *arguments),
                env=env,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=stdout_end.write,
                stderr=stderr_end.write,
                # restic holds both ends: a pipe without a reader would kill it before it removed its lock.
                pass_fds=(stdout_end.read, stderr_end.read, lifeline, pid_end.write),
                start_new_session=True,  # a Ctrl-C in the worker's terminal is not for restic
            )
            for end in (stdout_end, stderr_end, pid_end):
                end.close_write()
            reading = [asyncio.create_task(output.read(stdout)), asyncio.create_task(output.read(stderr))]
            try:
                if (digits := await pid.read()) and on_start:
                    on_start(int(digits))
                exit_code = await process.wait()
                await asyncio.wait(reading, timeout=_LAST_OUTPUT)
            except BaseException:  # after any error, nothing is left running
                await to_its_end(_stop(process))
                raise
            finally:
                for task in reading:
                    task.cancel()
                await asyncio.wait(reading)
            return exit_code


async def to_its_end(work: Coroutine[Any, Any, None]) -> None:
    """Await work that has to end even though this task is being cancelled."""
    working = asyncio.create_task(work)
    while not working.done():
        try:
            await asyncio.shield(working)
        except asyncio.CancelledError:  # a second one, such as a worker that stops while the run is being cancelled
            continue


async def _stop(process: asyncio.subprocess.Process) -> None:
    for signum in (signal.SIGINT, signal.SIGKILL):
        if process.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signum)
            try:
                await asyncio.wait_for(process.wait(), STOP_TIME.total_seconds())
            except TimeoutError:
                continue


@contextmanager
def _lifeline() -> Iterator[int]:
    """Make a pipe that breaks when this process ends; yield the end that the minder watches."""
    broken, held = os.pipe()
    try:
        yield broken
    finally:
        os.close(broken)
        os.close(held)


class _PipeEnds:
    def __init__(self) -> None:
        self.read, self.write = os.pipe()
        self._write_open = True

    def close_write(self) -> None:
        if self._write_open:
            self._write_open = False
            os.close(self.write)


@asynccontextmanager
async def _pipe() -> AsyncIterator[tuple[asyncio.StreamReader, _PipeEnds]]:
    ends = _PipeEnds()
    reader = asyncio.StreamReader(limit=_LONGEST_LINE)
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(ends.read, "rb", buffering=0)
    )
    try:
        yield reader, ends
    finally:
        ends.close_write()
        transport.close()
