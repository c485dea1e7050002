"""Schedules on the server's newer engine, which loses runs, are found at a worker's start and in each pass."""

import asyncio
import json
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from structlog.testing import capture_logs
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.testing import ActivityEnvironment, WorkflowEnvironment

from activities.all_jobs import AllJobs, Pass
from backup_scheduler.jobs import names
from backup_scheduler.jobs.to_schedule import Alignment, memo_for, schedule_for, search_attributes
from backup_scheduler.temporal.schedule_engine import is_on_new_engine, on_old_engine
from lab.parts.waiting import eventually_async
from tests.support.backup_requests import a_request
from tests.support.programs import binary
from tests.support.workers import worker_process

pytestmark = pytest.mark.programs

NEW_ENGINE = (
    "history.enableChasm=true",
    "history.enableCHASMSchedulerCreation=true",
    "history.enableCHASMSchedulerRouting=true",
    "history.chasmSchedulerCreationRolloutPercent=100",
)


@asynccontextmanager
async def a_server(*settings: str) -> AsyncIterator[Client]:
    """A server with these settings of its dynamic configuration."""
    async with await WorkflowEnvironment.start_local(
        dev_server_existing_path=binary("temporal"),
        data_converter=pydantic_data_converter,
        search_attributes=list(names.SEARCH_ATTRIBUTES),
        dev_server_extra_args=[f"--dynamic-config-value={each}" for each in settings],
    ) as environment:
        yield environment.client


@pytest.fixture
async def new_server() -> AsyncIterator[Client]:
    """A server that makes schedules with its newer engine."""
    async with a_server(*NEW_ENGINE) as client:
        yield client


async def put(client: Client) -> str:
    """Make a job and wait until lists have it; return its scheduler_id."""
    request = a_request(scheduler_id=f"job-{uuid.uuid4()}")
    await client.create_schedule(
        request.scheduler_id,
        schedule_for(Alignment(request, datetime.now(UTC) + timedelta(hours=20)), "nobody's"),
        memo=memo_for(request, "call"),
        search_attributes=search_attributes(request),
    )

    async def listed() -> bool:
        return any([True async for _ in await client.list_schedules(f"ScheduleId = '{request.scheduler_id}'")])

    await eventually_async(listed)
    return request.scheduler_id


async def test_a_schedule_is_on_the_engine_that_made_it(
    new_server: Client, temporal_server: WorkflowEnvironment
) -> None:
    old_server = temporal_server.client
    new, old = await put(new_server), await put(old_server)
    assert await is_on_new_engine(new_server, new)
    assert not await is_on_new_engine(old_server, old)
    assert new not in await on_old_engine(new_server)

    async def listed() -> bool:
        return old in await on_old_engine(old_server)

    await eventually_async(listed)


async def test_a_pass_names_the_jobs_on_the_newer_engine_and_logs_each_once(new_server: Client) -> None:
    job = await put(new_server)
    all_jobs = AllJobs()
    with capture_logs() as logs:
        done: Pass = await ActivityEnvironment(client=new_server).run(all_jobs.look_after)
        await ActivityEnvironment(client=new_server).run(all_jobs.look_after)
    assert (done.on_new_engine, done.new_engine_jobs) == (1, [job])
    [line] = [line for line in logs if "schedule engine" in line["event"]]
    assert (line["log_level"], line["scheduler_ids"]) == ("error", [job])


async def test_a_pass_names_no_job_on_the_engine_that_is_the_default(temporal_server: WorkflowEnvironment) -> None:
    await put(temporal_server.client)
    with capture_logs() as logs:
        done: Pass = await ActivityEnvironment(client=temporal_server.client).run(AllJobs().look_after)
    assert (done.on_new_engine, done.new_engine_jobs) == (0, [])
    assert not [line for line in logs if "schedule engine" in line["event"]]


async def first_lines(client: Client, folder: Path) -> str:
    """Start a worker; return what it says until it is ready."""
    file = folder / "policies.toml"
    file.write_text('[policies.p]\ntype = "http"\nurl = "http://127.0.0.1:1"\n')
    address = client.service_client.config.target_host
    async with worker_process(TEMPORAL_ADDRESS=address, SCHEDULER_POLICIES=str(file)) as process:
        assert process.stderr
        lines = []
        async with asyncio.timeout(60):
            async for line in process.stderr:
                lines.append(line.decode())
                if '"worker ready"' in lines[-1]:
                    break
    return "".join(lines)


async def test_a_worker_says_at_its_start_that_the_server_has_the_newer_engine(
    new_server: Client, tmp_path: Path
) -> None:
    [line] = [line for line in (await first_lines(new_server, tmp_path)).splitlines() if "newer engine" in line]
    assert json.loads(line)["level"] == "error"


async def test_a_worker_does_not_say_so_where_there_is_no_system_schedule(tmp_path: Path) -> None:
    async with a_server("frontend.enableSchedules=false") as client:
        said = await first_lines(client, tmp_path)
    assert "system schedule not made" in said
    assert "newer engine" not in said
