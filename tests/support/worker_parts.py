"""What tests of the worker put together: requests, workers, restic repositories, a backup service."""

import asyncio
import os
import shutil
import sys
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from temporalio.client import Client, WorkflowHandle
from temporalio.testing import ActivityEnvironment
from temporalio.worker import Worker
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

import workflows.engines
from activities.restic.backup import TIME_TO_STOP
from backup_scheduler.jobs import names
from backup_scheduler.jobs.request import BackupRequest
from backup_scheduler.policies.file import Policies
from backup_scheduler.policies.http import HttpPolicy, HttpTarget
from backup_scheduler.policies.restic import ResticPolicy
from backup_scheduler.runs.results import BackupResult
from backup_scheduler.runs.task import BackupTask
from backup_scheduler.settings import Settings
from worker import build_worker


def binary(name: str) -> str:
    """Find a program of the virtual environment or the machine; a missing one is an error, not a reason to skip."""
    found = shutil.which(name, path=str(Path(sys.prefix) / "bin")) or shutil.which(name)
    assert found, f"{name} is not installed"
    return found


def a_request(**changes: Any) -> BackupRequest:
    terms: dict[str, Any] = {
        "scheduler_id": "job-1",
        "policy_name": "nightly",
        "days": 1,
        "start_time": "02:00",
        "duration": 1,
        "misfire_grace_time": 3600,
        "timezone": "UTC",
        "anchor": date(2026, 1, 1),
    }
    return BackupRequest(**(terms | changes))


@dataclass
class Runs:
    """Starts runs on a worker of its own."""

    client: Client
    task_queue: str

    async def start(self, request: BackupRequest, **options: Any) -> WorkflowHandle[Any, BackupResult]:
        options.setdefault("id", f"backup-{uuid.uuid4()}")
        return await self.client.start_workflow(
            names.BACKUP_WORKFLOW, request, task_queue=self.task_queue, result_type=BackupResult, **options
        )


@asynccontextmanager
async def worker_with(
    client: Client,
    listed: Mapping[str, HttpPolicy | ResticPolicy] | None = None,
    fallback: HttpTarget | None = None,
    **settings: Any,
) -> AsyncIterator[Runs]:
    """Run a worker that knows these policies, on a task queue of its own."""
    settings.setdefault("shutdown_grace", 0)
    settings.setdefault("task_queue", f"queue-{uuid.uuid4()}")
    built = build_worker(client, Settings(**settings), Policies(listed, fallback))
    async with built:
        yield Runs(client, built.task_queue)


@contextmanager
def seconds(**times: float) -> Iterator[None]:
    """Let workers that are built meanwhile run BackupWorkflow with other times than its own, which are minutes.

    Temporal's time-skipping server does not skip while an activity waits for a worker.
    """
    # Else each run would have a copy of the module, with the times as they stand in it.
    restrictions = SandboxRestrictions.default.with_passthrough_modules("workflows.engines")
    built = partial(Worker, workflow_runner=SandboxedWorkflowRunner(restrictions=restrictions))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("worker.Worker", built)
        for name, time in times.items():
            patch.setattr(workflows.engines, name, timedelta(seconds=time))
        yield


@asynccontextmanager
async def busy(runs: Runs, target: "Target") -> AsyncIterator[asyncio.Event]:
    """Take the only place of a worker with max_backups=1 for a run of the policy `long`, until the event is set."""
    taken, free = asyncio.Event(), asyncio.Event()

    async def hang(_: web.Request) -> web.StreamResponse:
        taken.set()
        await free.wait()
        return web.Response()

    target.answers.insert(0, hang)
    handle = await runs.start(a_request(policy_name="long"))
    await taken.wait()
    yield free
    free.set()
    await handle.result()


async def eventually(fact: Callable[[], Awaitable[Any]], patience: float = 60) -> Any:
    """Wait until a fact holds and return it."""
    async with asyncio.timeout(patience):
        while not (found := await fact()):  # the fact is another process's
            await asyncio.sleep(0.05)
        return found


def attempt_of(number: int = 1, client: Client | None = None, task_queue: str = "none") -> ActivityEnvironment:
    """An activity's surroundings: it was scheduled and taken just now, and has 100 s to back up."""
    environment = ActivityEnvironment(client=client)
    now, limit = datetime.now(UTC), timedelta(seconds=100) + TIME_TO_STOP
    environment.info = replace(
        environment.info,
        attempt=number,
        task_queue=task_queue,
        scheduled_time=now,
        started_time=now,
        start_to_close_timeout=limit,
        schedule_to_close_timeout=limit,
    )
    return environment


def a_task(occurrence: str = "backup-job-1-2026-01-01T02:00:00Z", **changes: Any) -> BackupTask:
    return BackupTask(request=a_request(**changes), occurrence=occurrence)


@dataclass
class Restic:
    """A restic repository that does not exist yet, and a folder to back up."""

    folder: Path
    source: Path = field(init=False)
    repository: Path = field(init=False)
    password_file: Path = field(init=False)

    def __post_init__(self) -> None:
        self.source, self.repository = self.folder / "source", self.folder / "repository"
        self.password_file = self.folder / "password"
        self.source.mkdir()
        (self.source / "one.txt").write_text("one")
        (self.source / "two.txt").write_text("twotwo")
        self.password_file.write_text("correct horse")

    def policy(self, **changes: Any) -> ResticPolicy:
        terms = {
            "type": "restic",
            "paths": [self.source],
            "repository": str(self.repository),
            "password_file": self.password_file,
            "cache_dir": self.folder / "cache",
        }
        return ResticPolicy(**(terms | changes))

    async def __call__(self, *arguments: str) -> str:
        """Run restic on this repository and return what it prints."""
        process = await asyncio.create_subprocess_exec(
            "restic",
            *("--repo", str(self.repository), "--password-file", str(self.password_file)),
            *("--cache-dir", str(self.folder / "cache"), *arguments),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        output, _ = await process.communicate()
        assert process.returncode == 0, output.decode()
        return output.decode()

    def locks(self) -> list[Path]:
        # A file that restic is still writing is not a lock yet.
        return [path for path in (self.repository / "locks").iterdir() if "-tmp-" not in path.name]

    @asynccontextmanager
    async def locked_by_another(self) -> AsyncIterator[asyncio.subprocess.Process]:
        """Let another restic hold a lock that keeps all others out, for minutes, until it is killed."""
        (self.folder / "more.bin").write_bytes(os.urandom(3_000_000))
        await self("backup", str(self.folder / "more.bin"))
        process = await asyncio.create_subprocess_exec(
            *("restic", "--repo", str(self.repository), "--password-file", str(self.password_file)),
            *("--limit-download", "20", "check", "--read-data"),  # KiB/s: it reads for two minutes and a half
            stdout=asyncio.subprocess.DEVNULL,
        )

        async def locked() -> bool:
            return bool(self.locks())

        try:
            await eventually(locked)
            yield process
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()

    def fill(self, megabytes: int) -> None:
        """Make the backup bigger."""
        for number in range(megabytes):
            (self.source / f"{number}.bin").write_bytes(os.urandom(1_000_000))

    def slow_path(self) -> str:
        """Return a PATH on which restic uploads 4 MB a second: a wrapper, as there is no variable for that."""
        return self.path_with('#!/bin/sh\nPATH="${PATH#*:}" exec restic --limit-upload 4000 --pack-size 4 "$@"\n')

    def path_with(self, script: str) -> str:
        """Return a PATH on which this script is restic; the rest of it, behind the first colon, has the real one."""
        wrapper = self.folder / "bin" / "restic"
        wrapper.parent.mkdir()
        wrapper.write_text(script)
        wrapper.chmod(0o755)
        return f"{wrapper.parent}{os.pathsep}{os.environ['PATH']}"


@dataclass
class Received:
    method: str
    path: str
    headers: dict[str, str]
    form: list[tuple[str, str]]


Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class Target:
    """A backup service whose answers a test decides, one after the other; the last one stays."""

    url: str = ""
    answers: list[Answer] = field(default_factory=list)
    received: list[Received] = field(default_factory=list)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        form = [(name, str(value)) for name, value in (await request.post()).items()]
        self.received.append(Received(request.method, request.path, dict(request.headers), form))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return await answer(request)

    def policy(self, **changes: Any) -> HttpPolicy:
        return HttpPolicy(**({"type": "http", "url": f"{self.url}/start"} | changes))


def answering(status: int = 200, **response: Any) -> Answer:
    async def answer(_: web.Request) -> web.StreamResponse:
        return web.Response(status=status, **response)

    return answer


@asynccontextmanager
async def backup_service() -> AsyncIterator[Target]:
    """Serve a Target on a free port."""
    target = Target()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", target.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1, handler_cancellation=True)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    target.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield target
    await runner.cleanup()
