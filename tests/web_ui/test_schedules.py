"""Jobs in the Web UI: found by their policy, with their terms, and why one is paused."""

import re
from collections.abc import AsyncIterator

import pytest
from playwright.async_api import expect
from temporalio.client import Client

from backup_scheduler.contract.methods import ADD, PAUSE, REMOVE, RESUME
from lab.parts.waiting import eventually_async
from tests.support.calls import Caller, job
from tests.support.web_ui import CALLER, WebUi

pytestmark = pytest.mark.web_ui

JOBS = {
    "files:documents": ("files", 1, "02:00", 2, 3600),
    "files:website": ("files", 3, "03:15", 0, 86400),
    "backup:orders": ("orders", 1, "02:00", 2, 3600),
    "每日备份-财务": ("orders", 1, "03:00", 1, 3600),
}


async def listed(temporal: Client, query: str, number: int) -> None:
    """Wait until Temporal's list has so many jobs; it lags."""

    async def are_there() -> bool:
        return [None async for _ in await temporal.list_schedules(query)] == [None] * number

    await eventually_async(are_there)


@pytest.fixture(scope="module")
async def jobs(call: Caller, temporal: Client) -> AsyncIterator[None]:
    for scheduler_id, terms in JOBS.items():
        job(call(ADD, scheduler_id, *terms))
    await listed(temporal, f"BackupSchedulerId IN {(*JOBS,)}", len(JOBS))
    yield
    for scheduler_id in JOBS:
        job(call(REMOVE, scheduler_id))


@pytest.mark.usefixtures("jobs")
async def test_the_jobs_of_a_policy_are_found(ui: WebUi) -> None:
    await ui.schedules()
    await expect(ui.rows.filter(has_text="backup:orders")).to_be_visible()
    await ui.filter_by("BackupPolicyName", "files")
    await expect(ui.rows).to_have_count(2)
    await expect(ui.rows.filter(has_text="files:documents")).to_be_visible()
    await expect(ui.rows.filter(has_text="files:website")).to_be_visible()


@pytest.mark.usefixtures("jobs")
async def test_a_paused_job_shows_paused_by_what_since_when_and_why(ui: WebUi, call: Caller, temporal: Client) -> None:
    job(call(PAUSE, "files:website", "the disk is being replaced"))
    await listed(temporal, "TemporalSchedulePaused = true", 1)
    await ui.schedules()
    row = ui.rows.filter(has_text="files:website")
    await expect(row).to_contain_text("Paused")
    await expect(ui.rows.filter(has_text="files:documents")).to_contain_text("Running")
    await ui.picture("web-ui-schedules")
    await row.get_by_role("link", name="files:website").click()
    await expect(ui.page.get_by_test_id("schedule-name")).to_contain_text("Paused")
    note = rf"^paused by pause_job for {CALLER} at [\d :-]+ UTC: the disk is being replaced$"
    await expect(ui.page.get_by_text(re.compile(note))).to_be_visible()
    await ui.picture("web-ui-paused", height=1260)
    job(call(RESUME, "files:website"))
    await ui.reload()
    await expect(ui.page.get_by_test_id("schedule-name")).to_contain_text("Running")


@pytest.mark.usefixtures("jobs")
async def test_the_page_of_a_job_shows_its_terms(ui: WebUi) -> None:
    await ui.schedule("每日备份-财务")
    await expect(ui.page.get_by_test_id("schedule-name")).to_contain_text("每日备份-财务")
    for text in (
        "BackupWorkflow",
        '"policy_name": "orders"',
        '"start_time": "03:00"',
        f"Backup orders for 每日备份-财务; terms from {CALLER} at ",
    ):
        await expect(ui.page.locator("main")).to_contain_text(text)
