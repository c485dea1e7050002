"""Runs whose backup ends later than the answer of the service: what they wait for, and how they end."""

import asyncio
import json
from collections import Counter
from typing import Any

import pytest
from aiohttp import web
from temporalio.api.enums.v1 import EventType
from temporalio.client import Client, WorkflowExecutionStatus, WorkflowFailureError, WorkflowHandle
from temporalio.exceptions import CancelledError

from backup_scheduler.jobs.names import OUTCOME
from backup_scheduler.policies.http import HttpPolicy
from backup_scheduler.runs.results import Outcome
from lab.parts.backup_service import Answer, BackupService, answering
from lab.parts.waiting import eventually_async
from tests.support.backup_requests import a_request
from tests.support.workers import worker_with
from tests.support.workflow_runs import events, failure, summaries

ACCEPTED = answering(202, headers={"Location": "/jobs/7"})


def says(**status: Any) -> Answer:
    return answering(text=json.dumps(status), content_type="application/json")


def later(target: BackupService, **changes: Any) -> HttpPolicy:
    states: dict[str, Any] = {"state": "/state", "done": ["ok"], "failed": ["bad"], "percent": "/percent"}
    return target.policy(**{"completion": "poll", "poll_every": 0.1, **states, **changes})


async def details(handle: WorkflowHandle[Any, Any]) -> str:
    return str((await handle.query("__temporal_workflow_metadata")).current_details)


async def pending(handle: WorkflowHandle[Any, Any]) -> str:
    """Return the heartbeat details of the run's activity."""
    shown = (await handle.describe()).raw_description.pending_activities
    return "".join(payload.data.decode() for each in shown for payload in each.heartbeat_details.payloads)


async def test_a_run_is_completed_only_when_the_service_says_that_its_backup_has_ended(
    temporal: Client, target: BackupService
) -> None:
    free = asyncio.Event()

    async def running(_: web.Request) -> web.StreamResponse:
        state = {"state": "ok", "size": 9} if free.is_set() else {"state": "copying", "percent": 40}
        return web.json_response(state)

    target.answers = [ACCEPTED, running]
    async with worker_with(temporal, {"nightly": later(target, bytes="/size")}) as runs:
        handle = await runs.start(a_request())

        async def shown() -> str:
            return await pending(handle)

        assert (await eventually_async(shown)).startswith('{"step":"127.0.0.1 says \'copying\'","percent":40.0,')
        assert await details(handle) == (
            "**running**: 127.0.0.1 answered 202, the backup goes on there\n\n"
            "- started by trigger\n- how far it is: tab Pending Activities"
        )
        assert (await handle.describe()).status is WorkflowExecutionStatus.RUNNING
        free.set()
        result = await handle.result()
        assert (
            await details(handle)
            == "**completed**: 127.0.0.1 says 'ok'\n\n- size: 9 bytes\n- answer: HTTP status 200\n- started by trigger"
        )
        assert await summaries(handle) == ["Backup nightly for job-1", "Asks the service until the backup has ended"]
    assert (result.outcome, result.bytes_processed) == (Outcome.COMPLETED, 9)
    assert result.answer is not None
    assert result.answer.body == {"state": "ok", "size": 9}
    assert Counter(request.method for request in target.received)["POST"] == 1


async def test_a_backup_that_fails_later_fails_its_run(temporal: Client, target: BackupService) -> None:
    target.answers = [ACCEPTED, says(state="copying"), says(state="bad", why="no disk")]
    async with worker_with(temporal, {"nightly": later(target, message="/why")}) as runs:
        handle = await runs.start(a_request())
        error, result = await failure(handle)
        assert (await handle.describe()).typed_search_attributes.get(OUTCOME) == "failed"
    assert error.message == result.message == "127.0.0.1 says 'bad': no disk"


async def test_a_backup_that_never_ends_fails_its_run_when_the_time_is_up(
    temporal: Client, target: BackupService
) -> None:
    target.answers = [ACCEPTED, says(state="napping")]
    async with worker_with(temporal, {"nightly": later(target, completes_within=2)}) as runs:
        error, result = await failure(await runs.start(a_request()))
    assert error.message == "the backup did not end within 2 s; at last: 127.0.0.1 says 'napping'"
    assert (result.finished_at - result.started_at).total_seconds() >= 2


async def test_a_service_that_does_not_say_how_to_learn_of_the_end_is_asked_once(
    temporal: Client, target: BackupService
) -> None:
    target.answers = [answering(202)]
    async with worker_with(temporal, {"nightly": later(target)}) as runs:
        error, _ = await failure(await runs.start(a_request()))
    assert "named no status URL" in error.message
    assert len(target.received) == 1


async def test_a_cancelled_run_asks_no_more_and_ends_as_cancelled(temporal: Client, target: BackupService) -> None:
    target.answers = [ACCEPTED, says(state="copying")]
    async with worker_with(temporal, {"nightly": later(target)}) as runs:
        handle = await runs.start(a_request())

        async def looked() -> bool:
            return len(target.received) > 2

        await eventually_async(looked)
        await handle.cancel()
        with pytest.raises(WorkflowFailureError) as caught:
            await handle.result()
        assert isinstance(caught.value.cause, CancelledError)
        asked = len(target.received)
        await asyncio.sleep(0.5)  # five looks, if it went on
        assert len(target.received) == asked
        assert (await handle.describe()).status is WorkflowExecutionStatus.CANCELED


async def test_a_run_that_is_cancelled_before_the_answer_ends_its_request_and_waits_for_no_report(
    temporal: Client, target: BackupService
) -> None:
    asked, gone = asyncio.Event(), asyncio.Event()

    async def hang(_: web.Request) -> web.StreamResponse:
        asked.set()
        try:
            await asyncio.sleep(60)
        finally:
            gone.set()
        return web.Response()

    target.answers = [hang]
    async with worker_with(temporal, {"nightly": target.policy(completion="report")}) as runs:
        handle = await runs.start(a_request())
        await asked.wait()
        await handle.cancel()
        with pytest.raises(WorkflowFailureError) as caught:
            await handle.result()
        assert isinstance(caught.value.cause, CancelledError)
        assert await details(handle) == "**cancelled**: no backup was made\n\n- started by trigger"
        assert (await events(handle))["EVENT_TYPE_ACTIVITY_TASK_CANCELED"] == 1, "it closed after its request had ended"
    await asyncio.wait_for(gone.wait(), 20)


async def test_a_run_that_is_cancelled_as_the_answer_comes_does_not_wait_for_the_end(
    temporal: Client, target: BackupService
) -> None:
    async def cancelled_then_accepted(request: web.Request) -> web.StreamResponse:
        await handle.cancel()
        return await ACCEPTED(request)

    target.answers = [cancelled_then_accepted, says(state="copying")]
    async with worker_with(temporal, {"nightly": later(target)}) as runs:
        handle = await runs.start(a_request())
        with pytest.raises(WorkflowFailureError) as caught:
            await asyncio.wait_for(handle.result(), 20)
        assert isinstance(caught.value.cause, CancelledError)
        assert await details(handle) == "**cancelled**: no backup was made\n\n- started by trigger"
    assert Counter(request.method for request in target.received) == {"POST": 1}


async def test_a_worker_that_stops_hands_the_wait_to_another_which_does_not_ask_for_the_backup_again(
    temporal: Client, target: BackupService
) -> None:
    free = asyncio.Event()

    async def running(_: web.Request) -> web.StreamResponse:
        return web.json_response({"state": "ok" if free.is_set() else "copying"})

    target.answers = [ACCEPTED, running]
    async with worker_with(temporal, {"nightly": later(target)}) as runs:
        handle = await runs.start(a_request())

        async def looked() -> bool:
            return len(target.received) > 2

        await eventually_async(looked)
    free.set()
    async with worker_with(temporal, {"nightly": later(target)}, task_queue=runs.task_queue):
        assert (await handle.result()).outcome is Outcome.COMPLETED
    assert Counter(request.method for request in target.received)["POST"] == 1


async def test_the_history_of_a_run_has_no_secret_of_its_status_url(temporal: Client, target: BackupService) -> None:
    target.answers = [answering(202, text='{"id": 7, "signed": "https://h/?sig=sesame"}'), says(state="ok")]
    policy = later(target, status_url=f"{target.url}/jobs/{{id}}?key=open-sesame")
    async with worker_with(temporal, {"nightly": policy}) as runs:
        handle = await runs.start(a_request())
        await handle.result()
    history = await handle.fetch_history()
    names = [EventType.Name(event.event_type) for event in history.events]
    assert names.count("EVENT_TYPE_ACTIVITY_TASK_SCHEDULED") == 2
    written = b"".join(event.SerializeToString() for event in history.events)
    assert b'"id":"7"' in written
    assert b"sesame" not in written
