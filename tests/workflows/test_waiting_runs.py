"""Runs that waited for the one before are not late, however that one ended."""

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest
from aiohttp import web
from temporalio.client import (
    Client,
)

from activities import run_origin
from backup_scheduler.runs.asked import Asked, StartedBy
from backup_scheduler.runs.results import Outcome
from lab.parts.backup_service import BackupService, answering
from lab.parts.waiting import eventually_async
from tests.support.workers import Runs, worker_with
from tests.support.workflow_runs import LATE, Handle, failure, run_of, two_runs


@pytest.fixture(autouse=True)
def _nobody_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """A backfill stands in for runs that came due long ago; a run that somebody asks for would not be late."""

    async def came_due(*_: object) -> Asked:
        return Asked(by=StartedBy.SCHEDULE)

    monkeypatch.setattr(run_origin, "who_asked", came_due)


async def nothing(_: Handle) -> None:
    """Let it end by itself."""


async def cancel(handle: Handle) -> None:
    await handle.cancel()


async def terminate(handle: Handle) -> None:
    await handle.terminate()


@pytest.mark.parametrize(
    ("stop", "limit"), [(cancel, None), (terminate, None), (nothing, 8)], ids=["cancelled", "terminated", "timed out"]
)
async def test_a_run_is_made_that_waited_for_one_that_was_stopped(
    temporal: Client, target: BackupService, stop: Callable[[Handle], Awaitable[None]], limit: int | None
) -> None:
    async def hang(_: web.Request) -> web.StreamResponse:
        await asyncio.sleep(60)
        return web.Response()

    target.answers = [hang, answering(200)]
    async with worker_with(temporal, {"nightly": target.policy()}) as runs:
        schedule_id = await two_runs(runs, limit=timedelta(seconds=limit) if limit else None)
        await eventually_async(lambda: asyncio.sleep(0, bool(target.received)))
        await stop(await run_of(temporal, schedule_id, 1))
        second = await run_of(temporal, schedule_id, 2)
        result = await second.result()
    assert result.outcome is Outcome.COMPLETED
    assert result.started_at - result.scheduled_time > LATE


async def test_a_run_behind_one_that_was_missed_is_missed_too(temporal: Client, target: BackupService) -> None:
    queue = f"queue-{uuid.uuid4()}"
    schedule_id = await two_runs(Runs(temporal, queue), first_late=True)
    async with worker_with(temporal, {"nightly": target.policy()}, task_queue=queue):
        for number in (1, 2):
            _, result = await failure(await run_of(temporal, schedule_id, number), "BackupMissed")
            assert result.outcome is Outcome.MISSED
    assert target.received == []
