"""report_run: backup services report the ends of backups, over AMQP, to runs of a real worker."""

import asyncio
import uuid
from collections import Counter
from typing import Any, Literal

import pytest
from aiohttp import web
from temporalio.client import Client, WorkflowExecutionStatus, WorkflowFailureError, WorkflowHandle
from temporalio.exceptions import CancelledError

from backup_scheduler.contract.methods import GET_RUN, REPORT
from backup_scheduler.jobs.names import REPORT_UPDATE
from backup_scheduler.policies.http import HttpPolicy
from backup_scheduler.runs.reports import RunReport
from backup_scheduler.runs.results import BackupResult, Outcome
from lab.parts.answers import Reply
from lab.parts.backup_service import BackupService, answering
from lab.parts.waiting import eventually_async
from rpc_service.gateway.jobs import ScheduleGateway
from tests.support.backup_requests import a_request
from tests.support.calls import Caller, assert_fails
from tests.support.gateway_jobs import SETTINGS
from tests.support.workers import worker_with
from tests.support.workflow_runs import events, failure

Run = WorkflowHandle[Any, BackupResult]
ACCEPTED = answering(202, text='{"id": 7}', content_type="application/json")


ACCEPTED_UPDATE = "EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ACCEPTED"


def reporting(target: BackupService, **changes: Any) -> HttpPolicy:
    return target.policy(**{"completion": "report", "completes_within": 60, **changes})


async def report(call: Caller, run: str, *args: Any, **kwargs: Any) -> Reply:
    return await asyncio.to_thread(call, REPORT, run, *args, **kwargs)


def taken(reply: Reply) -> bool:
    assert (reply["status"], reply["code"]) == ("success", 200), reply
    description: dict[str, Any] = reply["description"]
    assert set(description) == {"run_id", "outcome", "taken"}
    return bool(description["taken"])


async def state(call: Caller, handle: Run) -> tuple[Any, Any, Any]:
    """Return outcome, what the run waits for, and its progress, as get_run tells them."""
    run = (await asyncio.to_thread(call, GET_RUN, handle.id))["description"]
    return run["outcome"], run["waits_for"], run["progress"]


async def details(handle: Run) -> str:
    return str((await handle.query("__temporal_workflow_metadata")).current_details)


async def answered(handle: Run) -> None:
    """Wait until the run has read the answer to its POST."""

    async def waits() -> bool:
        return "answered 202" in await details(handle)

    await eventually_async(waits)


async def test_a_run_ends_with_what_its_service_reports(call: Caller, temporal: Client, target: BackupService) -> None:
    target.answers = [ACCEPTED]
    async with worker_with(temporal, {"nightly": reporting(target, run_id_field="run")}) as runs:
        handle = await runs.start(a_request())
        await answered(handle)
        run = target.received[0].headers["Backup-Run-Id"]
        assert run == handle.id
        assert ("run", run) in target.received[0].form
        reply = await report(call, run, "completed with warnings", "one file left out", 3, 9, "abc")
        assert reply["description"] == {"run_id": run, "outcome": "completed with warnings", "taken": True}
        result = await handle.result()
        shown = await details(handle)
    assert (result.outcome, result.message) == (Outcome.COMPLETED_WITH_WARNINGS, "one file left out")
    assert (result.files, result.bytes_processed, result.snapshot_id) == (3, 9, "abc")
    assert result.answer is not None
    assert (result.answer.status, result.answer.body) == (202, {"id": 7})
    assert shown.startswith("**completed with warnings**: one file left out\n\n- snapshot: `abc`\n- files: 3\n")


async def test_the_same_report_again_is_a_success_and_another_one_is_refused(
    call: Caller, temporal: Client, target: BackupService
) -> None:
    target.answers = [ACCEPTED]
    async with worker_with(temporal, {"nightly": reporting(target)}) as runs:
        handle = await runs.start(a_request())
        await answered(handle)
        assert taken(await report(call, handle.id, "completed", files=1))
        await handle.result()
        assert taken(await report(call, handle.id, "completed", files=1)), "the run has closed"
        assert_fails(await report(call, handle.id, "failed"), 409, "the run has ended")
        assert (await events(handle))[ACCEPTED_UPDATE] == 1


async def test_reports_that_come_before_the_answer_are_taken(
    call: Caller, temporal: Client, target: BackupService
) -> None:
    replies: list[Reply] = []

    async def fast(request: web.Request) -> web.StreamResponse:
        run = request.headers["Backup-Run-Id"]
        replies.append(await report(call, run, "running", "at it", progress=50))
        replies.append(await report(call, run, "completed", "done before it was answered"))
        return web.Response(status=202)

    target.answers = [fast]
    async with worker_with(temporal, {"nightly": reporting(target)}) as runs:
        result = await (await runs.start(a_request())).result()
    assert [taken(reply) for reply in replies] == [True, True]
    assert (result.outcome, result.message) == (Outcome.COMPLETED, "done before it was answered")


async def test_a_report_ends_a_run_whose_service_never_answers_and_is_not_asked_again(
    call: Caller, temporal: Client, target: BackupService
) -> None:
    gone = asyncio.Event()

    async def hang(_: web.Request) -> web.StreamResponse:
        try:
            await asyncio.sleep(60)
        finally:
            gone.set()
        return web.Response()

    target.answers = [hang]
    async with worker_with(temporal, {"nightly": reporting(target)}) as runs:
        handle = await runs.start(a_request())

        async def asked() -> bool:
            return bool(target.received)

        await eventually_async(asked)
        assert taken(await report(call, handle.id, "completed"))
        result = await handle.result()
        await asyncio.wait_for(gone.wait(), 20)
    assert (result.message, result.answer) == ("the backup service reported the backup as completed", None)
    assert len(target.received) == 1


async def test_a_backup_that_is_reported_as_failed_fails_its_run(
    call: Caller, temporal: Client, target: BackupService
) -> None:
    target.answers = [ACCEPTED]
    async with worker_with(temporal, {"nightly": reporting(target)}) as runs:
        handle = await runs.start(a_request())
        await answered(handle)
        assert taken(await report(call, handle.id, "failed", "no\ndisk at https://user:sesame@h/"))
        error, result = await failure(handle)
    assert error.message == result.message == "no disk at https://***@h/"
    assert result.outcome is Outcome.FAILED
    written = b"".join(event.SerializeToString() for event in (await handle.fetch_history()).events)
    assert b"sesame" not in written


async def test_a_run_that_nobody_reports_fails_as_never_reported(temporal: Client, target: BackupService) -> None:
    target.answers = [ACCEPTED]
    async with worker_with(temporal, {"nightly": reporting(target, completes_within=1)}) as runs:
        error, result = await failure(await runs.start(a_request()))
    assert error.message == "never reported: the backup service reported no end within 1 s of its answer"
    assert result.outcome is Outcome.FAILED
    assert len(target.received) == 1


async def test_progress_is_shown_and_taken_now_and_then_only(
    call: Caller, temporal: Client, target: BackupService
) -> None:
    target.answers = [ACCEPTED]
    async with worker_with(temporal, {"nightly": reporting(target, completes_within=12)}) as runs:
        handle = await runs.start(a_request())
        await answered(handle)
        assert await state(call, handle) == ("running", "a report", None)
        assert taken(await report(call, handle.id, "running", "copying", 1000, 1 << 20, progress=12.5))
        shown = await details(handle)
        told = {"step": "copying", "percent": 12.5, "files_done": 1000, "bytes_done": 1 << 20}
        assert await state(call, handle) == ("running", "a report", told)
        before = len((await handle.fetch_history()).events)
        replies = [await report(call, handle.id, "running", progress=number) for number in range(5)]
        assert not any(taken(reply) for reply in replies)
        assert len((await handle.fetch_history()).events) == before
        error, _ = await failure(handle)
        assert await state(call, handle) == ("failed", None, None)
    assert shown == "**running**: copying (12.5 %, 1,000 files, 1,048,576 bytes)\n\n- started by trigger"
    assert error.message.endswith("within 12 s of its answer; at last: copying (12.5 %, 1,000 files, 1,048,576 bytes)")


async def test_a_cancelled_run_waits_for_no_report(call: Caller, temporal: Client, target: BackupService) -> None:
    target.answers = [ACCEPTED]
    async with worker_with(temporal, {"nightly": reporting(target)}) as runs:
        handle = await runs.start(a_request())
        await answered(handle)
        await handle.cancel()
        with pytest.raises(WorkflowFailureError) as caught:
            await handle.result()
        assert isinstance(caught.value.cause, CancelledError)
        assert await details(handle) == "**cancelled**: no backup was made\n\n- started by trigger"
        assert (await handle.describe()).status is WorkflowExecutionStatus.CANCELED
        assert_fails(await report(call, handle.id, "completed"), 409, "the run has ended")


async def test_a_run_that_waits_for_an_answer_takes_no_report(
    call: Caller, temporal: Client, target: BackupService
) -> None:
    free = asyncio.Event()

    async def wait(_: web.Request) -> web.StreamResponse:
        await free.wait()
        return web.Response()

    target.answers = [wait]
    async with worker_with(temporal, {"nightly": target.policy()}) as runs:
        handle = await runs.start(a_request())

        async def asked() -> bool:
            return bool(target.received)

        await eventually_async(asked)
        assert_fails(await report(call, handle.id, "failed"), 409, "the run does not wait for a report")
        free.set()
        assert (await handle.result()).outcome is Outcome.COMPLETED
        assert_fails(await report(call, handle.id, "failed"), 409, "the run has ended")


async def test_a_report_on_no_run_is_a_404(call: Caller, temporal: Client) -> None:
    for run in ("none", "system-look-after-jobs", "temporal-sys-scheduler:system-look-after-jobs", "ü 'x'"):
        reply = await report(call, run, "completed")
        assert_fails(reply, 404, f"no run has the run_id {run!r}: ")


@pytest.mark.parametrize(
    ("args", "kwargs", "sentence"),
    [
        ((), {}, "run_id is missing: it must be the id of a run"),
        (("r",), {}, "outcome is missing: it must be 'running', 'completed', 'completed with warnings' or 'failed'"),
        (("r", "done"), {}, "or 'failed', not 'done'"),
        (("r", "completed", 5), {}, "message must be text of at most 2000 characters, or None, not 5"),
        (("r", "completed", "x" * 2001), {}, "message must be text of at most 2000 characters"),
        (("r", "completed"), {"files": True}, "files must be a whole number from 0 to 9223372036854775807, or None"),
        (("r", "completed"), {"bytes": -1}, "bytes must be a whole number from 0 to 9223372036854775807, or None"),
        (("r", "completed"), {"snapshot_id": ""}, "snapshot_id must be text of 1 to 200 characters without control"),
        (("r", "running"), {"progress": 101}, "progress must be a number of percent from 0 to 100, or None, not 101"),
        (("r", "running"), {"progress": "5"}, "progress must be a number of percent from 0 to 100, or None, not '5'"),
        (("", "running"), {}, "run_id must be the id of a run, not ''"),
        (("r", "running"), {"why": 1}, "'why': not an argument of this method"),
    ],
)
def test_an_argument_that_breaks_a_rule_is_named(
    call: Caller, args: tuple[Any, ...], kwargs: dict[str, Any], sentence: str
) -> None:
    assert_fails(call(REPORT, *args, **kwargs), 400, sentence)


async def test_a_report_that_no_worker_takes_is_a_504_and_taken_once_when_it_comes_again(
    call: Caller, temporal: Client, target: BackupService
) -> None:
    target.answers = [ACCEPTED]
    policies = {"nightly": reporting(target)}
    async with worker_with(temporal, policies) as runs:
        handle = await runs.start(a_request())
        await answered(handle)
    reply = await report(call, handle.id, "completed", "once")
    assert_fails(reply, 504, "no worker took the report within 4.5 s: report again")
    async with worker_with(temporal, policies, task_queue=runs.task_queue):
        assert taken(await report(call, handle.id, "completed", "once"))
        assert (await handle.result()).message == "once"
    assert Counter(request.method for request in target.received) == {"POST": 1}


async def test_a_report_that_is_delivered_again_is_taken_once(temporal: Client, target: BackupService) -> None:
    target.answers = [ACCEPTED]
    gateway = ScheduleGateway(temporal, SETTINGS)
    async with worker_with(temporal, {"nightly": reporting(target)}) as runs:
        handle = await runs.start(a_request())
        await answered(handle)
        outcomes: tuple[Literal["running", "completed"], ...] = ("running", "completed")
        for outcome in outcomes:
            told = RunReport(run_id=handle.id, outcome=outcome)
            replies = await asyncio.gather(*(gateway.report_run(told, "one") for _ in range(5)))
            assert [reply["taken"] for reply in replies] == [True] * 5
        await handle.result()
        assert (await events(handle))[ACCEPTED_UPDATE] == 2


async def test_an_update_by_hand_that_is_no_report_is_refused(temporal: Client, target: BackupService) -> None:
    target.answers = [ACCEPTED]
    async with worker_with(temporal, {"nightly": reporting(target)}) as runs:
        handle = await runs.start(a_request())
        await answered(handle)
        for argument in ({}, "text", {"run_id": handle.id, "outcome": "odd"}):
            with pytest.raises(Exception, match="update failed"):
                await handle.execute_update(REPORT_UPDATE, argument, id=str(uuid.uuid4()))
        await handle.execute_update(REPORT_UPDATE, {"run_id": handle.id, "outcome": "completed"})
        assert (await handle.result()).outcome is Outcome.COMPLETED
