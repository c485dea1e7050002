"""The pass over all jobs: each job by itself, in a place of its own, and loud where something could not be done."""

import asyncio
import dataclasses
import logging
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from structlog.testing import capture_logs
from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleCalendarSpec,
    ScheduleHandle,
    ScheduleIntervalSpec,
    ScheduleUpdate,
    WorkflowFailureError,
    WorkflowHandle,
)
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.exceptions import ApplicationError
from temporalio.runtime import PrometheusConfig, Runtime, TelemetryConfig
from temporalio.service import RetryConfig
from temporalio.testing import ActivityEnvironment, WorkflowEnvironment
from temporalio.worker import Worker
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

import activities.all_jobs
from activities.all_jobs import AllJobs, Pass
from backup_scheduler.contract.methods import PAUSE
from backup_scheduler.jobs.from_schedule import Losses
from backup_scheduler.jobs.notes import SwitchNote
from backup_scheduler.jobs.to_schedule import Alignment, memo_for, schedule_for, search_attributes
from backup_scheduler.settings import Settings
from backup_scheduler.temporal.stored_jobs import describe_schedule, read_job
from lab.parts.backup_service import BackupService, answering
from lab.parts.waiting import eventually_async
from tests.support.backup_requests import a_request
from tests.support.described_jobs import job_of
from tests.support.doors import Door
from tests.support.ports import unused_port
from tests.support.workers import Runs, busy, line_with, worker_process, worker_with
from worker import build_housekeeper
from workflows.all_jobs import LookAfterJobsWorkflow

Edit = Callable[[Schedule], None]


async def put(client: Client, edit: Edit = lambda _: None, **terms: Any) -> ScheduleHandle:
    """Make a job whose next run is an hour too late, changed by other means; wait until passes see it."""
    right = (datetime.now(UTC) + timedelta(hours=20)).replace(second=0, microsecond=0)
    request = a_request(
        **({"scheduler_id": f"job-{uuid.uuid4()}", "start_time": f"{right:%H:%M}", "anchor": right.date()} | terms)
    )
    off = Alignment(request, right + timedelta(hours=1))
    handle = await client.create_schedule(
        request.scheduler_id,
        schedule_for(off, "test"),  # that of the activity environment
        memo=memo_for(request, "call"),
        search_attributes=search_attributes(request),
    )

    async def listed() -> bool:
        return any([True async for _ in await client.list_schedules(f"ScheduleId = '{handle.id}'")])

    await eventually_async(listed)
    described = await handle.describe()
    edit(described.schedule)
    await handle.update(lambda _: ScheduleUpdate(described.schedule))
    await handle.describe()  # then the update is carried out, and overwrites no pause that comes next
    return handle


def calendar(schedule: Schedule) -> None:
    schedule.spec.calendars = [ScheduleCalendarSpec()]


def cron_instead(schedule: Schedule) -> None:
    schedule.spec.intervals, schedule.spec.cron_expressions = [], ["0 3 * * *"]


def second_interval(schedule: Schedule) -> None:
    schedule.spec.intervals = [*schedule.spec.intervals, ScheduleIntervalSpec(every=timedelta(hours=5))]


def another_interval(schedule: Schedule) -> None:
    schedule.spec.intervals = [ScheduleIntervalSpec(every=timedelta(hours=5))]


def nothing_readable(schedule: Schedule) -> None:
    assert isinstance(schedule.action, ScheduleActionStartWorkflow)
    schedule.action.args = ["nothing that can be read"]


def test_the_losses_of_all_jobs_are_added_up_and_the_first_hundred_jobs_with_dropped_runs_named() -> None:
    done = Pass()
    done.count("quiet", Losses(waiting=1, dropped=0, missed_catchup=3))
    for number in range(101):
        done.count(f"job-{number}", Losses(waiting=1, dropped=2, missed_catchup=0))
    assert (done.runs_waiting, done.runs_dropped, done.runs_missed_catchup) == (102, 202, 3)
    assert done.dropped_jobs == [f"job-{number}" for number in range(100)]
    assert done.model_dump(by_alias=True)["losers"] == done.dropped_jobs


async def test_a_loss_is_logged_once_and_again_when_it_has_grown() -> None:
    looked = AllJobs()
    with capture_logs() as logs:
        for dropped, missed in ((0, 0), (2, 0), (2, 0), (2, 1), (3, 1), (3, 1)):
            job = await job_of(buffer_size=1000, buffer_dropped=dropped, missed_catchup_window=missed)
            looked._log_losses(job)
            looked._logged_losses = {job.schedule_id: job.losses}
    assert [(line["log_level"], line.get("dropped"), line.get("missed_catchup")) for line in logs] == [
        ("error", 2, None),
        ("warning", None, 1),
        ("error", 3, None),
    ]
    assert {line["scheduler_id"] for line in logs} == {"job-1"}


async def start_pass(client: Client, task_queue: str) -> WorkflowHandle[LookAfterJobsWorkflow, Pass]:
    return await client.start_workflow(LookAfterJobsWorkflow.run, id=f"pass-{uuid.uuid4()}", task_queue=task_queue)


async def passed(client: Client, at: datetime | None = None) -> Pass:
    """Make a pass that Temporal started at a moment, by its own clock."""
    environment = ActivityEnvironment(client=client)
    environment.info = dataclasses.replace(environment.info, started_time=at or datetime.now(UTC))
    done: Pass = await environment.run(AllJobs().look_after)
    return done


async def test_a_job_that_cannot_be_looked_after_is_reported_and_keeps_no_other_from_it(temporal: Client) -> None:
    address = f"127.0.0.1:{unused_port()}"
    runtime = Runtime(telemetry=TelemetryConfig(metrics=PrometheusConfig(bind_address=address)))
    client = await Client.connect(
        temporal.service_client.config.target_host, data_converter=pydantic_data_converter, runtime=runtime
    )
    edits = (calendar, cron_instead, second_interval, another_interval, nothing_readable)
    broken = dict(zip(edits, await asyncio.gather(*(put(client, edit) for edit in edits)), strict=True))
    unknown_zone = await put(client, timezone="Mars/Olympus_Mons")
    good = await put(client)
    before = {handle.id: (await handle.describe()).schedule for handle in broken.values()}
    with capture_logs() as logs:
        async with worker_with(client) as runs, build_housekeeper(client, Settings(task_queue=runs.task_queue)):
            done = await (await start_pass(client, runs.task_queue)).result()
            async with aiohttp.ClientSession() as session, session.get(f"http://{address}/metrics") as response:
                shown = await response.text()
            second = await (await start_pass(client, runs.task_queue)).result()
    assert good.id in done.scheduler_ids
    assert {handle.id for handle in (*broken.values(), unknown_zone)} <= set(done.failures)
    assert done.failed == len(done.failures) == second.failed
    for edit, handle in broken.items():
        expected = "no terms that can be read" if edit is nothing_readable else "(times)"
        assert expected in done.failures[handle.id]
        assert (await handle.describe()).schedule == before[handle.id]
    assert "does not know its time zone 'Mars/Olympus_Mons'" in done.failures[unknown_zone.id]
    errors = [line for line in logs if line["event"] == "job not kept at its start_time"]
    assert {line["scheduler_id"]: line["reason"] for line in errors} == done.failures
    assert len(errors) == done.failed  # the second pass repeats none
    assert f"}} {done.failed}\n" in next(
        line + "\n" for line in shown.splitlines() if line.startswith("backup_scheduler_jobs_not_kept{")
    )
    await asyncio.gather(*(handle.delete() for handle in (*broken.values(), unknown_zone, good)))


async def test_a_job_of_a_newer_release_is_moved_with_what_this_one_does_not_know(temporal: Client) -> None:
    def newer(schedule: Schedule) -> None:
        assert isinstance(schedule.action, ScheduleActionStartWorkflow)
        terms = temporal.data_converter.payload_converter.from_payload(schedule.action.args[0])
        schedule.action.args = [terms | {"of_a_newer_release": ["kept"]}]
        schedule.action.static_details = "Details as a newer release writes them"

    handle = await put(temporal, newer)
    before = (await describe_schedule(temporal, handle.id)).schedule
    done = await passed(temporal)
    after = (await describe_schedule(temporal, handle.id)).schedule
    await handle.delete()
    assert handle.id in done.scheduler_ids
    assert after.spec.interval[0].phase.ToTimedelta() != before.spec.interval[0].phase.ToTimedelta()
    assert b"of_a_newer_release" in after.action.start_workflow.input.payloads[0].data
    assert after.action == before.action


@pytest.mark.parametrize(("ended_ago", "is_resumed"), [(400, True), (100, False), (-100, False)])
async def test_a_job_whose_pause_should_be_over_is_resumed(
    temporal: Client, ended_ago: float, is_resumed: bool
) -> None:
    """Its timer ended before the pause was made, or was terminated: nothing else would ever resume it."""
    now = datetime.now(UTC)
    handle = await put(temporal)
    note = SwitchNote(True, PAUSE, now, "repair", until=now - timedelta(seconds=ended_ago), id="3f29a1c0de")
    await handle.pause(note=note.text())
    with capture_logs() as logs:
        await passed(temporal)
    state = (await handle.describe()).schedule.state
    await handle.delete()
    assert state.paused is not is_resumed
    told = [line["scheduler_id"] for line in logs if "long after the end of its pause" in line["event"]]
    assert (handle.id in told) is is_resumed


async def test_a_job_moves_by_the_clock_of_temporal_not_by_that_of_the_worker(temporal: Client) -> None:
    handle = await put(temporal)  # its right start is in 20 hours, and it would start in 21
    between = datetime.now(UTC) + timedelta(hours=20, minutes=30)
    early = await passed(temporal, between)
    in_time = await passed(temporal)
    await handle.delete()
    assert handle.id not in early.scheduler_ids
    assert handle.id in in_time.scheduler_ids


@pytest.mark.parametrize("reached", [0, 1])
async def test_a_pass_fails_only_if_it_reached_no_job(
    temporal: Client, monkeypatch: pytest.MonkeyPatch, reached: int
) -> None:
    jobs = [await put(temporal) for _ in range(3)]
    with Door(temporal.service_client.config.target_host) as door:
        client = await Client.connect(
            door.address,
            data_converter=pydantic_data_converter,
            retry_config=RetryConfig(max_elapsed_time_millis=200, max_retries=1),
        )
        described: list[str] = []

        async def read(client: Client, schedule_id: str) -> Any:
            described.append(schedule_id)
            if len(described) == reached + 1:
                door.__exit__(None, None, None)
            return await read_job(client, schedule_id)

        monkeypatch.setattr(activities.all_jobs, "read_job", read)
        monkeypatch.setattr(activities.all_jobs, "_CONCURRENT_JOBS", 1)
        with capture_logs() as logs:
            looking = ActivityEnvironment(client=client).run(AllJobs().look_after)
            if reached:
                done: Pass = await looking
                assert done.failed == len(done.failures) == len(described) - 1 > 0
                assert all("RPCError" in reason for reason in done.failures.values())
            else:
                with pytest.raises(ApplicationError, match="jobs could be reached"):
                    await looking
                assert [line["log_level"] for line in logs if line["event"] == "pass over all jobs failed"] == ["error"]
    await asyncio.gather(*(job.delete() for job in jobs))


async def test_a_pass_whose_list_of_jobs_breaks_off_fails_and_says_so(temporal: Client) -> None:
    with Door(temporal.service_client.config.target_host) as door:
        client = await Client.connect(door.address, retry_config=RetryConfig(max_elapsed_time_millis=200))
    with capture_logs() as logs, pytest.raises(ApplicationError, match="the list of jobs broke off after 0: RPCError"):
        await ActivityEnvironment(client=client).run(AllJobs().look_after)
    assert [line["log_level"] for line in logs] == ["error"]


async def test_a_pass_that_no_worker_takes_is_given_up_loudly(
    temporal: Client, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("workflows.all_jobs.LONGEST_WAIT", timedelta(seconds=1))
    runner = SandboxedWorkflowRunner(
        restrictions=SandboxRestrictions.default.with_passthrough_modules("workflows.all_jobs")
    )
    queue = f"queue-{uuid.uuid4()}"
    address = f"127.0.0.1:{unused_port()}"
    client = await Client.connect(
        temporal.service_client.config.target_host,
        data_converter=pydantic_data_converter,
        runtime=Runtime(telemetry=TelemetryConfig(metrics=PrometheusConfig(bind_address=address))),
    )
    async with Worker(client, task_queue=queue, workflows=[LookAfterJobsWorkflow], workflow_runner=runner):
        with pytest.raises(WorkflowFailureError):
            await (await start_pass(client, queue)).result()
        async with aiohttp.ClientSession() as session, session.get(f"http://{address}/metrics") as response:
            shown = await response.text()
    [counted] = [line for line in shown.splitlines() if line.startswith("backup_scheduler_failed_passes{")]
    assert counted.endswith(" 1")
    [line] = [record for record in caplog.records if "pass over all jobs given up" in record.getMessage()]
    assert line.levelno == logging.ERROR


async def test_a_pass_needs_no_place_of_a_backup(
    temporal: Client, temporal_server: WorkflowEnvironment, target: BackupService, tmp_path: Path
) -> None:
    file, queue = tmp_path / "policies.toml", f"queue-{uuid.uuid4()}"
    target.answers = [answering()]
    file.write_text(f'[policies.long]\ntype = "http"\nurl = "{target.url}"\n')
    async with worker_process(
        TEMPORAL_ADDRESS=temporal_server.client.service_client.config.target_host,
        SCHEDULER_TASK_QUEUE=queue,
        SCHEDULER_POLICIES=str(file),
        SCHEDULER_MAX_BACKUPS="1",
    ) as process:
        await line_with(process, '"worker ready"')
        async with busy(Runs(temporal, queue), target), asyncio.timeout(30):
            await (await start_pass(temporal, queue)).result()
