"""A run is never started twice for one `at`: races, requests that Temporal drops, and requests that come again."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest
from aiohttp import web
from temporalio.api.schedule.v1 import SchedulePatch
from temporalio.api.workflow.v1 import WorkflowExecutionInfo
from temporalio.api.workflowservice.v1 import PatchScheduleRequest
from temporalio.client import (
    Client,
    ScheduleBackfill,
    ScheduleHandle,
    ScheduleOverlapPolicy,
    ScheduleUpdate,
    ScheduleUpdateInput,
)

from backup_scheduler.contract.errors import RunNotFound, RunNotRunning, TemporalTimeout
from backup_scheduler.jobs.names import run_id
from backup_scheduler.jobs.request import BackupRequest
from backup_scheduler.jobs.timing import phase
from backup_scheduler.jobs.to_schedule import Alignment, schedule_for
from backup_scheduler.runs.arguments import CancelRun, JobRuns, RunId, RunJob
from backup_scheduler.runs.asked import Why
from backup_scheduler.temporal import runs as stored
from backup_scheduler.temporal.asked_runs import requests_for_runs
from lab.parts.backup_service import BackupService, answering
from lab.parts.waiting import eventually_async
from rpc_service.gateway.jobs import ScheduleGateway
from tests.support.gateway_jobs import SETTINGS, a_job
from tests.support.workers import worker_with

YESTERDAY = datetime.now(UTC).replace(microsecond=0) - timedelta(days=1)


@pytest.fixture
def target(target: BackupService) -> BackupService:
    target.answers = [answering(200)]
    return target


def at(seconds: int) -> datetime:
    return YESTERDAY + timedelta(seconds=seconds)


async def started(temporal: Client, scheduler_id: str, number: int) -> Counter[str]:
    """Wait for the ends of so many runs; return how often each was started."""
    query = f"TemporalScheduledById='{scheduler_id}'"

    async def are_there() -> bool:
        ended = await temporal.count_workflows(f"{query} AND ExecutionStatus!='Running'")
        return ended.count >= number

    await eventually_async(are_there)
    return Counter([run.id async for run in temporal.list_workflows(query)])


async def test_many_processes_that_ask_at_once_start_each_run_once(
    temporal: Client, target: BackupService, schedule: ScheduleHandle, scheduler_id: str
) -> None:
    async with worker_with(temporal, {"documents": target.policy()}) as worker:
        settings = SETTINGS.model_copy(update={"task_queue": worker.task_queue})
        processes = [ScheduleGateway(temporal, settings) for _ in range(4)]
        await processes[0].add(a_job(scheduler_id), "one")

        async def ask(process: ScheduleGateway, second: int) -> str:
            wanted = RunJob(scheduler_id=scheduler_id, at=at(second))
            while True:
                with suppress(TemporalTimeout):  # on a busy machine; then the same call is made again
                    described = await process.runs.start(wanted, Why(), redelivered=False)
                    return str(described["run_id"])

        answers = await asyncio.gather(*(ask(process, second) for second in range(5) for process in processes))
        names = {run_id(scheduler_id, at(second)) for second in range(5)}
        assert set(answers) == names
        assert await started(temporal, scheduler_id, 5) == Counter(dict.fromkeys(names, 1))
        info = (await schedule.describe()).raw_description.info
        assert (info.buffer_size, info.action_count) == (0, 5)


async def test_a_backfill_around_a_moment_that_is_no_occurrence_does_not_stand_for_its_run(
    temporal: Client, target: BackupService, schedule: ScheduleHandle, scheduler_id: str
) -> None:
    async with worker_with(temporal, {"documents": target.policy()}) as worker:
        gateway = ScheduleGateway(temporal, SETTINGS.model_copy(update={"task_queue": worker.task_queue}))
        await gateway.add(a_job(scheduler_id), "one")
        around = ScheduleBackfill(start_at=at(-60), end_at=at(60), overlap=ScheduleOverlapPolicy.BUFFER_ALL)
        await schedule.backfill(around)
        wanted = RunJob(scheduler_id=scheduler_id, at=at(0))
        described = await gateway.runs.start(wanted, Why(), redelivered=False)
        assert described["run_id"] == run_id(scheduler_id, at(0))
        assert await started(temporal, scheduler_id, 1) == Counter([described["run_id"]])


async def test_a_request_that_temporal_dropped_is_made_again(
    temporal: Client, target: BackupService, scheduler_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    requests = 0

    async def overwritten(client: Client, schedule_id: str, *rest: object) -> None:
        """Ask, with a pause by somebody else so close behind that both come in one task of the schedule."""
        nonlocal requests
        requests += 1
        if requests > 1:
            return await ask(client, schedule_id, *rest)  # type: ignore[arg-type]  # as they came
        pause = SchedulePatch(pause="by somebody else")
        message = PatchScheduleRequest(namespace=client.namespace, schedule_id=schedule_id, patch=pause)
        await asyncio.gather(
            ask(client, schedule_id, *rest),  # type: ignore[arg-type]  # as they came
            client.workflow_service.patch_schedule(message),
        )
        return None

    ask = stored.ask_for_run
    monkeypatch.setattr(stored, "ask_for_run", overwritten)
    async with worker_with(temporal, {"documents": target.policy()}) as worker:
        gateway = ScheduleGateway(temporal, SETTINGS.model_copy(update={"task_queue": worker.task_queue}))
        await gateway.add(a_job(scheduler_id), "one")
        for second in range(100):  # in some of them Temporal takes both requests
            requests = 0
            await gateway.runs.start(RunJob(scheduler_id=scheduler_id, at=at(second)), Why(), redelivered=False)
            if any(not each.taken for each in await requests_for_runs(temporal, scheduler_id)):
                break
        else:
            raise AssertionError("no request was dropped, so this shows nothing")
        assert set((await started(temporal, scheduler_id, second + 1)).values()) == {1}


async def test_a_run_that_waits_is_asked_for_once_though_a_trigger_behind_it_was_skipped(
    temporal: Client, target: BackupService, schedule: ScheduleHandle, scheduler_id: str
) -> None:
    ends = asyncio.Event()

    async def goes_on(_: web.Request) -> web.StreamResponse:
        await ends.wait()
        return web.Response()

    target.answers = [goes_on, answering(200)]
    async with worker_with(temporal, {"documents": target.policy()}) as worker:
        settings = SETTINGS.model_copy(update={"task_queue": worker.task_queue})
        gateway = ScheduleGateway(temporal, settings)
        await gateway.add(a_job(scheduler_id), "one")
        for second in range(2):
            await gateway.runs.start(RunJob(scheduler_id=scheduler_id, at=at(second)), Why(), redelivered=False)
        await schedule.trigger(overlap=ScheduleOverlapPolicy.SKIP)
        later = ScheduleGateway(temporal, settings, clock=lambda: datetime.now(UTC) + timedelta(minutes=1))
        again = await later.runs.start(RunJob(scheduler_id=scheduler_id, at=at(1)), Why(), redelivered=False)
        found = await later.runs.get(RunId(run_id=again["run_id"]))
        page = await later.runs.page(JobRuns(scheduler_id=scheduler_id))
        assert (await schedule.describe()).raw_description.info.buffer_size == 1
        ends.set()
        await started(temporal, scheduler_id, 2)
        assert (await schedule.describe()).raw_description.info.action_count == 2
    assert (again["outcome"], again["run_id"], found) == ("waiting", run_id(scheduler_id, at(1)), again)
    assert [each["run_id"] for each in page["runs"]] == [run_id(scheduler_id, at(second)) for second in (1, 0)]


async def test_a_run_that_the_list_does_not_have_yet_is_on_its_first_page(
    temporal: Client, target: BackupService, scheduler_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def lags(*_: object) -> AsyncIterator[WorkflowExecutionInfo]:
        """List nothing, as Temporal does for a moment after the start of a run."""
        for run in list[WorkflowExecutionInfo]():
            yield run

    monkeypatch.setattr(stored, "runs_of", lags)
    async with worker_with(temporal, {"documents": target.policy()}) as worker:
        gateway = ScheduleGateway(temporal, SETTINGS.model_copy(update={"task_queue": worker.task_queue}))
        await gateway.add(a_job(scheduler_id), "one")
        begun = await gateway.runs.start(RunJob(scheduler_id=scheduler_id), Why(), redelivered=False)
        page = await gateway.runs.page(JobRuns(scheduler_id=scheduler_id))
    assert [each["run_id"] for each in page["runs"]] == [begun["run_id"]]


async def test_a_call_that_comes_again_finds_its_run_though_it_named_no_moment(
    temporal: Client, target: BackupService, scheduler_id: str
) -> None:
    now = datetime.now(UTC)
    async with worker_with(temporal, {"documents": target.policy()}) as worker:
        settings = SETTINGS.model_copy(update={"task_queue": worker.task_queue})
        gateway = ScheduleGateway(temporal, settings, clock=lambda: now)
        await gateway.add(a_job(scheduler_id), "one")
        first = await gateway.runs.start(RunJob(scheduler_id=scheduler_id), Why(call="call"), redelivered=False)
        now += timedelta(seconds=20)
        again = await gateway.runs.start(RunJob(scheduler_id=scheduler_id), Why(call="call"), redelivered=True)
        other = await gateway.runs.start(RunJob(scheduler_id=scheduler_id), Why(call="other"), redelivered=True)
        assert again["run_id"] == first["run_id"] != other["run_id"]
        await started(temporal, scheduler_id, 2)


async def test_a_moment_of_the_schedule_is_its_own_run(
    temporal: Client, target: BackupService, schedule: ScheduleHandle, scheduler_id: str
) -> None:
    """An occurrence whose window is open, and whose time in it has not come, is not started a second time."""
    opens = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=3)
    async with worker_with(temporal, {"documents": target.policy()}) as worker:
        gateway = ScheduleGateway(temporal, SETTINGS.model_copy(update={"task_queue": worker.task_queue}))
        await gateway.add(a_job(scheduler_id, f"{opens:%H:%M}").model_copy(update={"duration": 24}), "one")

        def soon(update: ScheduleUpdateInput) -> ScheduleUpdate:
            spec = update.description.schedule.spec
            spec.start_at, spec.intervals[0].offset = None, phase(opens, timedelta(days=7))
            return ScheduleUpdate(update.description.schedule)

        await schedule.update(soon)
        await asyncio.sleep((opens - datetime.now(UTC)).total_seconds())
        described = await gateway.runs.start(RunJob(scheduler_id=scheduler_id, at=opens), Why(), redelivered=False)
        assert (described["outcome"], described["waits_for"]) == ("waiting", "its time in the window")
        assert await gateway.runs.get(RunId(run_id=described["run_id"])) == described
        assert (await gateway.runs.page(JobRuns(scheduler_id=scheduler_id)))["runs"] == [described]
        with pytest.raises(RunNotRunning, match="waits for its time in the window"):
            await gateway.runs.cancel(CancelRun(run_id=described["run_id"]))
        for moment in (opens - timedelta(days=7), opens + timedelta(days=7)):
            with pytest.raises(RunNotFound):
                await gateway.runs.get(RunId(run_id=run_id(scheduler_id, moment)))
        assert (await schedule.describe()).info.num_actions == 0


async def test_a_run_that_starts_while_it_is_looked_for_is_found(
    temporal: Client, target: BackupService, scheduler_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    describe = stored.describe_run
    looks = 0

    async def not_there_at_first(client: Client, run: str) -> object:
        nonlocal looks
        looks += 1
        return None if looks == 1 else await describe(client, run)

    async with worker_with(temporal, {"documents": target.policy()}) as worker:
        gateway = ScheduleGateway(temporal, SETTINGS.model_copy(update={"task_queue": worker.task_queue}))
        await gateway.add(a_job(scheduler_id), "one")
        begun = await gateway.runs.start(RunJob(scheduler_id=scheduler_id, at=at(0)), Why(), redelivered=False)
        await started(temporal, scheduler_id, 1)
        monkeypatch.setattr(stored, "describe_run", not_there_at_first)
        found = await gateway.runs.get(RunId(run_id=begun["run_id"]))
    assert (found["run_id"], found["outcome"]) == (begun["run_id"], "completed")


async def test_a_run_between_two_attempts_does_not_wait_for_a_worker(
    temporal: Client, target: BackupService, scheduler_id: str
) -> None:
    target.answers = [answering(503)]
    seen: list[tuple[int, str | None]] = []
    async with worker_with(temporal, {"documents": target.policy()}) as worker:
        gateway = ScheduleGateway(temporal, SETTINGS.model_copy(update={"task_queue": worker.task_queue}))
        await gateway.add(a_job(scheduler_id), "one")
        begun = await gateway.runs.start(RunJob(scheduler_id=scheduler_id, at=at(0)), Why(), redelivered=False)
        await eventually_async(lambda: asyncio.sleep(0, bool(target.received)))

        async def is_tried_thrice() -> bool:
            described = await gateway.runs.get(RunId(run_id=begun["run_id"]))
            seen.append((described["attempt"], described["waits_for"]))
            return bool(described["attempt"] == 3 and described["waits_for"])

        await eventually_async(is_tried_thrice)
        await gateway.runs.cancel(CancelRun(run_id=begun["run_id"]))
        await started(temporal, scheduler_id, 1)
    assert {each for each in seen if each[1]} == {(2, "its next attempt"), (3, "its next attempt")}


async def test_a_trigger_by_other_means_is_named_so(
    temporal: Client, target: BackupService, schedule: ScheduleHandle, scheduler_id: str
) -> None:
    async with worker_with(temporal, {"documents": target.policy()}) as worker:
        gateway = ScheduleGateway(temporal, SETTINGS.model_copy(update={"task_queue": worker.task_queue}))
        await gateway.add(a_job(scheduler_id), "one")
        await schedule.trigger(overlap=ScheduleOverlapPolicy.BUFFER_ALL)
        [triggered] = await started(temporal, scheduler_id, 1)
        described = await gateway.runs.get(RunId(run_id=triggered))
        assert (described["started_by"], described["outcome"]) == ("trigger", "completed")


@pytest.mark.parametrize(("ago", "duration"), [(timedelta(minutes=2), 0), (timedelta(days=2), 2)])
async def test_a_backfill_makes_its_backup_however_long_ago_its_window_was(
    temporal: Client, target: BackupService, schedule: ScheduleHandle, scheduler_id: str, ago: timedelta, duration: int
) -> None:
    opened = datetime.now(UTC).replace(second=0, microsecond=0) - ago
    terms = a_job(scheduler_id, f"{opened:%H:%M}").model_copy(update={"days": 1, "duration": duration})
    alignment = Alignment(BackupRequest.of(terms, "UTC", opened.date()), opened - timedelta(days=1))
    async with worker_with(temporal, {"documents": target.policy()}) as worker:
        settings = SETTINGS.model_copy(update={"task_queue": worker.task_queue})
        await temporal.create_schedule(scheduler_id, schedule_for(alignment, worker.task_queue))
        window = opened - timedelta(seconds=1), opened + timedelta(hours=duration)
        await schedule.backfill(ScheduleBackfill(*window, overlap=ScheduleOverlapPolicy.BUFFER_ALL))
        [made] = await started(temporal, scheduler_id, 1)
        assert made == run_id(scheduler_id, opened)
        described = await ScheduleGateway(temporal, settings).runs.get(RunId(run_id=made))
    assert (described["started_by"], described["outcome"]) == ("backfill", "completed"), described
