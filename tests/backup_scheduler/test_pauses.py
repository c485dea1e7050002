"""The arguments of pauses, of one job and of many."""

from datetime import UTC, datetime
from typing import Any

import pytest

from backup_scheduler.contract.errors import InvalidArguments
from backup_scheduler.jobs.filters import JobFilter
from backup_scheduler.jobs.pauses import PauseJob, PauseJobs, ResumeJobs

UNTIL = datetime(2026, 11, 29, 6, tzinfo=UTC)


def faults_of(model: type[PauseJob] | type[PauseJobs] | type[ResumeJobs], *args: Any, **kwargs: Any) -> tuple[str, ...]:
    with pytest.raises(InvalidArguments) as caught:
        model.from_call(args, kwargs)
    return caught.value.faults


def test_a_pause_of_one_job_may_have_a_reason_and_an_end() -> None:
    assert PauseJob.from_call(("job-1",), {}) == PauseJob(scheduler_id="job-1", reason=None, until=None)
    whole = PauseJob.from_call(("job-1", "repair", "2026-11-29T06:00:00Z"), {})
    assert (whole.reason, whole.until) == ("repair", UNTIL)


def test_a_reason_is_one_line_of_bounded_length_and_an_end_a_moment() -> None:
    rule = "reason must be text of 1 to 200 characters without control characters"
    for reason in ("", "x" * 201, "a\nb", "\x1b[31m", "\ud800", 5):
        [fault] = faults_of(PauseJob, "job-1", reason)
        assert fault.startswith(rule)
    [fault] = faults_of(PauseJob, "job-1", None, "tomorrow")
    assert fault == (
        "until must be a moment such as '2026-11-28 02:30:00' in the scheduler's time zone, or ISO 8601 with an offset "
        "or Z, that lies ahead, not 'tomorrow'"
    )


def test_jobs_are_chosen_by_the_filters_of_a_list() -> None:
    pause = PauseJobs.from_call(({"policy_name": "a", "overdue": True}, "repair"), {})
    assert pause.wanted == JobFilter(policy_name="a", overdue=True)
    assert not pause.dry_run
    assert ResumeJobs.from_call((), {"filter": {"prefix": "b"}}).wanted == JobFilter(prefix="b")
    assert PauseJobs.from_call(({}, "repair"), {"all": True}).wanted == JobFilter()
    assert ResumeJobs.from_call(({"paused": None},), {"all": True}).wanted == JobFilter()


@pytest.mark.parametrize("empty", [{}, {"policy_name": None}])
def test_an_empty_filter_has_to_be_meant(empty: dict[str, Any]) -> None:
    sentence = "filter must not be empty, unless all=True says that every job is meant"
    assert faults_of(ResumeJobs, empty) == (sentence,)
    assert faults_of(PauseJobs, empty, "repair", None, False, False) == (sentence,)


def test_each_fault_of_a_filter_is_named() -> None:
    assert faults_of(ResumeJobs, {"paused": 1, "limit": 5, "prefix": ""}, all=True) == (
        "filter: 'limit': not an argument of this method",
        "filter: paused must be True or False, not 1",
        "filter: prefix must be text of 1 to 200 characters without control characters, not ''",
    )
    assert faults_of(ResumeJobs) == (
        "filter is missing: it must be a dict with names and values of list_jobs' filters",
    )
    assert faults_of(ResumeJobs, "all") == (
        "filter must be a dict with names and values of list_jobs' filters, not 'all'",
    )
    assert faults_of(PauseJobs, {}, all=True)[0].startswith("reason is missing")
