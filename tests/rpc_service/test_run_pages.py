"""Pages of get_job_runs, with an index of Temporal's that lags."""

import uuid
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from temporalio.api.workflow.v1 import WorkflowExecutionInfo
from temporalio.client import Client

from backup_scheduler.jobs.recent_runs import COMPLETED, RUNNING
from backup_scheduler.runs import description
from backup_scheduler.runs.arguments import JobRuns, RunId, RunJob
from backup_scheduler.runs.asked import Why
from backup_scheduler.temporal import runs as stored
from lab.parts.backup_service import BackupService, answering
from lab.parts.waiting import eventually_async
from rpc_service.gateway.jobs import ScheduleGateway
from tests.support.gateway_jobs import SETTINGS, a_job
from tests.support.workers import worker_with

YESTERDAY = datetime.now(UTC).replace(microsecond=0) - timedelta(days=1)


class Index:
    """Temporal's index of runs, which has what a test puts into it."""

    def __init__(self) -> None:
        self.runs: list[WorkflowExecutionInfo] = []

    async def runs_of(
        self, client: Client, schedule_id: str, conditions: Sequence[str], page: int
    ) -> AsyncIterator[WorkflowExecutionInfo]:
        before = [datetime.fromisoformat(each.split("'")[1]) for each in conditions if each.startswith("StartTime")]
        for run in self.runs:
            if not before or run.start_time.ToDatetime(UTC) < before[0]:
                yield run


@pytest.fixture
def index(monkeypatch: pytest.MonkeyPatch) -> Index:
    made = Index()
    monkeypatch.setattr(stored, "runs_of", made.runs_of)
    return made


@pytest.fixture
async def gateway(temporal: Client, target: BackupService, scheduler_id: str) -> AsyncIterator[ScheduleGateway]:
    """A gateway with a job of that id."""
    target.answers = [answering(200)]
    async with worker_with(temporal, {"documents": target.policy()}) as worker:
        made = ScheduleGateway(temporal, SETTINGS.model_copy(update={"task_queue": worker.task_queue}))
        await made.add(a_job(scheduler_id), "one")
        yield made


async def ended(gateway: ScheduleGateway, scheduler_id: str, number: int) -> list[str]:
    """Make so many runs, one after the other; return their ids, the last one first."""
    made: list[str] = []
    for second in range(number):
        wanted = RunJob(scheduler_id=scheduler_id, at=YESTERDAY + timedelta(seconds=second))
        run_id = (await gateway.runs.start(wanted, Why(), redelivered=False))["run_id"]

        async def is_over(run_id: str = run_id) -> bool:
            return (await gateway.runs.get(RunId(run_id=run_id)))["closed_at"] is not None

        await eventually_async(is_over)
        made.insert(0, run_id)
    return made


async def info_of(temporal: Client, run_id: str) -> WorkflowExecutionInfo:
    found = await stored.describe_run(temporal, run_id)
    assert found
    return found.workflow_execution_info


async def pages(gateway: ScheduleGateway, scheduler_id: str, limit: int, **wanted: Any) -> list[list[str]]:
    """Return the ids of the runs on each page."""
    read: list[list[str]] = []
    before: datetime | None = None
    while True:
        page = await gateway.runs.page(JobRuns(scheduler_id=scheduler_id, limit=limit, before=before, **wanted))
        read.append([each["run_id"] for each in page["runs"]])
        if page["next"] is None:
            return read
        before = datetime.fromisoformat(page["next"])


async def test_only_runs_with_the_wanted_outcome_are_listed_though_the_index_has_another_one(
    temporal: Client, gateway: ScheduleGateway, scheduler_id: str, index: Index
) -> None:
    made = await ended(gateway, scheduler_id, 2)
    for run_id in made:
        run = WorkflowExecutionInfo()
        run.CopyFrom(await info_of(temporal, run_id))
        run.status = description.OPEN
        run.ClearField("close_time")
        index.runs.append(run)
    read = await pages(gateway, scheduler_id, 1, outcome=RUNNING)
    assert not any(read)
    assert len(read) >= len(made)  # the next page begins behind what was read
    assert [each for page in await pages(gateway, scheduler_id, 5, outcome=COMPLETED) for each in page] == made


async def test_runs_that_the_index_lacks_are_on_later_pages_too(
    gateway: ScheduleGateway, scheduler_id: str, index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    # This index never has the runs, however long they take.
    monkeypatch.setattr("rpc_service.gateway.runs._LISTS_LAG", timedelta(minutes=5))
    made = await ended(gateway, scheduler_id, 3)
    assert [each for page in await pages(gateway, scheduler_id, 1) for each in page] == made
    assert [each for page in await pages(gateway, scheduler_id, 1, outcome=COMPLETED) for each in page] == made


@pytest.mark.parametrize("limit", [1, 3])
async def test_there_is_a_next_page_only_if_it_has_a_run(
    temporal: Client, gateway: ScheduleGateway, scheduler_id: str, index: Index, limit: int
) -> None:
    made = await ended(gateway, scheduler_id, 3)
    index.runs = [await info_of(temporal, run_id) for run_id in made]
    read = await pages(gateway, scheduler_id, limit)
    assert [len(page) for page in read] == [limit] * (3 // limit)
    assert [each for page in read for each in page] == made


async def test_a_run_has_the_whole_names_of_its_job_and_policy_before_and_after_its_end(temporal: Client) -> None:
    long_id, long_policy = f"{uuid.uuid4()}{'备份' * 40}", f"策略{uuid.uuid4()}{'策略' * 40}"
    gateway = ScheduleGateway(temporal, SETTINGS.model_copy(update={"task_queue": f"nobody's-{uuid.uuid4()}"}))
    await gateway.add(a_job(long_id, policy_name=long_policy), "one")
    run_id = (await gateway.runs.start(RunJob(scheduler_id=long_id), Why(), redelivered=False))["run_id"]

    async def assert_whole_names() -> None:
        [listed] = (await gateway.runs.page(JobRuns(scheduler_id=long_id)))["runs"]
        for run in (listed, await gateway.runs.get(RunId(run_id=run_id))):
            assert (run["job_id"], run["policy_name"]) == (long_id, long_policy)

    await assert_whole_names()
    await temporal.get_workflow_handle(run_id).terminate()
    await assert_whole_names()
    await gateway.remove(long_id, "two")
    gone = await gateway.runs.get(RunId(run_id=run_id))
    assert (gone["job_id"], gone["policy_name"]) == (long_id, long_policy)
