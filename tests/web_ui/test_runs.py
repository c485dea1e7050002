"""Runs in the Web UI: what each is, how far it is, how it ended and why."""

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from playwright.async_api import expect
from temporalio.client import Client, ScheduleActionStartWorkflow, WorkflowFailureError
from temporalio.common import SearchAttributePair

from backup_scheduler.contract.methods import ADD, CANCEL_RUN, REMOVE, RUN
from backup_scheduler.jobs.names import run_id
from backup_scheduler.jobs.terms import BackupJob
from backup_scheduler.jobs.to_schedule import Alignment, schedule_for
from backup_scheduler.runs.results import BackupResult
from lab.parts.backup_service import BackupService, answering
from lab.parts.waiting import eventually_async
from tests.support.calls import Caller, job
from tests.support.web_ui import CALLER, WebUi
from tests.support.workers import Runs
from tests.support.workflow_runs import SCHEDULED, failure

pytestmark = pytest.mark.web_ui

QUEUE = "backups"
"""The task queue of the stack's worker."""

Run = Callable[..., str]


@pytest.fixture
def run(call: Caller) -> Iterator[Run]:
    """Adds a job, runs it, and returns the id of the run."""
    added: list[str] = []

    def made(scheduler_id: str, policy: str, reason: str = "before the upgrade") -> str:
        job(call(ADD, scheduler_id, policy, 1, "02:00", 2, 3600))
        added.append(scheduler_id)
        reply = call(RUN, scheduler_id, reason=reason)
        assert reply["code"] == 200, reply
        described: dict[str, Any] = reply["description"]
        return str(described["run_id"])

    yield made
    for scheduler_id in added:
        call(REMOVE, scheduler_id)


async def test_a_run_under_way_shows_its_step_and_percent_and_a_cancelled_one_why(
    ui: WebUi, run: Run, call: Caller, temporal: Client
) -> None:
    run_id = run("archive", "archive")
    await ui.run(run_id)
    await expect(ui.status).to_have_text("Running")
    await ui.tab("Pending Activities")
    percents: set[float] = set()

    async def rises() -> bool:
        await expect(ui.activities).to_contain_text("backing up")
        shown = re.search(r'"percent": ([\d.]+)', await ui.activities.inner_text())
        percents.update([float(shown[1])] if shown else [])
        if len(percents - {0}) < 2:
            await ui.reload()
        return len(percents - {0}) > 1

    await eventually_async(rises, patience=90)
    assert max(percents) < 100
    await ui.picture("web-ui-progress")
    await ui.tab("User Metadata")
    await expect(ui.metadata("current-details")).to_contain_text("running: restic backup of policy archive")
    await expect(ui.metadata("current-details")).to_contain_text(f"started by run_job ({CALLER})")
    assert call(CANCEL_RUN, run_id, "the wrong disk")["code"] == 200
    with pytest.raises(WorkflowFailureError):
        await temporal.get_workflow_handle(run_id).result()
    await ui.reload()
    await expect(ui.status).to_have_text("Canceled")
    await expect(ui.metadata("current-details")).to_contain_text("cancelled: no backup was made: the wrong disk")


async def test_a_run_that_ended_shows_its_result_and_who_asked_for_it(ui: WebUi, run: Run, temporal: Client) -> None:
    run_id = run("documents", "documents")
    result: BackupResult = await temporal.get_workflow_handle(run_id, result_type=BackupResult).result()
    await ui.run(run_id)
    await expect(ui.status).to_have_text("Completed")
    await expect(ui.result).to_contain_text(f'"message": "restic saved snapshot {result.snapshot_id}"')
    await expect(ui.page.get_by_text("restic_backup • Backup documents for documents")).to_be_visible()
    await ui.tab("User Metadata")
    await expect(ui.metadata("summary")).to_contain_text("Backup documents for documents")
    await expect(ui.metadata("details")).to_contain_text("runs every day at 02:00")
    for text in ("completed: restic saved", f"snapshot: {result.snapshot_id}", "before the upgrade"):
        await expect(ui.metadata("current-details")).to_contain_text(text)
    await ui.picture("web-ui-details")


async def test_the_link_to_a_run_leads_there_whatever_its_id(ui: WebUi, run: Run) -> None:
    await ui.run(run("备份 a/b 50% c?d#e'f", "database"))
    await expect(ui.status).to_have_text("Completed")


async def test_a_run_that_failed_shows_why(
    ui: WebUi, run: Run, temporal: Client, backup_endpoint: BackupService
) -> None:
    backup_endpoint.answers.insert(0, answering(404, text="no such database"))
    run_id = run("orders", "database")
    await failure(temporal.get_workflow_handle(run_id))
    why = "127.0.0.1 answered 404 Not Found: no such database"
    await ui.run(run_id)
    await expect(ui.status).to_have_text("Failed")
    await expect(ui.result).to_contain_text(f'"message": "{why}"')
    await expect(ui.result).to_contain_text('"type": "BackupTargetRefused"')
    await expect(ui.result).not_to_contain_text("stackTrace")
    await ui.picture("web-ui-failed")
    await ui.tab("User Metadata")
    await expect(ui.metadata("current-details")).to_contain_text(f"failed: {why}")


async def test_a_missed_run_is_red_in_the_list_and_says_how_late_it_was(ui: WebUi, temporal: Client) -> None:
    long_ago = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=7)
    terms = {"policy_name": "database", "days": 1, "start_time": "02:00", "duration": 0, "misfire_grace_time": 3600}
    named = BackupJob(scheduler_id="customers", **terms)  # type: ignore[arg-type]  # checked at run time
    action = schedule_for(Alignment.at(long_ago, named, "UTC"), QUEUE).action
    assert isinstance(action, ScheduleActionStartWorkflow)
    missed = await Runs(temporal, QUEUE).start(
        *action.args,
        id=run_id("customers", long_ago),
        static_summary=action.static_summary,
        static_details=action.static_details,
        search_attributes=action.typed_search_attributes.updated(SearchAttributePair(SCHEDULED, long_ago)),
    )
    await failure(missed, "BackupMissed")
    await ui.runs("BackupOutcome = 'missed'")
    row = ui.rows.filter(has_text=missed.id)
    await expect(row).to_contain_text("Failed")
    red, green, blue = await ui.colour(row.get_by_text("Failed"))
    assert red > 1.5 * max(green, blue)
    await row.get_by_role("link", name=missed.id).click()
    await expect(ui.result).to_contain_text(re.compile("picked up .* after the end of its window"))
