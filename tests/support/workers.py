"""Workers: inside the test's process, and as processes of their own."""

import asyncio
import os
import subprocess
import sys
import time
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import psutil
from aiohttp import web
from temporalio.client import Client, WorkflowHandle

from backup_scheduler.jobs import names
from backup_scheduler.jobs.request import BackupRequest
from backup_scheduler.policies.file import Policies
from backup_scheduler.policies.http import HttpPolicy, HttpTarget
from backup_scheduler.policies.restic import ResticPolicy
from backup_scheduler.runs.results import BackupResult
from backup_scheduler.settings import Settings
from lab.parts.backup_service import BackupService
from lab.parts.places import ROOT
from lab.parts.waiting import eventually
from tests.support.backup_requests import a_request
from worker import build_worker


@asynccontextmanager
async def worker_process(*prefix: str, **environment: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run `python -m worker`, behind the command `prefix` that starts another, with no other settings than these."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("SCHEDULER_", "TEMPORAL_"))}
    process = await asyncio.create_subprocess_exec(
        *(*prefix, sys.executable, "-m", "worker"),
        cwd=ROOT,
        env=kept | {"SCHEDULER_LOG_FORMAT": "json"} | environment,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def line_with(process: asyncio.subprocess.Process, text: str) -> str:
    """Read the log up to a line with this text."""
    assert process.stderr
    async with asyncio.timeout(60):
        async for line in process.stderr:
            if text in line.decode():
                return line.decode()
    raise AssertionError(f"the worker ended without saying {text!r}")


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


@asynccontextmanager
async def busy(runs: Runs, target: BackupService) -> AsyncIterator[asyncio.Event]:
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


class WorkerProcess(AbstractContextManager["WorkerProcess"]):
    """`python worker.py`, ready for work; killed at the end of the block if it still runs."""

    def __init__(self, temporal_address: str, policies: Path, task_queue: str, **environment: str) -> None:
        self.log = policies.with_name(f"worker-{time.monotonic_ns()}.log")
        own = {name: value for name, value in os.environ.items() if not name.startswith(("SCHEDULER_", "TEMPORAL_"))}
        own |= {
            "TEMPORAL_ADDRESS": temporal_address,
            "SCHEDULER_POLICIES": str(policies),
            "SCHEDULER_TASK_QUEUE": task_queue,
            "SCHEDULER_LOG_FORMAT": "json",
        }
        with self.log.open("w") as output:
            self.process = psutil.Popen(
                [sys.executable, "worker.py"],
                cwd=ROOT,
                env=own | environment,
                stdin=subprocess.DEVNULL,
                stderr=output,
                start_new_session=True,
            )

    async def ready(self) -> None:
        await asyncio.to_thread(eventually, lambda: "worker ready" in self.log.read_text(), 90)

    def kill(self) -> None:
        """End it as a power failure does (kill -9)."""
        self.process.kill()
        self.process.wait(60)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.is_running():
            self.kill()
