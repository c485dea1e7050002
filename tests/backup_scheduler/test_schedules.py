"""The mapping of a job to a schedule."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from temporalio.client import ScheduleActionStartWorkflow, ScheduleOverlapPolicy

from backup_scheduler.jobs.names import BACKUP_WORKFLOW, POLICY_NAME, SCHEDULER_ID, schedule_id, workflow_id
from backup_scheduler.jobs.request import BackupRequest
from backup_scheduler.jobs.terms import BackupJob
from backup_scheduler.jobs.to_schedule import Alignment, schedule_for

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
scheduler_ids = st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=200)


def alignment(**terms: Any) -> Alignment:
    job = BackupJob.model_validate(
        {
            "scheduler_id": "job-1",
            "policy_name": "documents",
            "days": 3,
            "start_time": "02:01",
            "duration": 2,
            "misfire_grace_time": 3600,
            "url_kwargs": {"path": "/srv"},
        }
        | terms
    )
    return Alignment.at(NOW, job, "Europe/Berlin")


def action_of(alignment: Alignment) -> ScheduleActionStartWorkflow:
    action = schedule_for(alignment, "backups").action
    assert isinstance(action, ScheduleActionStartWorkflow)
    return action


def test_days_become_the_interval_and_start_time_its_offset() -> None:
    [interval] = schedule_for(alignment(), "backups").spec.intervals
    first = datetime(2026, 11, 23, 1, 1, tzinfo=UTC)  # 02:01 in Berlin
    assert interval.every == timedelta(days=3)
    assert interval.offset == (first - datetime.fromtimestamp(0, UTC)) % timedelta(days=3)


def test_duration_becomes_the_jitter() -> None:
    assert schedule_for(alignment(duration=2), "backups").spec.jitter == timedelta(hours=2)
    assert schedule_for(alignment(duration=0), "backups").spec.jitter == timedelta(0)


@pytest.mark.parametrize(("seconds", "window"), [(1, 10), (9, 10), (10, 10), (3600, 3600)])
def test_misfire_grace_time_becomes_the_catch_up_window_of_at_least_10_seconds(seconds: int, window: int) -> None:
    assert schedule_for(alignment(misfire_grace_time=seconds), "backups").policy.catchup_window == timedelta(
        seconds=window
    )


def test_runs_wait_for_one_another_and_a_bad_night_does_not_stop_later_ones() -> None:
    policy = schedule_for(alignment(), "backups").policy
    assert policy.overlap is ScheduleOverlapPolicy.BUFFER_ALL
    assert not policy.pause_on_failure


@pytest.mark.parametrize(
    ("duration", "grace", "longest"),
    [
        (0, 1, timedelta(days=31, seconds=10)),
        (0, 3600, timedelta(days=31, hours=1)),
        (24, 60, timedelta(days=32, minutes=1)),
        (2, 315_360_000, timedelta(days=31 + 3650, hours=2)),
    ],
)
def test_temporal_ends_a_run_that_is_open_for_31_days_longer_than_it_may_wait(
    duration: int, grace: int, longest: timedelta
) -> None:
    action = action_of(alignment(duration=duration, misfire_grace_time=grace))
    assert action.execution_timeout == longest
    assert action.run_timeout is None
    assert action.retry_policy is None


def test_the_run_gets_one_argument_that_knows_its_right_times_for_ever() -> None:
    [request] = action_of(alignment()).args
    assert isinstance(request, BackupRequest)
    assert request.model_dump(mode="json") == {
        "scheduler_id": "job-1",
        "policy_name": "documents",
        "days": 3,
        "start_time": "02:01",
        "duration": 2,
        "misfire_grace_time": 3600,
        "url_kwargs": {"path": "/srv"},
        "timezone": "Europe/Berlin",
        "anchor": "2026-11-23",
    }


def test_people_find_job_and_runs_by_search_attributes_and_read_what_they_are() -> None:
    action = action_of(alignment())
    assert action.workflow == BACKUP_WORKFLOW
    assert action.typed_search_attributes[SCHEDULER_ID] == "job-1"
    assert action.typed_search_attributes[POLICY_NAME] == "documents"
    assert action.static_summary == "Backup documents for job-1"
    assert isinstance(action.static_details, str)
    assert "every 3 days at 02:01 Europe/Berlin" in action.static_details


@given(scheduler_ids)
def test_ids_fit_into_the_columns_of_sql_stores(scheduler_id: str) -> None:
    assert len(schedule_id(scheduler_id).encode()) <= 233
    assert len(workflow_id(scheduler_id).encode()) <= 234


@given(scheduler_ids, scheduler_ids)
def test_two_jobs_never_share_an_id(one: str, other: str) -> None:
    assert (one == other) == (schedule_id(one) == schedule_id(other)) == (workflow_id(one) == workflow_id(other))


def test_long_ids_that_begin_alike_stay_apart() -> None:
    assert schedule_id("é" * 199 + "a") != schedule_id("é" * 199 + "b")


@given(scheduler_ids, scheduler_ids)
def test_the_summary_fits_into_what_the_server_takes(scheduler_id: str, policy_name: str) -> None:
    summary = action_of(alignment(scheduler_id=scheduler_id, policy_name=policy_name)).static_summary
    assert isinstance(summary, str)
    assert len(summary.encode()) <= 400
