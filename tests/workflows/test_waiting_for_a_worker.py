"""Waiting for a worker, or for a place on one, takes nothing from the time to make a backup."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from aiohttp import web
from temporalio.client import Client, WorkflowExecutionStatus, WorkflowFailureError
from temporalio.common import RetryPolicy
from temporalio.testing import WorkflowEnvironment

import activities.http.backup
from activities.restic.backup import TIME_TO_STOP
from backup_scheduler.runs.results import Outcome
from lab.parts.backup_service import Answer, BackupService, answering, backup_service
from lab.parts.waiting import eventually_async
from tests.support.attempts import attempt_of
from tests.support.backup_requests import a_request
from tests.support.restic_attempts import refused
from tests.support.restic_repository import Restic
from tests.support.workers import busy, worker_process, worker_with
from tests.support.workflow_runs import events, failure, scheduled
from tests.support.workflow_times import seconds
from workflows.engines import ENGINES

SCHEDULED = "EVENT_TYPE_ACTIVITY_TASK_SCHEDULED"


@pytest.fixture(autouse=True)
def _short_times(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(activities.http.backup, "_HEARTBEAT_INTERVAL", timedelta(seconds=1))
    with seconds(LONGEST_WAIT=2, SHORTEST_TRYING=3, HEARTBEAT_TIMEOUT=4, _SPARE=1):
        yield


@pytest.fixture
async def other() -> Any:
    """The service whose backup takes the worker's only place."""
    async with backup_service() as other:
        yield other


def after(delay: float) -> Answer:
    async def answer(_: web.Request) -> web.StreamResponse:
        await asyncio.sleep(delay)
        return web.Response()

    return answer


def ago(past: float) -> dict[str, Any]:
    return scheduled(datetime.now(UTC) - timedelta(seconds=past))


@pytest.mark.parametrize("least", [2, 4])
async def test_an_http_backup_that_finds_a_place_late_has_the_whole_time_of_an_attempt(
    temporal: Client, target: BackupService, other: BackupService, least: int
) -> None:
    target.answers = [after(2)]
    policies = {"nightly": target.policy(timeout=3), "long": other.policy(timeout=60)}
    async with worker_with(temporal, policies, max_backups=1) as runs, busy(runs, other) as free:
        handle = await runs.start(a_request(duration=0, misfire_grace_time=60))

        async def is_late() -> bool:  # a worker is asked for anew every two seconds
            return (await events(handle))[SCHEDULED] >= least

        await eventually_async(is_late)
        await asyncio.sleep(1.2)  # with the attempt's 2 s longer than its timeout
        free.set()
        assert (await handle.result()).outcome is Outcome.COMPLETED
        asked = (await events(handle))[SCHEDULED]
    assert len(target.received) == 1
    assert least <= asked <= least + 1  # on a busy machine the place may be free too late for the last one


async def killed_with(target: BackupService, server: WorkflowEnvironment, task_queue: str) -> None:
    """Let another worker take the backup that waits, and kill it in the middle of that."""
    asked = asyncio.Event()

    async def hang(_: web.Request) -> web.StreamResponse:
        asked.set()
        await asyncio.sleep(60)
        return web.Response()

    target.answers.insert(0, hang)
    async with worker_process(
        TEMPORAL_ADDRESS=server.client.service_client.config.target_host,
        SCHEDULER_TASK_QUEUE=task_queue,
        SCHEDULER_BACKUP_URL=target.policy().url.get_secret_value(),
    ) as process:
        await asyncio.wait_for(asked.wait(), 40)
        process.kill()


@pytest.mark.parametrize("back_off", [1, 5])  # 5 s are more than what is left of the time for trying
async def test_one_whose_worker_died_waits_for_another_as_long_as_it_may_be_late(
    temporal: Client,
    temporal_server: WorkflowEnvironment,
    target: BackupService,
    other: BackupService,
    monkeypatch: pytest.MonkeyPatch,
    back_off: int,
) -> None:
    retries = RetryPolicy(initial_interval=timedelta(seconds=back_off))
    monkeypatch.setitem(ENGINES, "http", replace(ENGINES["http"], retries=retries))
    target.answers = [answering(200)]
    policies = {"nightly": target.policy(timeout=6), "long": other.policy(timeout=60)}
    async with worker_with(temporal, policies, max_backups=1) as runs, busy(runs, other) as free:
        handle = await runs.start(a_request(duration=0, misfire_grace_time=60))
        await killed_with(target, temporal_server, runs.task_queue)
        await asyncio.sleep(9)  # more than the time for trying
        free.set()
        assert (await handle.result()).outcome is Outcome.COMPLETED
    assert len(target.received) == 2
    assert len({request.headers["Idempotency-Key"] for request in target.received}) == 1


async def test_one_whose_worker_died_is_not_asked_for_anew_when_it_was_cancelled(
    temporal: Client, temporal_server: WorkflowEnvironment, target: BackupService, other: BackupService
) -> None:
    target.answers = [answering(200)]
    policies = {"nightly": target.policy(timeout=6), "long": other.policy(timeout=60)}
    async with worker_with(temporal, policies, max_backups=1) as runs, busy(runs, other):
        handle = await runs.start(a_request(duration=0, misfire_grace_time=60))
        await killed_with(target, temporal_server, runs.task_queue)
        asked = (await events(handle))[SCHEDULED]
        await handle.cancel()
        with pytest.raises(WorkflowFailureError):
            await handle.result()
        assert (await handle.describe()).status is WorkflowExecutionStatus.CANCELED
        assert (await events(handle))[SCHEDULED] == asked


async def test_one_with_a_short_grace_time_is_not_given_up_before_its_time_for_trying_is_over(
    temporal: Client, target: BackupService, other: BackupService
) -> None:
    target.answers = [after(2)]
    policies = {"nightly": target.policy(timeout=3), "long": other.policy(timeout=60)}
    with seconds(SHORTEST_TRYING=5):
        async with worker_with(temporal, policies, max_backups=1) as runs, busy(runs, other) as free:
            handle = await runs.start(a_request(duration=0, misfire_grace_time=10), **ago(6))
            await asyncio.sleep(4.5)  # more than the 4 s for which it may still wait
            free.set()
            assert (await handle.result()).outcome is Outcome.COMPLETED
            assert (await events(handle))[SCHEDULED] == 1


async def test_one_that_no_worker_took_says_so(temporal: Client, target: BackupService, other: BackupService) -> None:
    policies = {"nightly": target.policy(timeout=1), "long": other.policy(timeout=60)}
    async with worker_with(temporal, policies, max_backups=1) as runs, busy(runs, other):
        handle = await runs.start(a_request(duration=0, misfire_grace_time=10), **ago(4))
        error, result = await failure(handle)
    assert error.message == "no worker took the backup before its time was up: none was running, or all were busy"
    assert result.outcome is Outcome.FAILED
    assert result.finished_at - result.started_at > timedelta(seconds=6)
    assert target.received == []


async def test_one_that_no_worker_took_again_tells_its_last_failure_too(
    temporal: Client, target: BackupService, other: BackupService
) -> None:
    target.answers = [answering(503, headers={"Retry-After": "2"})]
    policies = {"nightly": target.policy(timeout=1), "long": other.policy(timeout=60)}
    async with worker_with(temporal, policies, max_backups=1) as runs:
        handle = await runs.start(a_request(duration=0, misfire_grace_time=10), **ago(2))

        async def asked() -> bool:
            return bool(target.received)

        await eventually_async(asked)
        async with busy(runs, other):
            error, _ = await failure(handle)
        assert (await events(handle))[SCHEDULED] > 1
    assert error.message == (
        "127.0.0.1 answered 503 Service Unavailable; after that no worker took it before its time was up"
    )


async def test_a_restic_backup_that_finds_a_place_late_has_the_whole_time_of_an_attempt(
    temporal: Client, restic: Restic, other: BackupService
) -> None:
    policies: dict[str, Any] = {"nightly": restic.policy(timeout=12), "long": other.policy(timeout=60)}
    async with worker_with(temporal, policies, max_backups=1) as runs, busy(runs, other) as free:
        handle = await runs.start(a_request(duration=0, misfire_grace_time=60))
        await asyncio.sleep(13)
        free.set()
        assert (await handle.result()).outcome is Outcome.COMPLETED


@pytest.mark.parametrize(
    ("spent", "sentence"),
    [
        (30, "the backup did not end within its time limit of 2 s"),
        (59, "the backup did not end within its time limit of 2 s, of which 1 s were left when a worker took it"),
    ],
)
async def test_a_restic_backup_ends_by_itself_before_temporal_gives_it_up(
    restic: Restic, monkeypatch: pytest.MonkeyPatch, spent: int, sentence: str
) -> None:
    monkeypatch.setenv("PATH", restic.slow_path())
    restic.fill(60)
    environment = attempt_of()
    environment.info = replace(
        environment.info,
        scheduled_time=environment.info.started_time - timedelta(seconds=spent),
        start_to_close_timeout=timedelta(seconds=2) + TIME_TO_STOP,
        schedule_to_close_timeout=timedelta(seconds=60) + TIME_TO_STOP,
    )
    error = await refused(restic.policy(), environment=environment)
    assert (error.message, error.non_retryable) == (sentence, True)
    assert restic.locks() == []
