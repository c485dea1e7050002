"""The `temporal` commands of the documentation: each shows, or does, what the page says of it."""

import re
import socket
import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
from temporalio.client import Client

from backup_scheduler.contract.methods import PAUSE, REMOVE
from devstack.running import StackInfo
from lab.parts.backup_service import BackupService, answering
from lab.parts.waiting import eventually_async
from tests.support.backup_requests import a_request
from tests.support.calls import Caller, job
from tests.support.operator import DONE, QUEUE, Job, ran
from tests.support.pages import PAGES, commands
from tests.support.workers import Runs
from tests.support.workflow_runs import failure, scheduled


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
    job(call(PAUSE, paused.scheduler_id, "docs", "2099-01-01 00:00"))
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
    'WorkflowType="ResumeJobsWorkflow"': "resume-[0-9a-f]{16}",
    "schedule describe": "Backup documents for {JOB}",
    'ExecutionStatus="Running"': "{running}",
    'BackupOutcome="failed"': "{failed}",
    'BackupOutcome IN ("missed"': "{missed}",
    "workflow list": "{completed}",
    "workflow show --detailed": "WorkflowExecutionStarted.*identity",
    "workflow metadata": "completed.* answered 202",
    "workflow describe": "COMPLETED",
    "cluster health": "SERVING",
    "task-queue describe": "@{host}",
    "TemporalSchedulePaused=true": "{paused}",
    "schedule list": "{JOB}",
}
"""A pattern of what a command shows, by a part of the command; the first one counts."""


COMMANDS = {re.sub(" +", " ", command): None for page in PAGES for command in commands(page, "temporal")}
CHANGING = [command for command in COMMANDS if any(part in command for part in DONE)]
READING = [command for command in COMMANDS if command not in CHANGING]


async def ran_with(stack: StackInfo, command: str, names: dict[str, str]) -> tuple[int | None, str]:
    """Run a command of a page on the stack; return its exit code and its output."""
    for name, value in names.items():
        command = command.replace(name, value)
    return await ran(stack, re.sub(r"127\.0\.0\.1:\d+", stack.temporal_address, command))


@pytest.mark.parametrize("command", READING)
async def test_a_command_shows_what_there_is(command: str, stack: StackInfo, known: dict[str, str]) -> None:
    pattern = next(shown for part, shown in SHOWN.items() if part in command)
    for name, value in known.items():
        pattern = pattern.replace(f"{{{name}}}", re.escape(value))

    async def shows() -> bool:  # lists lag
        code, output = await ran_with(stack, command, {name: known[name] for name in ("WORKFLOW_ID", "JOB")})
        assert code == 0, output
        return re.search(pattern, output, re.DOTALL) is not None

    await eventually_async(shows)


@pytest.mark.parametrize("command", CHANGING)
async def test_a_command_does_what_the_page_says(command: str, stack: StackInfo, own: Job) -> None:
    names = {"JOB": own.scheduler_id, "nightly-documents": own.scheduler_id}
    names["--namespace backups"] = f"--namespace {own.scheduler_id}"

    async def done() -> None:
        code, output = await ran_with(stack, command, names)
        assert code == 0, output

    await next(effect for part, effect in DONE.items() if part in command)(own, done)
