"""BackupWorkflow in Temporal's Web UI: outcome, details, search attribute, history."""

import asyncio
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import psutil
import pytest
from aiohttp import web
from temporalio.client import (
    Client,
    ScheduleActionStartWorkflow,
    WorkflowExecutionStatus,
    WorkflowFailureError,
    WorkflowHandle,
)
from temporalio.exceptions import ApplicationError, CancelledError

from backup_scheduler.jobs.names import BACKUP_WORKFLOW, OUTCOME
from backup_scheduler.jobs.to_schedule import Alignment, schedule_for
from backup_scheduler.runs.results import Outcome
from lab.parts.backup_service import BackupService, answering
from lab.parts.waiting import eventually_async
from tests.support.backup_requests import a_request
from tests.support.restic_repository import Restic
from tests.support.skipping_time import skipping_time
from tests.support.workers import worker_with
from tests.support.workflow_runs import events, failure, scheduled

METADATA = "__temporal_workflow_metadata"


async def outcome_shown(handle: WorkflowHandle[Any, Any]) -> str | None:
    return (await handle.describe()).typed_search_attributes.get(OUTCOME)


async def details_shown(handle: WorkflowHandle[Any, Any]) -> str:
    return str((await handle.query(METADATA)).current_details)


async def test_an_http_run_tells_its_result_everywhere_a_person_looks(temporal: Client, target: BackupService) -> None:
    target.answers = [answering(text='{"id": 7}', content_type="application/json")]
    async with worker_with(temporal, {"nightly": target.policy()}) as runs:
        handle = await runs.start(a_request())
        result = await handle.result()
        assert result.outcome is Outcome.COMPLETED
        assert result.answer is not None
        assert result.answer.body == {"id": 7}
        assert result.scheduled_time <= result.started_at <= result.finished_at
        assert await outcome_shown(handle) == "completed"
        assert await details_shown(handle) == (
            "**completed**: 127.0.0.1 answered 200\n\n- answer: HTTP status 200\n- started by trigger"
        )
        counted = await events(handle)
        assert target.received[0].headers["Idempotency-Key"] == f"{handle.id}~{handle.first_execution_run_id}"
    assert counted["EVENT_TYPE_WORKFLOW_TASK_COMPLETED"] == 2
    assert counted["EVENT_TYPE_UPSERT_WORKFLOW_SEARCH_ATTRIBUTES"] == 2  # of the patch, and of the outcome


async def test_every_attempt_of_one_occurrence_carries_the_same_key(temporal: Client, target: BackupService) -> None:
    target.answers = [answering(429, headers={"Retry-After": "1"}), answering(200)]
    async with worker_with(temporal, {"nightly": target.policy()}) as runs:
        handle = await runs.start(a_request())
        assert (await handle.result()).outcome is Outcome.COMPLETED
    key = f"{handle.id}~{handle.first_execution_run_id}"
    assert [request.headers["Idempotency-Key"] for request in target.received] == [key, key]


async def test_a_restic_run_tells_snapshot_and_sizes(temporal: Client, restic: Restic) -> None:
    async with worker_with(temporal, {"nightly": restic.policy()}) as runs:
        handle = await runs.start(a_request())
        result = await handle.result()
        assert (result.outcome, result.files, result.bytes_processed) == (Outcome.COMPLETED, 2, 9)
        details = await details_shown(handle)
    assert f"- snapshot: `{result.snapshot_id}`\n- repository: `{restic.repository}`\n- files: 2\n" in details
    assert "- size: 9 bytes" in details


async def test_a_target_that_refuses_fails_the_run_with_a_result_in_its_details(
    temporal: Client, target: BackupService
) -> None:
    target.answers = [answering(404)]
    async with worker_with(temporal, {"nightly": target.policy()}) as runs:
        handle = await runs.start(a_request())
        error, result = await failure(handle)
        assert error.message == result.message == "127.0.0.1 answered 404 Not Found"
        assert (result.outcome, result.scheduler_id, result.policy_name) == (Outcome.FAILED, "job-1", "nightly")
        assert await outcome_shown(handle) == "failed"
        assert await details_shown(handle) == "**failed**: 127.0.0.1 answered 404 Not Found\n\n- started by trigger"
    assert len(target.received) == 1


async def test_a_policy_that_is_not_configured_fails_at_once_and_says_what_to_configure(temporal: Client) -> None:
    async with worker_with(temporal) as runs:
        handle = await runs.start(a_request(policy_name="other"))
        error, result = await failure(handle)
        assert "[policies.other]" in error.message
        assert "SCHEDULER_BACKUP_URL" in error.message
        assert result.outcome is Outcome.FAILED
        assert await outcome_shown(handle) == "failed"
        assert (await events(handle))["EVENT_TYPE_WORKFLOW_TASK_COMPLETED"] == 1


@pytest.mark.parametrize("given", [(), (None,), ({},), ("text",), (b"bytes",)])
async def test_a_run_without_terms_fails_and_says_what_to_do(temporal: Client, given: tuple[Any, ...]) -> None:
    async with worker_with(temporal) as runs:
        handle = await temporal.start_workflow(
            BACKUP_WORKFLOW, args=given, id=f"backup-{uuid.uuid4()}", task_queue=runs.task_queue
        )
        with pytest.raises(WorkflowFailureError) as caught:
            async with asyncio.timeout(20):  # else it would go on for ever
                await handle.result()
    assert isinstance(caught.value.cause, ApplicationError)
    assert "no terms that can be read" in caught.value.cause.message
    assert "add it anew" in caught.value.cause.message


async def test_an_unlisted_policy_falls_back_to_the_backup_url(temporal: Client, target: BackupService) -> None:
    target.answers = [answering(200)]
    async with worker_with(temporal, fallback=target.policy()) as runs:
        assert (await (await runs.start(a_request(policy_name="any"))).result()).outcome is Outcome.COMPLETED
    assert ("policy_name", "any") in target.received[0].form


async def test_a_run_later_than_window_and_grace_time_is_missed(temporal: Client, target: BackupService) -> None:
    nominal = datetime.now(UTC) - timedelta(hours=2, minutes=5)
    async with worker_with(temporal, {"nightly": target.policy()}) as runs:
        handle = await runs.start(a_request(), **scheduled(nominal))
        error, result = await failure(handle, "BackupMissed")
        assert (result.outcome, result.scheduled_time) == (Outcome.MISSED, nominal)
        assert error.message == result.message
        assert result.message.startswith("picked up 0:05:")
        assert "`temporal schedule trigger --overlap-policy BufferAll -s job-1`" in result.message
        assert await outcome_shown(handle) == "missed"
        assert (await events(handle))["EVENT_TYPE_WORKFLOW_TASK_COMPLETED"] == 1
    assert target.received == []


async def test_a_run_within_its_grace_time_is_made(temporal: Client, target: BackupService) -> None:
    target.answers = [answering(200)]
    nominal = datetime.now(UTC) - timedelta(hours=1, minutes=55)
    async with worker_with(temporal, {"nightly": target.policy()}) as runs:
        result = await (await runs.start(a_request(), **scheduled(nominal))).result()
    assert (result.outcome, result.scheduled_time) == (Outcome.COMPLETED, nominal)


async def test_a_cancelled_run_ends_after_its_backup_is_gone(temporal: Client, target: BackupService) -> None:
    asked, gone = asyncio.Event(), asyncio.Event()

    async def hang(_: web.Request) -> web.StreamResponse:
        asked.set()
        try:
            await asyncio.sleep(60)
        finally:
            gone.set()
        return web.Response()

    target.answers = [hang]
    async with worker_with(temporal, {"nightly": target.policy()}) as runs:
        handle = await runs.start(a_request())
        await asked.wait()
        await handle.cancel()
        with pytest.raises(WorkflowFailureError) as caught:
            await handle.result()
        assert isinstance(caught.value.cause, CancelledError)
        assert (await handle.describe()).status is WorkflowExecutionStatus.CANCELED
        assert (await events(handle))["EVENT_TYPE_ACTIVITY_TASK_CANCELED"] == 1
    await asyncio.wait_for(gone.wait(), 60)


INTERRUPTED = """#!/bin/sh
PATH="${{PATH#*:}}"
case "$*" in
*backup*) trap : INT; restic --limit-upload 4000 --pack-size 4 "$@"; code=$?; sleep 2; touch {ended}; exit $code;;
*) exec restic "$@";;
esac
"""
"""A restic that uploads 4 MB a second; after SIGINT it needs two seconds more than the real one to end."""


async def test_a_cancelled_run_closes_only_after_its_restic_has_ended(
    temporal: Client, restic: Restic, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended = restic.folder / "ended"
    monkeypatch.setenv("PATH", restic.path_with(INTERRUPTED.format(ended=ended)))
    restic.fill(60)

    async with worker_with(temporal, {"nightly": restic.policy()}) as runs:
        handle = await runs.start(a_request())
        await restic.uploads()
        await handle.cancel()
        with pytest.raises(WorkflowFailureError) as caught:
            await handle.result()
        assert isinstance(caught.value.cause, CancelledError)
        assert "restic" not in [child.name() for child in psutil.Process().children(recursive=True)]
        assert restic.locks() == []
        closed = (await handle.describe()).close_time
    assert closed is not None
    assert closed >= datetime.fromtimestamp(ended.stat().st_mtime, UTC)
    assert "[]" in await restic("snapshots", "--json")


async def test_a_worker_that_stops_hands_its_run_to_another_at_once(temporal: Client, target: BackupService) -> None:
    asked = asyncio.Event()

    async def hang(_: web.Request) -> web.StreamResponse:
        asked.set()
        await asyncio.sleep(60)
        return web.Response()

    target.answers = [hang, answering(200)]
    policies = {"nightly": target.policy()}
    task_queue = f"queue-{uuid.uuid4()}"
    async with worker_with(temporal, policies, task_queue=task_queue) as runs:
        handle = await runs.start(a_request())
        await asked.wait()
    stopped = datetime.now(UTC)
    async with worker_with(temporal, policies, task_queue=task_queue):
        result = await handle.result()
    assert result.outcome is Outcome.COMPLETED
    assert result.finished_at - stopped < timedelta(seconds=25)


@pytest.mark.programs
@pytest.mark.parametrize(("duration", "least", "most"), [(0, 900, 1200), (2, 7000, 7600)])
async def test_a_target_that_stays_down_is_tried_until_the_window_ends_but_for_15_minutes(
    target: BackupService, duration: int, least: int, most: int
) -> None:
    target.answers = [answering(503)]
    async with (
        skipping_time() as skipping,
        worker_with(skipping.client, {"nightly": target.policy(timeout=1)}) as runs,
    ):
        handle = await runs.start(a_request(duration=duration))
        _, result = await failure(handle)
    assert result.message == "127.0.0.1 answered 503 Service Unavailable; it was tried until its time was up"
    tried = (result.finished_at - result.started_at).total_seconds()
    assert least - 120 <= tried <= most  # the next attempt, up to 2 minutes later, would be too late
    assert len(target.received) > 8


@pytest.mark.programs
async def test_the_longest_backup_that_a_policy_allows_is_not_ended_before_its_time(target: BackupService) -> None:
    longest = timedelta(days=30)
    target.answers = [answering(429, headers={"Retry-After": "86400"})]
    request = a_request(duration=0, misfire_grace_time=1)
    action = schedule_for(Alignment(request, datetime.now(UTC)), "backups").action
    assert isinstance(action, ScheduleActionStartWorkflow)
    async with (
        skipping_time() as skipping,
        worker_with(skipping.client, {"nightly": target.policy(timeout=longest)}) as runs,
    ):
        handle = await runs.start(request, execution_timeout=action.execution_timeout)
        _, result = await failure(handle)
    assert result.message == "127.0.0.1 answered 429 Too Many Requests; it was tried until its time was up"
    assert longest - timedelta(hours=1) < result.finished_at - result.started_at < longest + timedelta(hours=1)


async def test_progress_of_restic_shows_while_it_runs(
    temporal: Client, restic: Restic, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", restic.slow_path())
    restic.fill(12)
    async with worker_with(temporal, {"nightly": restic.policy()}) as runs:
        handle = await runs.start(a_request())

        async def heartbeats() -> str:
            pending = (await handle.describe()).raw_description.pending_activities
            return "".join(str(payload.data) for each in pending for payload in each.heartbeat_details.payloads)

        assert '"step":' in await eventually_async(heartbeats)
        await handle.result()
