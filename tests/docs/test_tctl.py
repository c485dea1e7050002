"""The commands of tctl that operations.md names: each does what that of `temporal` beside it does."""

import shlex
import uuid
from collections.abc import AsyncIterator

import pytest
from temporalio.client import Client

from backup_scheduler.contract.methods import MODIFY, PAUSE, REMOVE
from devstack.running import StackInfo
from lab.parts.backup_service import BackupService
from lab.parts.waiting import eventually_async
from tests.support.calls import Caller, job
from tests.support.operator import DONE, Job, ran
from tests.support.pages import rows

pytestmark = pytest.mark.tctl

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
    code, output = await ran(stack, command)
    assert code == 0, output
    return output


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


async def test_what_rpc_changes_is_seen_by_tctl(stack: StackInfo, own: Job) -> None:
    [describe] = [command for command in COMMANDS if "describe" in command]
    job(own.call(MODIFY, own.scheduler_id, "other documents", 3, "02:01", 1, 3600))
    job(own.call(PAUSE, own.scheduler_id))
    shown = await tctl(stack, describe, own.scheduler_id)
    assert '"interval":"259200s"' in shown
    assert "paused by pause_job" in shown
    job(own.call(REMOVE, own.scheduler_id))
    code, said = await ran(stack, describe.replace("JOB", shlex.quote(own.scheduler_id)))
    assert code == 1
    assert "not found" in said or "already completed" in said


async def test_its_tables_wrap_long_workflow_ids_and_its_json_does_not(stack: StackInfo, own: Job) -> None:
    await own.trigger()
    run, _ = await own.run()
    query = shlex.quote(f"WorkflowId = '{run}'")
    words = f"tctl workflow list --query {query}"

    async def listed() -> bool:  # lists lag
        code, said = await ran(stack, f"{words} --print_json")
        assert code == 0, said
        return f'"{run}"' in said

    await eventually_async(listed)
    code, table = await ran(stack, words)
    assert code == 0
    assert run[:12] in table
    assert run not in table


def test_every_command_of_the_page_is_tried() -> None:
    assert len(CHANGING) + 2 == len(COMMANDS) == 7
