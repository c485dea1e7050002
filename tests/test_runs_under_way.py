"""Changes of a job while a run of it is under way, and what comes of that run, of those that wait and of later ones."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from aiohttp import web
from temporalio.client import Client, ScheduleHandle, ScheduleOverlapPolicy

from backup_scheduler.runs.results import Outcome
from lab.parts.backup_service import BackupService
from lab.parts.waiting import eventually_async
from rpc_service.gateway.jobs import ScheduleGateway
from tests.support.gateway_jobs import SETTINGS, PacedJob, a_job
from tests.support.runs import Run, make_job, runs_of
from tests.support.workers import worker_with
from tests.support.workflow_runs import events, run_of

BUFFER_ALL = ScheduleOverlapPolicy.BUFFER_ALL
CANCELLED = "EVENT_TYPE_WORKFLOW_EXECUTION_CANCEL_REQUESTED"
"""The backup may have ended before its worker hears of a cancellation."""


@dataclass
class Slow:
    """A backup service whose first answer waits until `may_end` is set; all others come at once."""

    target: BackupService
    first_status: int = 200
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    may_end: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.target.answers = [self._answer]

    async def _answer(self, _: web.Request) -> web.StreamResponse:
        if self.asked.is_set():
            return web.Response()
        self.asked.set()
        await self.may_end.wait()
        return web.Response(status=self.first_status, headers={"Retry-After": "1"})


def at_another_time() -> str:
    """Return a start_time that does not come soon."""
    return f"{datetime.now(UTC) + timedelta(hours=12):%H:%M}"


@asynccontextmanager
async def a_worker(temporal: Client, target: BackupService) -> AsyncIterator[str]:
    """Run a worker with a policy for each name that the tests use; yields its task queue."""
    policies = {name: target.policy(url=f"{target.url}/{name}") for name in ("http", "first", "second")}
    async with worker_with(temporal, policies) as runs:
        yield runs.task_queue


async def test_a_modify_leaves_the_run_under_way_its_terms_and_the_next_run_has_the_new_ones(
    temporal: Client, target: BackupService, schedule: ScheduleHandle, scheduler_id: str
) -> None:
    slow = Slow(target, first_status=503)  # its second attempt begins after the modify
    async with a_worker(temporal, target) as queue:
        gateway = ScheduleGateway(temporal, SETTINGS.model_copy(update={"task_queue": queue}))
        await gateway.add(a_job(scheduler_id, at_another_time(), "first", url_kwargs={"depth": 1}), "one")
        await schedule.trigger(overlap=BUFFER_ALL)
        await slow.asked.wait()
        await gateway.modify(a_job(scheduler_id, at_another_time(), "second", url_kwargs={"depth": 2}), "two")
        slow.may_end.set()
        under_way = await (await run_of(temporal, scheduler_id, 1)).result()
        await schedule.trigger(overlap=BUFFER_ALL)
        following = await (await run_of(temporal, scheduler_id, 2)).result()
    assert [(each.outcome, each.policy_name) for each in (under_way, following)] == [
        (Outcome.COMPLETED, "first"),
        (Outcome.COMPLETED, "second"),
    ]
    asked = [(request.path, dict(request.form)["depth"]) for request in target.received]
    assert asked == [("/first", "1"), ("/first", "1"), ("/second", "2")]


async def test_a_remove_leaves_the_run_under_way_to_finish(
    temporal: Client, target: BackupService, schedule: ScheduleHandle, scheduler_id: str
) -> None:
    slow = Slow(target)
    async with a_worker(temporal, target) as queue:
        gateway = ScheduleGateway(temporal, SETTINGS.model_copy(update={"task_queue": queue}))
        await gateway.add(a_job(scheduler_id, at_another_time(), "first"), "one")
        await schedule.trigger(overlap=BUFFER_ALL)
        await slow.asked.wait()
        run = await run_of(temporal, scheduler_id, 1)
        await gateway.remove(scheduler_id, "gone")
        slow.may_end.set()
        assert (await run.result()).outcome is Outcome.COMPLETED
        assert CANCELLED not in await events(run)
    assert len(target.received) == 1


async def test_of_a_pause_only_the_run_under_way_is_left_and_a_resume_makes_up_for_nothing(
    temporal: Client, target: BackupService, schedule: ScheduleHandle, scheduler_id: str
) -> None:
    slow = Slow(target)
    gateway = ScheduleGateway(temporal, SETTINGS, stored_job=PacedJob)

    async def info(is_as_wanted: Callable[[int, int], bool]) -> None:
        async def look() -> bool:
            shown = (await schedule.describe()).raw_description.info
            return is_as_wanted(len(shown.running_workflows), shown.buffer_size)

        await eventually_async(look)

    async with a_worker(temporal, target) as queue:
        job = await make_job(temporal, scheduler_id, queue, runs=600, every=2, grace=3600)
        await slow.asked.wait()
        await info(lambda running, waiting: running == 1 and waiting >= 1)
        await gateway.pause(scheduler_id)
        paused = datetime.now(UTC)
        # Until one more has come due; a third of a second past it, a trigger would have a time of its own.
        due = next(moment for moment in job.times if moment > paused)
        await asyncio.sleep((due - datetime.now(UTC)).total_seconds() + 0.3)
        slow.may_end.set()
        await info(lambda running, waiting: running == waiting == 0)
        resuming = datetime.now(UTC)
        await gateway.resume(scheduler_id)
        await run_of(temporal, scheduler_id, 2)
        await schedule.pause()
        await info(lambda running, waiting: running == waiting == 0)
        started = (await schedule.describe()).info.num_actions

        async def all_listed() -> list[Run] | None:  # the list of runs lags
            listed = await runs_of(temporal, scheduler_id)
            return listed if len(listed) == started else None

        found: list[Run] = await eventually_async(all_listed)
        assert CANCELLED not in await events(await run_of(temporal, scheduler_id, 1))
    await schedule.delete()
    under_way, *later = found
    assert under_way.nominal == job.first
    assert later
    assert {run.outcome for run in found} == {Outcome.COMPLETED}
    assert [run.nominal for run in later if not (run.nominal in job.times and run.nominal > resuming)] == []
    assert len(target.received) == len(found)
