"""The runs that wait for another run of their job, by what Temporal tells: their number, and who asked for runs."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.schedule.v1 import ScheduleActionResult

from backup_scheduler.jobs.from_schedule import ScheduledJob
from backup_scheduler.jobs.names import run_id
from backup_scheduler.runs.asked import Asked, Request, StartedBy
from backup_scheduler.runs.waiting import waiting_runs
from tests.support.backup_requests import a_request
from tests.support.described_jobs import FIRST, job_of

JOB = a_request(days=1, duration=2)
DAY = timedelta(days=1)
NOW = FIRST + 3 * DAY + timedelta(hours=1)
"""Within the window of the fourth occurrence."""


async def a_job(waiting: int, *started: datetime, **info: Any) -> ScheduledJob:
    recent = [
        ScheduleActionResult(start_workflow_result=WorkflowExecution(workflow_id=run_id("job-1", moment)))
        for moment in started
    ]
    running = [recent[-1].start_workflow_result] if recent else []
    info.setdefault("starts", [FIRST + 4 * DAY])
    return await job_of(JOB, buffer_size=waiting, recent_actions=recent, running_workflows=running, **info)


def asked(moment: datetime, asked_at: datetime, *, taken: bool = True) -> Request:
    return Request(Asked(by=StartedBy.RUN_JOB, at=asked_at), "", moment, moment, taken)


def names(job: ScheduledJob, *requests: Request) -> list[str]:
    return [each.run_id for each in waiting_runs(job, requests, NOW)]


async def test_none_waits_where_temporal_counts_none() -> None:
    assert names(await a_job(0, FIRST), asked(NOW, NOW)) == []


async def test_the_last_occurrences_that_came_due_wait() -> None:
    job = await a_job(2, FIRST + DAY)
    assert names(job) == [run_id("job-1", FIRST + 3 * DAY), run_id("job-1", FIRST + 2 * DAY)]


async def test_an_occurrence_whose_time_in_its_window_has_not_come_does_not_wait() -> None:
    job = await a_job(2, FIRST, starts=[NOW + timedelta(minutes=1)])
    assert names(job) == [run_id("job-1", FIRST + 2 * DAY), run_id("job-1", FIRST + DAY)]


async def test_runs_that_were_asked_for_wait_in_the_order_of_the_asking() -> None:
    job = await a_job(3, FIRST + 2 * DAY)
    old, new = FIRST - 9 * DAY, FIRST + timedelta(hours=5)
    requests = [asked(new, NOW - timedelta(minutes=1)), asked(old, NOW - timedelta(hours=12))]
    assert names(job, *requests) == [run_id("job-1", new), run_id("job-1", FIRST + 3 * DAY), run_id("job-1", old)]


async def test_a_request_that_was_dropped_or_whose_run_has_started_does_not_wait() -> None:
    job = await a_job(1, FIRST + 2 * DAY)
    requests = [asked(NOW, NOW, taken=False), asked(FIRST + 2 * DAY, NOW)]
    assert names(job, *requests) == [run_id("job-1", FIRST + 3 * DAY)]


async def test_the_last_runs_of_a_backfill_wait() -> None:
    job = await a_job(2, FIRST + 3 * DAY)
    backfill = Request(Asked(by=StartedBy.BACKFILL, at=NOW), "", FIRST - 50 * DAY, FIRST - 10 * DAY, taken=True)
    assert names(job, backfill) == [run_id("job-1", FIRST - 10 * DAY), run_id("job-1", FIRST - 11 * DAY)]


async def test_what_was_asked_for_waits_and_not_an_occurrence_that_may_have_been_left_out() -> None:
    """An occurrence that came due during a pause, or before changed terms came into force, never waits."""
    job = await a_job(1, FIRST + 2 * DAY)
    assert names(job, asked(FIRST, FIRST + 2 * DAY + timedelta(hours=1))) == [run_id("job-1", FIRST)]


async def test_what_was_asked_for_before_the_run_that_goes_on_has_had_its_turn() -> None:
    requests = [asked(NOW - DAY, FIRST + DAY), asked(FIRST + 2 * DAY, NOW - DAY), asked(FIRST, FIRST)]
    job = await a_job(2, FIRST + 2 * DAY)
    assert names(job, *requests) == [run_id("job-1", FIRST + 3 * DAY), run_id("job-1", FIRST + DAY)]


async def test_a_request_that_temporal_may_have_skipped_does_not_wait() -> None:
    job = await a_job(1, FIRST + 2 * DAY)
    skipped = replace(asked(NOW, NOW), buffered=False)
    assert names(job, skipped) == [run_id("job-1", FIRST + 3 * DAY)]
