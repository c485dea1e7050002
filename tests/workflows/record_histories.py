"""Records the histories that test_replay.py replays: `python -m tests.workflows.record_histories [NAME ...]`.

To be done only when BackupWorkflow changed in a way that old runs are known to survive (workflow.patched).
"""

import asyncio
import contextlib
import json
import re
import sys
import tempfile
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from aiohttp import web
from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionExecutionStartWorkflow,
    ScheduleActionStartWorkflow,
    ScheduleSpec,
    WorkflowFailureError,
    WorkflowHandle,
    WorkflowUpdateFailedError,
)
from temporalio.common import SearchAttributeKey, SearchAttributePair, TypedSearchAttributes
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.testing import WorkflowEnvironment

from backup_scheduler.jobs import names
from backup_scheduler.jobs.pauses import ResumeRequest
from backup_scheduler.jobs.to_schedule import Alignment, schedule_for
from backup_scheduler.runs.asked import Why
from backup_scheduler.runs.reports import RunReport
from backup_scheduler.settings import Settings
from backup_scheduler.temporal.runs import ask_for_run, cancel_run, describe_run
from lab.parts.backup_service import BackupService, answering, backup_service
from lab.parts.waiting import eventually_async
from tests.support.backup_requests import a_request
from tests.support.programs import binary
from tests.support.restic_repository import Restic
from tests.support.workers import Runs, busy, worker_with
from tests.support.workflow_runs import run_of, two_runs
from tests.support.workflow_times import seconds
from worker import build_housekeeper

FOLDER = Path(__file__).parent / "histories"
SCHEDULED = SearchAttributeKey.for_datetime("TemporalScheduledStartTime")

Run = WorkflowHandle[Any, Any]
Kind = Callable[[Runs, BackupService], Awaitable[Run]]


async def record(name: str, handle: Run) -> None:
    with contextlib.suppress(WorkflowFailureError):
        await handle.result()
    history = json.loads((await handle.fetch_history()).to_json())
    text = json.dumps(history, indent=1)
    # The machine of the recording stays private.
    text = re.sub(r'("identity"|"name"): "[0-9]+@[^"]*"', r'\1: "worker"', text)
    text = re.sub(r'"stackTrace": "(\\.|[^"\\])*"', '"stackTrace": ""', text)
    (FOLDER / f"{name}.json").write_text(text + "\n")


async def http(runs: Runs, target: BackupService) -> Run:
    target.answers = [answering(503), answering(text='{"id": 7}', content_type="application/json")]
    return await runs.start(a_request(url_kwargs={"tenant": "a"}), id="backup-http")


async def restic(runs: Runs, _: BackupService) -> Run:
    return await runs.start(a_request(policy_name="files"), id="backup-restic")


async def failed(runs: Runs, target: BackupService) -> Run:
    target.answers = [answering(404)]
    return await runs.start(a_request(), id="backup-failed")


async def not_configured(runs: Runs, _: BackupService) -> Run:
    return await runs.start(a_request(policy_name="other"), id="backup-not-configured")


async def missed(runs: Runs, _: BackupService) -> Run:
    nominal = TypedSearchAttributes([SearchAttributePair(SCHEDULED, datetime.now(UTC) - timedelta(hours=3))])
    return await runs.start(a_request(), id="backup-missed", search_attributes=nominal)


async def cancelled(runs: Runs, target: BackupService) -> Run:
    asked = asyncio.Event()

    async def hang(_: web.Request) -> web.StreamResponse:
        asked.set()
        await asyncio.sleep(60)
        return web.Response()

    target.answers = [hang]
    handle = await runs.start(a_request(), id="backup-cancelled")
    await asked.wait()
    await handle.cancel()
    return handle


async def waited(runs: Runs, target: BackupService) -> Run:
    """The second of two runs of a schedule: Temporal passes the result of the first on to it."""
    target.answers = [answering(200)]
    action = ScheduleActionStartWorkflow(
        names.BACKUP_WORKFLOW, a_request(), id="backup-waited", task_queue=runs.task_queue
    )
    schedule = Schedule(action=action, spec=ScheduleSpec(start_at=datetime.now(UTC) + timedelta(days=1)))
    handle = await runs.client.create_schedule("waited", schedule)
    for number in (1, 2):
        await handle.trigger()

        async def ended(count: int = number) -> bool:
            info = (await handle.describe()).info
            return info.num_actions == count and not info.running_actions

        await eventually_async(ended)
        await asyncio.sleep(1)  # two triggers in one second would name their runs alike
    last = (await handle.describe()).info.recent_actions[-1].action
    assert isinstance(last, ScheduleActionExecutionStartWorkflow)
    return runs.client.get_workflow_handle(last.workflow_id)


async def missed_behind_another(runs: Runs, _: BackupService) -> Run:
    """A missed run of a schedule, which asks how the run before ended."""
    queue = f"{runs.task_queue}-later"
    schedule_id = await two_runs(Runs(runs.client, queue), first_late=True)
    async with worker_with(runs.client, task_queue=queue):
        handle = await run_of(runs.client, schedule_id, 2)
        with contextlib.suppress(WorkflowFailureError):
            await handle.result()
    return handle


async def asked_anew(runs: Runs, target: BackupService) -> Run:
    """Twice no worker has a place for it."""
    target.answers = [answering(200)]
    policies = {"nightly": target.policy(), "long": target.policy()}
    with seconds(LONGEST_WAIT=1):
        async with worker_with(runs.client, policies, max_backups=1) as full, busy(full, target) as free:
            handle = await full.start(a_request(), id="backup-asked-anew")
            await asyncio.sleep(2.5)
            free.set()
            await handle.result()
    return handle


async def asked_for(runs: Runs, target: BackupService) -> Run:
    """A run of a schedule that somebody asked for, in the place of an old occurrence."""
    target.answers = [answering(200)]
    handle = await triggered(runs, "asked-for")
    await handle.result()
    return handle


async def cancelled_with_a_reason(runs: Runs, target: BackupService) -> Run:
    asked = asyncio.Event()

    async def hang(_: web.Request) -> web.StreamResponse:
        asked.set()
        await asyncio.sleep(60)
        return web.Response()

    target.answers = [hang]
    handle = await triggered(runs, "cancelled-with-a-reason")
    await asked.wait()
    described = await describe_run(runs.client, handle.id)
    assert described
    await cancel_run(runs.client, described.workflow_execution_info.execution, "disk is full", "somebody")
    return handle


async def cancelled_before_it_began(runs: Runs, target: BackupService) -> Run:
    """No worker is there when the run is cancelled."""
    handle = await triggered(Runs(runs.client, "later"), "cancelled-before-it-began")
    await handle.cancel()
    async with worker_with(runs.client, {"nightly": target.policy()}, task_queue="later"):
        with contextlib.suppress(WorkflowFailureError):
            await handle.result()
    return handle


async def triggered(runs: Runs, name: str) -> Run:
    request = a_request(scheduler_id=name)
    alignment = Alignment(request, datetime(2026, 1, 1, 2, tzinfo=UTC))
    await runs.client.create_schedule(name, schedule_for(alignment, runs.task_queue))
    await ask_for_run(runs.client, name, datetime(2026, 1, 3, 2, 1, tzinfo=UTC), name, Why(reason="test").identity())
    return await run_of(runs.client, name, 1)


async def polled(runs: Runs, target: BackupService) -> Run:
    """The service answers before its backup has ended."""
    target.answers = [answering(202, headers={"Location": "/jobs/7"}), answering(202), answering(200)]
    return await runs.start(a_request(policy_name="polled"), id="backup-polled")


async def cancelled_at_the_answer(runs: Runs, target: BackupService) -> Run:
    """The request is answered before it learns that the run is cancelled."""

    async def cancel(_: web.Request) -> web.StreamResponse:
        await handle.cancel()
        return web.Response(status=202, headers={"Location": "/jobs/7"})

    target.answers = [cancel, answering(200)]
    handle = await runs.start(a_request(policy_name="polled"), id="backup-cancelled-at-the-answer")
    return handle  # the service cancels it


async def reported(runs: Runs, target: BackupService) -> Run:
    """The service reports progress, and then the end."""
    target.answers = [answering(202)]
    handle = await runs.start(a_request(policy_name="reported"), id="backup-reported")

    async def taken() -> bool:
        with contextlib.suppress(WorkflowUpdateFailedError):  # it does not wait for a report yet
            await handle.execute_update(names.REPORT_UPDATE, RunReport(run_id=handle.id, outcome="running"))
            return True
        return False

    await eventually_async(taken)
    await asyncio.sleep(1)  # the answer is read
    await handle.execute_update(names.REPORT_UPDATE, RunReport(run_id=handle.id, outcome="completed"))
    return handle


async def pass_over_all_jobs(runs: Runs, _: BackupService) -> Run:
    async with build_housekeeper(runs.client, Settings(task_queue=runs.task_queue)):
        handle = await runs.client.start_workflow(names.SYSTEM_WORKFLOW, id="pass", task_queue=runs.task_queue)
        await handle.result()
    return handle


async def resumed(runs: Runs, _: BackupService) -> Run:
    """The end of the pause of a job that is gone."""
    request = ResumeRequest(pause_id="1f", until=datetime.now(UTC) + timedelta(seconds=1), scheduler_id="gone")
    async with build_housekeeper(runs.client, Settings(task_queue=runs.task_queue)):
        handle = await runs.client.start_workflow(
            names.RESUME_WORKFLOW, request, id="resume-1f", task_queue=runs.task_queue
        )
        await handle.result()
    return handle


async def not_resumed(runs: Runs, _: BackupService) -> Run:
    """The end of a pause that was over before."""
    request = ResumeRequest(pause_id="2f", until=datetime.now(UTC) + timedelta(days=1))
    handle = await runs.client.start_workflow(
        names.RESUME_WORKFLOW, request, id="resume-2f", task_queue=runs.task_queue
    )

    async def waits() -> bool:
        return "timerStartedEventAttributes" in (await handle.fetch_history()).to_json()

    await eventually_async(waits)
    await handle.cancel()
    return handle


KINDS: list[Kind] = [
    *(http, restic, failed, not_configured, missed, missed_behind_another, cancelled, waited, asked_anew),
    *(asked_for, cancelled_with_a_reason, cancelled_before_it_began, polled, cancelled_at_the_answer, reported),
    *(pass_over_all_jobs, resumed, not_resumed),
]


async def record_all(client: Client, folder: Path, kinds: list[Kind]) -> None:
    async with (
        backup_service() as target,
        worker_with(
            client,
            {
                "nightly": target.policy(),
                "files": Restic(folder).policy(),
                **{f"{how}ed": target.policy(completion=how) for how in ("poll", "report")},
            },
        ) as runs,
    ):
        for kind in kinds:
            await record(kind.__name__, await kind(runs, target))


async def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        async with await WorkflowEnvironment.start_local(
            dev_server_existing_path=binary("temporal"),
            data_converter=pydantic_data_converter,
            search_attributes=list(names.SEARCH_ATTRIBUTES),
        ) as environment:
            kinds = [kind for kind in KINDS if len(sys.argv) == 1 or kind.__name__ in sys.argv[1:]]
            await record_all(environment.client, Path(folder), kinds)
    broken = (FOLDER / "http.json").read_text().replace('"http_backup"', '"another_backup"')
    (FOLDER / "broken.json").write_text(broken)


if __name__ == "__main__":
    asyncio.run(main())
