"""The `temporal` commands of the documentation: each shows, or does, what the page says of it."""

import asyncio
import os
import re
import shlex
import socket
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from aiohttp import web
from google.protobuf.duration_pb2 import Duration
from temporalio.api.operatorservice.v1 import ListSearchAttributesRequest
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest, RegisterNamespaceRequest
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.service import RPCError

from backup_scheduler.contract.methods import GET, PAUSE, REMOVE
from backup_scheduler.jobs.names import SEARCH_ATTRIBUTES
from backup_scheduler.jobs.terms import BackupJob
from backup_scheduler.jobs.to_schedule import Alignment, memo_for, schedule_for, search_attributes
from backup_scheduler.runs.results import Outcome
from devstack.running import StackInfo
from lab.parts.backup_service import BackupService, answering
from lab.parts.waiting import eventually_async
from tests.support.backup_requests import a_request
from tests.support.calls import Caller, job
from tests.support.pages import PAGES, commands
from tests.support.programs import binary
from tests.support.workers import Runs
from tests.support.workflow_runs import failure, run_of, scheduled

QUEUE = "backups"
"""The task queue of the stack's worker."""

YEARS = 315_360_000


@dataclass
class Job:
    """A job of a test's own, due daily since 2026-01-01, and all around it."""

    scheduler_id: str
    temporal: Client
    call: Caller
    endpoint: BackupService

    async def make(self) -> None:
        """Make its schedule, as an add of that day would have made it."""
        terms = {"policy_name": "documents", "days": 1, "start_time": "02:01", "duration": 1}
        named = BackupJob(scheduler_id=self.scheduler_id, misfire_grace_time=YEARS, **terms)  # type: ignore[arg-type]  # checked at run time
        alignment = Alignment.at(datetime(2026, 1, 1, tzinfo=UTC), named, "UTC")
        request = alignment.request
        await self.temporal.create_schedule(
            self.scheduler_id,
            schedule_for(alignment, QUEUE),
            memo=memo_for(request, "call"),
            search_attributes=search_attributes(request),
        )

    async def run(self, number: int = 1) -> tuple[str, Outcome]:
        """Wait for the end of a run, counted from 1; return its workflow id and how it ended."""
        handle = await run_of(self.temporal, self.scheduler_id, number)
        return handle.id, (await handle.result()).outcome

    async def trigger(self) -> None:
        await self.temporal.get_schedule_handle(self.scheduler_id).trigger()

    @property
    def next_run(self) -> str | None:
        shown: str | None = job(self.call(GET, self.scheduler_id))["next_run_time"]
        return shown


@pytest.fixture
async def own(temporal: Client, call: Caller, backup_endpoint: BackupService) -> AsyncIterator[Job]:
    made = Job(f"docs-{uuid.uuid4().hex[:8]}", temporal, call, backup_endpoint)
    await made.make()
    yield made
    call(REMOVE, made.scheduler_id)


@pytest.fixture(scope="module")
async def known(temporal: Client, call: Caller, backup_endpoint: BackupService) -> AsyncIterator[dict[str, str]]:
    """What commands that only read may show: names of jobs, and workflow ids of runs by their ends."""
    shown, paused = (Job(f"docs-{kind}-{uuid.uuid4().hex[:8]}", temporal, call, backup_endpoint) for kind in "ab")
    await shown.make()
    await shown.trigger()
    completed, _ = await shown.run()
    await paused.make()
    job(call(PAUSE, paused.scheduler_id))
    runs, nobodys = Runs(temporal, QUEUE), Runs(temporal, f"nobody's-{uuid.uuid4()}")
    long_ago = scheduled(datetime.now(UTC) - timedelta(days=9))
    missed = await runs.start(a_request(), **long_ago)
    await failure(missed, "BackupMissed")
    backup_endpoint.answers.insert(0, answering(404))
    failed = await runs.start(a_request())
    await failure(failed)
    running = await nobodys.start(a_request())
    await nobodys.start(a_request(), execution_timeout=timedelta(seconds=1))
    yield {
        "JOB": shown.scheduler_id,
        "WORKFLOW_ID": completed,
        "paused": paused.scheduler_id,
        "completed": completed,
        "missed": missed.id,
        "failed": failed.id,
        "running": running.id,
        "host": socket.gethostname(),
    }
    await running.terminate()
    for each in (shown, paused):
        call(REMOVE, each.scheduler_id)


SHOWN = {
    "workflow count": r"Total: [1-9]",
    "--schedule-id system-look-after-jobs": "LookAfterJobsWorkflow",
    'WorkflowType="LookAfterJobsWorkflow"': "system-look-after-jobs",
    "schedule describe": "Backup documents for {JOB}",
    'ExecutionStatus="Running"': "{running}",
    'BackupOutcome="failed"': "{failed}",
    'BackupOutcome IN ("missed"': "{missed}",
    "workflow list": "{completed}",
    "workflow metadata": "completed.* answered 202",
    "workflow describe": "COMPLETED",
    "cluster health": "SERVING",
    "task-queue describe": "@{host}",
    "TemporalSchedulePaused=true": "{paused}",
    "schedule list": "{JOB}",
}
"""A pattern of what a command shows, by a part of the command; the first one counts."""


async def runs_once(own: Job, command: Callable[[], Awaitable[None]]) -> None:
    await command()
    assert (await own.run())[1] is Outcome.COMPLETED


async def pauses(own: Job, command: Callable[[], Awaitable[None]]) -> None:
    assert own.next_run is not None
    await command()
    await eventually_async(lambda: asyncio.sleep(0, own.next_run is None))


async def resumes(own: Job, command: Callable[[], Awaitable[None]]) -> None:
    job(own.call(PAUSE, own.scheduler_id))
    await asyncio.sleep(1)  # as the page says: commands that come close together can get lost
    await command()
    await eventually_async(lambda: asyncio.sleep(0, own.next_run is not None))


async def runs_that_of_the_day(own: Job, command: Callable[[], Awaitable[None]]) -> None:
    await command()
    workflow_id, outcome = await own.run()
    assert workflow_id.startswith(f"backup-{own.scheduler_id}-2026-01-30T02:")
    assert outcome is Outcome.COMPLETED


async def stops_the_run(own: Job, command: Callable[[], Awaitable[None]]) -> None:
    async def hang(_: web.Request) -> web.StreamResponse:
        await asyncio.sleep(60)
        return web.Response()

    own.endpoint.answers.insert(0, hang)
    asked = len(own.endpoint.received)
    await own.trigger()
    run = await run_of(own.temporal, own.scheduler_id, 1)
    query = f"WorkflowId = '{run.id}' AND ExecutionStatus = 'Running'"

    async def is_under_way() -> bool:
        return len(own.endpoint.received) > asked and (await own.temporal.count_workflows(query)).count == 1

    await eventually_async(is_under_way)
    await command()

    async def is_stopped() -> bool:
        return (await run.describe()).status is WorkflowExecutionStatus.CANCELED

    await eventually_async(is_stopped)


async def removes(own: Job, command: Callable[[], Awaitable[None]]) -> None:
    await command()
    await eventually_async(lambda: asyncio.sleep(0, own.call(GET, own.scheduler_id)["code"] == 404))


async def makes_a_namespace(own: Job, command: Callable[[], Awaitable[None]]) -> None:
    await command()
    service = own.temporal.workflow_service
    made = await service.describe_namespace(DescribeNamespaceRequest(namespace=own.scheduler_id))
    assert made.config.workflow_execution_retention_ttl.ToTimedelta() == timedelta(days=90)


async def makes_search_attributes(own: Job, command: Callable[[], Awaitable[None]]) -> None:
    retention = Duration(seconds=86400)
    await own.temporal.workflow_service.register_namespace(
        RegisterNamespaceRequest(namespace=own.scheduler_id, workflow_execution_retention_period=retention)
    )

    async def listed() -> set[str] | None:
        request = ListSearchAttributesRequest(namespace=own.scheduler_id)
        try:
            return {*(await own.temporal.operator_service.list_search_attributes(request)).custom_attributes}
        except RPCError:  # the server hears of a new namespace a moment later
            return None

    async def is_known() -> bool:
        return await listed() is not None

    async def are_there() -> bool:
        return await listed() == {key.name for key in SEARCH_ATTRIBUTES}

    await eventually_async(is_known)
    assert not await are_there()
    await command()
    await eventually_async(are_there)


DONE = {
    "operator namespace create": makes_a_namespace,
    "operator search-attribute create": makes_search_attributes,
    "schedule trigger": runs_once,
    "--pause": pauses,
    "--unpause": resumes,
    "schedule backfill": runs_that_of_the_day,
    "workflow cancel": stops_the_run,
    "schedule delete": removes,
}
"""What a command does, by a part of the command."""

COMMANDS = {re.sub(" +", " ", command): None for page in PAGES for command in commands(page, "temporal")}
CHANGING = [command for command in COMMANDS if any(part in command for part in DONE)]
READING = [command for command in COMMANDS if command not in CHANGING]


async def ran(stack: StackInfo, command: str, names: dict[str, str]) -> tuple[int | None, str]:
    """Run a command on the stack; return its exit code and its output."""
    for name, value in names.items():
        command = command.replace(name, value)
    _, *words = shlex.split(re.sub(r"127\.0\.0\.1:\d+", stack.temporal_address, command))
    process = await asyncio.create_subprocess_exec(
        *(binary("temporal"), *words),
        env={**os.environ, "TEMPORAL_ADDRESS": stack.temporal_address, "TEMPORAL_CONFIG_FILE": os.devnull},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(60):
        output, _ = await process.communicate()
    return process.returncode, output.decode()


@pytest.mark.parametrize("command", READING)
async def test_a_command_shows_what_there_is(command: str, stack: StackInfo, known: dict[str, str]) -> None:
    pattern = next(shown for part, shown in SHOWN.items() if part in command)
    for name, value in known.items():
        pattern = pattern.replace(f"{{{name}}}", re.escape(value))

    async def shows() -> bool:  # lists lag
        code, output = await ran(stack, command, {name: known[name] for name in ("WORKFLOW_ID", "JOB")})
        assert code == 0, output
        return re.search(pattern, output, re.DOTALL) is not None

    await eventually_async(shows)


@pytest.mark.parametrize("command", CHANGING)
async def test_a_command_does_what_the_page_says(command: str, stack: StackInfo, own: Job) -> None:
    names = {"JOB": own.scheduler_id, "nightly-documents": own.scheduler_id}
    names["--namespace backups"] = f"--namespace {own.scheduler_id}"

    async def done() -> None:
        code, output = await ran(stack, command, names)
        assert code == 0, output

    await next(effect for part, effect in DONE.items() if part in command)(own, done)
