"""What a list tells of a job: its last run, whether one is overdue, why it is paused, and whether it is wanted."""

from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from temporalio.api.enums.v1 import WorkflowExecutionStatus
from temporalio.api.schedule.v1 import ScheduleActionResult, ScheduleListEntry

from backup_scheduler.contract.errors import InvalidArguments
from backup_scheduler.jobs.description import describe_broken_job, describe_job
from backup_scheduler.jobs.filters import JobFilter, ListJobs
from backup_scheduler.jobs.notes import SwitchNote
from backup_scheduler.jobs.overview import JobOverview
from backup_scheduler.jobs.recent_runs import OUTCOMES, RecentRun, outcome_of, recent_runs
from backup_scheduler.jobs.request import BackupRequest
from backup_scheduler.runs.results import Outcome
from tests.support.backup_requests import a_request
from tests.support.described_jobs import job_of

ZONE = ZoneInfo("Europe/Berlin")
OPENED = datetime(2026, 7, 8, 2, tzinfo=UTC)
"""Window of `a_request()`: an hour, every day."""
OVER = OPENED + timedelta(hours=1, minutes=5)


def a_run(started: datetime = OPENED + timedelta(minutes=10), outcome: str | None = "completed") -> RecentRun:
    return RecentRun("run", started, outcome)


def overview(*runs: RecentRun, request: BackupRequest | None = None, **changes: Any) -> JobOverview:
    request = request or a_request()
    values: dict[str, Any] = {"next_run": None, "policy": request.policy_name, "paused": False, "note": ""}
    return JobOverview(request.scheduler_id, request, runs=runs, **(values | changes))


def test_a_job_is_overdue_from_when_its_window_is_over_without_a_run() -> None:
    yesterday = a_run(OPENED - timedelta(hours=23))
    assert not overview(yesterday).overdue(OVER - timedelta(seconds=1))
    assert overview(yesterday).overdue(OVER)
    assert overview().overdue(OVER)


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_a_job_is_overdue_whose_last_run_made_no_backup(outcome: str) -> None:
    has_or_may_have_one = outcome in ("completed", "completed with warnings", "running")
    assert overview(a_run(outcome=outcome)).overdue(OVER) is not has_or_may_have_one


def test_a_backup_of_any_run_since_the_window_began_counts() -> None:
    assert not overview(a_run(), a_run(OPENED + timedelta(hours=7), "failed")).overdue(OVER + timedelta(hours=7))
    assert not overview(a_run(outcome="failed"), a_run(OPENED + timedelta(hours=7))).overdue(OVER + timedelta(hours=7))
    assert overview(a_run(OPENED - timedelta(seconds=1))).overdue(OVER)
    assert not overview(a_run(OPENED)).overdue(OVER)


def test_no_job_is_overdue_before_its_first_window_is_over() -> None:
    new = a_request(anchor=date(2026, 7, 8))
    assert not overview(request=new).overdue(OVER - timedelta(seconds=1))
    assert overview(request=new).overdue(OVER)


def test_what_came_due_while_a_job_was_paused_is_not_overdue() -> None:
    assert not overview(paused=True).overdue(OVER)
    resumed = SwitchNote(False, "a", OPENED).text()
    assert not overview(note=resumed).overdue(OVER)
    assert overview(note=resumed).overdue(OVER + timedelta(days=1))


def test_a_run_that_failed_is_overdue_whatever_was_switched_after_it() -> None:
    failed, by_hand = a_run(outcome="failed"), a_run(OVER + timedelta(hours=6), "failed")
    resumed = SwitchNote(False, "a", OVER + timedelta(hours=5)).text()
    now = OVER + timedelta(hours=7)
    assert overview(failed, note=resumed).overdue(now)
    assert overview(by_hand, note=resumed).overdue(now)
    assert not overview(failed, by_hand, paused=True, note=resumed).overdue(now)
    assert not overview(a_run(OPENED - timedelta(hours=1), "failed"), note=resumed).overdue(now)
    assert not overview(failed, a_run(OVER), note=resumed).overdue(now)


def test_days_are_those_of_the_job_on_the_clock_of_its_zone() -> None:
    weekly = a_request(days=7, anchor=date(2026, 10, 19), timezone="Europe/Berlin")
    opened = datetime(2026, 10, 26, 1, tzinfo=UTC)  # the clocks went back the day before
    last_week = a_run(datetime(2026, 10, 19, 0, 10, tzinfo=UTC))
    assert not overview(last_week, request=weekly).overdue(opened + timedelta(hours=1, minutes=4))
    assert overview(last_week, request=weekly).overdue(opened + timedelta(hours=1, minutes=5))
    assert not overview(a_run(opened), request=weekly).overdue(opened + timedelta(days=6))


def test_whether_a_run_is_overdue_is_not_known_of_a_broken_job_or_without_its_zone() -> None:
    assert overview(request=a_request(timezone="Mars/Olympus")).overdue(OVER) is None
    assert JobOverview.of_broken("job-1", None).overdue(OVER) is None


def test_an_outcome_is_what_the_run_published_once_it_is_closed() -> None:
    status = WorkflowExecutionStatus
    assert outcome_of(status.WORKFLOW_EXECUTION_STATUS_COMPLETED) == "completed"
    assert (
        outcome_of(status.WORKFLOW_EXECUTION_STATUS_COMPLETED, "completed with warnings") == "completed with warnings"
    )
    assert outcome_of(status.WORKFLOW_EXECUTION_STATUS_FAILED, "missed") == "missed"
    assert outcome_of(status.WORKFLOW_EXECUTION_STATUS_RUNNING, "completed") == "running"
    assert outcome_of(status.WORKFLOW_EXECUTION_STATUS_TERMINATED, "completed") == "terminated"
    assert outcome_of(status.WORKFLOW_EXECUTION_STATUS_UNSPECIFIED) is None
    assert {each.value for each in Outcome} < {*OUTCOMES}
    known = {outcome_of(number) for number in status.values()} - {None}
    assert known < {*OUTCOMES}


def test_the_runs_of_a_schedule_are_read_in_their_order() -> None:
    first, last = ScheduleActionResult(), ScheduleActionResult()
    first.start_workflow_result.run_id, last.start_workflow_result.run_id = "a", "b"
    first.actual_time.FromDatetime(OPENED)
    last.actual_time.FromDatetime(OVER)
    last.start_workflow_status = WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_TIMED_OUT
    assert recent_runs([first, last]) == [RecentRun("a", OPENED, None), RecentRun("b", OVER, "timed out")]


async def test_a_job_is_described_with_its_days_its_pause_and_its_last_run() -> None:
    request = a_request(days=3)
    described = JobOverview.of(await job_of(request, starts=[OVER]), OPENED).describe(ZONE, OPENED)
    assert described == describe_job(request, ZONE, OVER) | {
        "days": 3,
        "paused": False,
        "paused_since": None,
        "paused_until": None,
        "paused_by": None,
        "paused_why": None,
        "last_run": None,
        "last_outcome": None,
        "overdue": True,
    }
    note = SwitchNote(True, "a", OPENED, "repair", OVER, "1f").text()
    paused = overview(a_run(), paused=True, note=note).with_outcome("failed").describe(ZONE, OVER)
    facts = {"paused": True, "paused_since": "2026-07-08 04:00:00", "paused_by": "a", "paused_why": "repair"}
    facts["paused_until"] = "2026-07-08 05:05:00"
    assert paused.items() >= (facts | {"last_run": "2026-07-08 04:10:00", "last_outcome": "failed"}).items()


def test_the_reason_of_a_pause_by_other_means_is_its_note() -> None:
    described = overview(paused=True, note="under repair").describe(ZONE, OVER)
    facts = {"paused": True, "paused_since": None, "paused_by": None, "paused_why": "under repair"}
    assert described.items() >= facts.items()
    resumed = SwitchNote(False, "a", OPENED).text()
    assert overview(paused=True, note=resumed).describe(ZONE, OVER)["paused_why"] == resumed
    assert overview(note="anything").describe(ZONE, OVER)["paused_why"] is None


def test_of_a_broken_job_is_described_what_its_entry_shows() -> None:
    entry = ScheduleListEntry()
    entry.info.paused, entry.info.notes = True, "under repair"
    entry.info.recent_actions.add().actual_time.FromDatetime(OPENED)
    described = JobOverview.of_broken("job-1", entry).describe(ZONE, OVER)
    known = {"paused": True, "paused_why": "under repair", "last_run": "2026-07-08 04:00:00"}
    unknown = dict.fromkeys(("days", "paused_since", "paused_until", "paused_by", "last_outcome", "overdue"))
    assert described == describe_broken_job("job-1") | unknown | known
    nothing = JobOverview.of_broken("job-1", None).describe(ZONE, OVER)
    assert nothing == described | {"paused": None, "paused_why": None, "last_run": None}


@pytest.mark.parametrize(
    ("wanted", "fits"),
    [
        ({}, True),
        ({"policy_name": "nightly"}, True),
        ({"policy_name": "night"}, False),
        ({"paused": False}, True),
        ({"paused": True}, False),
        ({"last_outcome": "failed"}, True),
        ({"last_outcome": "completed"}, False),
        ({"overdue": True}, True),
        ({"overdue": False}, False),
        ({"prefix": "job"}, True),
        ({"prefix": "ob"}, False),
        ({"prefix": "JOB"}, False),
        ({"prefix": "job", "policy_name": "nightly", "paused": False, "last_outcome": "failed", "overdue": True}, True),
        ({"prefix": "job", "policy_name": "nightly", "paused": True, "last_outcome": "failed", "overdue": True}, False),
    ],
)
def test_a_job_is_wanted_that_fits_all_that_is_given(wanted: dict[str, Any], fits: bool) -> None:
    assert overview(a_run(outcome="failed")).fits(JobFilter(**wanted), OVER) is fits


def test_a_job_without_a_run_has_no_outcome() -> None:
    assert overview().with_outcome("failed") == overview()
    assert not any(overview().fits(JobFilter(last_outcome=outcome), OVER) for outcome in OUTCOMES)


async def test_a_long_policy_name_is_compared_whole() -> None:
    long = ["é" * 150 + end for end in "ab"]
    job = JobOverview.of(await job_of(a_request(policy_name=long[0])), OVER)
    assert job.fits(JobFilter(policy_name=long[0]), OVER)
    assert not job.fits(JobFilter(policy_name=long[1]), OVER)


def test_the_arguments_of_a_list_have_defaults_and_rules() -> None:
    assert ListJobs.from_call((), {}) == ListJobs(limit=100)
    assert ListJobs.from_call(("nightly", True, "failed", False, "job", 5, "x"), {}).given() == {
        "policy_name": "nightly",
        "paused": True,
        "last_outcome": "failed",
        "overdue": False,
        "prefix": "job",
    }
    wrong = {
        "policy_name": "",
        "paused": 1,
        "last_outcome": "good",
        "overdue": "yes",
        "prefix": "a\nb",
        "limit": 1001,
        "after": 5,
    }
    with pytest.raises(InvalidArguments) as caught:
        ListJobs.from_call((), wrong | {"order": "id"})
    assert caught.value.faults == (
        "'order': not an argument of this method",
        "policy_name must be text of 1 to 200 characters without control characters, not ''",
        "paused must be True or False, not 1",
        "last_outcome must be one of 'completed', 'completed with warnings', 'failed', 'missed', 'cancelled', "
        "'terminated', 'timed out', 'running', not 'good'",
        "overdue must be True or False, not 'yes'",
        "prefix must be text of 1 to 200 characters without control characters, not 'a\\nb'",
        "limit must be a whole number of jobs from 1 to 1000, not 1001",
        "after must be the `next` of a list_jobs with the same filters, not 5",
    )
    for limit in (0, True, None):
        with pytest.raises(InvalidArguments, match="limit must be"):
            ListJobs.from_call((), {"limit": limit})
