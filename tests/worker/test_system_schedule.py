"""The system schedule: a worker makes it anew when it is gone or cannot go on, and says so."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode
from temporalio.testing import WorkflowEnvironment

from backup_scheduler.jobs.names import SYSTEM_SCHEDULE
from backup_scheduler.temporal.schedule_engine import SCHEDULER_WORKFLOW
from backup_scheduler.temporal.stored_jobs import describe_schedule
from backup_scheduler.temporal.system_schedule import look_at_system_schedule, put_system_schedule
from lab.parts.waiting import eventually_async
from tests.support.workers import line_with, worker_process


@pytest.fixture
async def client(temporal_server: WorkflowEnvironment) -> AsyncIterator[Client]:
    await put_system_schedule(temporal_server.client, "backups")
    # Then it is taken over: a pause that comes close behind it, or behind the first pass, can get lost.
    await describe_schedule(temporal_server.client, SYSTEM_SCHEDULE)
    yield temporal_server.client
    await temporal_server.client.get_schedule_handle(SYSTEM_SCHEDULE).unpause()


async def test_one_that_is_well_is_left_alone(client: Client) -> None:
    before = await describe_schedule(client, SYSTEM_SCHEDULE)
    assert await look_at_system_schedule(client, "others") == ""
    assert (await describe_schedule(client, SYSTEM_SCHEDULE)).schedule == before.schedule


async def test_one_that_was_deleted_is_made_anew(client: Client) -> None:
    await client.get_schedule_handle(SYSTEM_SCHEDULE).delete()
    assert "made anew" in await look_at_system_schedule(client, "backups")
    assert await look_at_system_schedule(client, "backups") == ""


async def test_one_whose_workflow_was_cancelled_is_made_anew(client: Client) -> None:
    await client.get_workflow_handle(f"{SCHEDULER_WORKFLOW}{SYSTEM_SCHEDULE}").cancel()

    async def made_anew() -> bool:
        try:
            return "made anew" in await look_at_system_schedule(client, "backups")
        except RPCError as error:
            if error.status not in (RPCStatusCode.DEADLINE_EXCEEDED, RPCStatusCode.CANCELLED):
                raise
            return False  # it does not answer at first

    await eventually_async(made_anew, patience=120)  # a describe of it may hang for half a minute
    assert await look_at_system_schedule(client, "backups") == ""


async def test_one_that_is_paused_stays_so_and_its_note_is_told(client: Client) -> None:
    handle = client.get_schedule_handle(SYSTEM_SCHEDULE)

    async def is_paused() -> bool:
        # A pause that comes close behind the first pass, which is asked for as the schedule is made, can get lost.
        await handle.pause(note="the auditors are here")
        return (await handle.describe()).schedule.state.paused

    await eventually_async(is_paused)
    assert await look_at_system_schedule(client, "backups") == "it is paused: the auditors are here"


async def test_a_worker_says_that_it_is_paused(client: Client, tmp_path: Path) -> None:
    handle = client.get_schedule_handle(SYSTEM_SCHEDULE)
    await handle.pause(note="the auditors are here")
    file = tmp_path / "policies.toml"
    file.write_text('[policies.p]\ntype = "http"\nurl = "http://127.0.0.1:1"\n')
    address = client.service_client.config.target_host
    async with worker_process(TEMPORAL_ADDRESS=address, SCHEDULER_POLICIES=str(file)) as process:
        line = await line_with(process, "no passes over all jobs")
    assert "the auditors are here" in line
