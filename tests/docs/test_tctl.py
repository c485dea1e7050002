"""The commands of tctl that operations.md names: each does what that of `temporal` beside it does."""

import asyncio
import os
import shlex
import uuid
from collections.abc import AsyncIterator

import pytest
from temporalio.client import Client

from backup_scheduler.contract.methods import REMOVE
from devstack.running import StackInfo
from lab.parts.backup_service import BackupService
from lab.parts.waiting import eventually_async
from tests.support.calls import Caller
from tests.support.operator import DONE, Job
from tests.support.pages import rows

pytestmark = pytest.mark.cluster

COMMANDS = [cell.strip("`") for _, cell in rows("docs/operations.md", "The same with tctl")]
CHANGING = [command for command in COMMANDS if any(part in command for part in DONE)]
IDS = ("plain", "with blanks", "o'clock", 'double "quotes"', "back\\slash", "每日备份 🌙")
PLACES = {"TEXT": "'target under repair'", "T1": "2026-01-30T00:00:00Z", "T2": "2026-01-31T00:00:00Z"}


@pytest.fixture
async def own(
    request: pytest.FixtureRequest, temporal: Client, call: Caller, backup_endpoint: BackupService
) -> AsyncIterator[Job]:
    name = getattr(request, "param", "plain")
    made = Job(f"tctl-{uuid.uuid4().hex[:8]} {name}", temporal, call, backup_endpoint)
    await made.make()
    yield made
    call(REMOVE, made.scheduler_id)


async def tctl(stack: StackInfo, command: str, scheduler_id: str) -> str:
    """Run a command as the page has it; return its output."""
    for name, value in {"JOB": shlex.quote(scheduler_id), **PLACES}.items():
        command = command.replace(name, value)
    _, *words = shlex.split(command)
    assert stack.tctl is not None
    process = await asyncio.create_subprocess_exec(
        *(stack.tctl, *words),
        env={**os.environ, **stack.tctl_environ()},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(60):
        output, _ = await process.communicate()
    assert process.returncode == 0, output.decode()
    return output.decode()


@pytest.mark.parametrize("command", CHANGING)
@pytest.mark.parametrize("own", IDS, indirect=True)
async def test_a_command_does_what_the_one_of_temporal_does(command: str, stack: StackInfo, own: Job) -> None:
    async def done() -> None:
        await tctl(stack, command, own.scheduler_id)

    await next(effect for part, effect in DONE.items() if part in command)(own, done)


@pytest.mark.parametrize("own", IDS, indirect=True)
async def test_describe_shows_the_job(stack: StackInfo, own: Job) -> None:
    [command] = [command for command in COMMANDS if "describe" in command]
    assert "BackupWorkflow" in await tctl(stack, command, own.scheduler_id)


async def test_list_shows_the_job(stack: StackInfo, own: Job) -> None:
    [command] = [command for command in COMMANDS if command.endswith("list")]

    async def listed() -> bool:  # lists lag
        return own.scheduler_id.split()[0] in await tctl(stack, command, own.scheduler_id)

    await eventually_async(listed)


def test_every_command_of_the_page_is_tried() -> None:
    assert len(CHANGING) + 2 == len(COMMANDS) == 7
