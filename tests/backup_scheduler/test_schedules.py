"""The mapping of a job to a schedule."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from temporalio.client import ScheduleActionStartWorkflow, ScheduleIntervalSpec, ScheduleOverlapPolicy

from backup_scheduler.jobs.names import (
    BACKUP_WORKFLOW,
    POLICY_NAME,
    SCHEDULER_ID,
    is_reserved,
    schedule_id,
    workflow_id,
)
from backup_scheduler.jobs.request import BackupRequest
from backup_scheduler.jobs.terms import BackupJob
from backup_scheduler.jobs.to_schedule import Alignment, memo_for, schedule_for, system_schedule

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


def test_nothing_runs_before_the_first_run() -> None:
    assert schedule_for(alignment(), "backups").spec.start_at == datetime(2026, 11, 23, 1, 1, tzinfo=UTC)


def test_a_run_that_hangs_is_ended_31_days_after_its_last_possible_start() -> None:
    action = action_of(alignment(duration=2, misfire_grace_time=3600))
    assert action.execution_timeout == timedelta(hours=2) + timedelta(hours=1) + timedelta(days=31)
    assert action.run_timeout is None, "the whole run is bounded"


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
    assert schedule_for(alignment(), "backups").state.note == "Backup documents for job-1"
    assert action.task_queue == "backups"
    assert action.id == "backup-job-1"
    assert memo_for(alignment().request, "call-1") == {"scheduler_id": "job-1", "call": "call-1"}


def test_the_details_of_a_run_tell_its_terms_and_how_to_run_and_change_it() -> None:
    assert action_of(alignment()).static_details == (
        "* policy: documents\n"
        "* scheduler_id: job-1\n"
        "* runs every 3 days at 02:01 Europe/Berlin, at a random moment of the 2 h from then, from 2026-11-23 on\n"
        "* a missed run is made up for within 3600 s\n"
        "* to run it now: `temporal schedule trigger --overlap-policy BufferAll -s job-1`\n"
        "* to change it: the RPC service `scheduler`"
    )
    daily = action_of(alignment(days=1, duration=0)).static_details
    assert isinstance(daily, str)
    assert "* runs every day at 02:01 Europe/Berlin, from 2026-11-23 on\n" in daily


@pytest.mark.parametrize(
    ("scheduler_id", "code"),
    [
        ("a", "`{} -s a`"),
        ("a`b", "`` {} -s 'a`b' ``"),
        ("a``b`c", "``` {} -s 'a``b`c' ```"),
        ("a b", "`{} -s 'a b'`"),
    ],
)
def test_the_command_stays_one_piece_of_code_whatever_the_id_is(scheduler_id: str, code: str) -> None:
    details = action_of(alignment(scheduler_id=scheduler_id)).static_details
    assert isinstance(details, str)
    command = code.format("temporal schedule trigger --overlap-policy BufferAll")
    assert f"* to run it now: {command}\n" in details


def test_long_names_are_shortened_in_the_summary() -> None:
    whole = action_of(alignment(scheduler_id="s" * 40, policy_name="p" * 40))
    assert whole.static_summary == f"Backup {'p' * 40} for {'s' * 40}"
    cut = action_of(alignment(scheduler_id="s" * 41, policy_name="p" * 200))
    assert cut.static_summary == f"Backup {'p' * 39}… for {'s' * 39}…"


def test_a_pass_over_all_jobs_is_due_each_hour_and_makes_up_for_one_missed() -> None:
    schedule = system_schedule("backups-housekeeping")
    assert schedule.spec.intervals == [ScheduleIntervalSpec(every=timedelta(hours=1))]
    assert schedule.policy.overlap is ScheduleOverlapPolicy.SKIP
    assert schedule.policy.catchup_window == timedelta(hours=1)
    action = schedule.action
    assert isinstance(action, ScheduleActionStartWorkflow)
    assert (action.workflow, action.id) == ("LookAfterJobsWorkflow", "system-look-after-jobs")
    assert (action.task_queue, list(action.args)) == ("backups-housekeeping", [])
    assert action.execution_timeout == timedelta(hours=1), "the next pass does not wait for one that hangs"
    said = "Keeps backup jobs at their start_time when clocks change, and reports lost runs"
    assert (action.static_summary, schedule.state.note) == (said, said)


@given(scheduler_ids)
def test_ids_fit_into_the_columns_of_sql_stores(scheduler_id: str) -> None:
    assert len(schedule_id(scheduler_id).encode()) <= 233
    assert len(workflow_id(scheduler_id).encode()) <= 234


@given(scheduler_ids, scheduler_ids)
def test_two_jobs_never_share_an_id(one: str, other: str) -> None:
    assert (one == other) == (schedule_id(one) == schedule_id(other)) == (workflow_id(one) == workflow_id(other))


def test_an_id_is_used_as_it_is_while_it_fits() -> None:
    assert schedule_id("é" * 100) == "é" * 100
    assert workflow_id("é" * 100) == f"backup-{'é' * 100}"
    bounded = schedule_id("é" * 100 + "a")
    assert bounded.startswith("é" * 83 + "~")
    assert len(bounded.encode()) <= 200


@pytest.mark.parametrize(
    ("scheduler_id", "reserved"),
    [
        ("system-look-after-jobs", True),
        ("temporal-sys-a", True),
        ("a-temporal-sys-a", False),
        ("system-look-after-jobs-2", False),
        ("nightly", False),
    ],
)
def test_the_ids_of_the_systems_own_schedules_are_reserved(scheduler_id: str, reserved: bool) -> None:
    assert is_reserved(scheduler_id) is reserved


def test_long_ids_that_begin_alike_stay_apart() -> None:
    assert schedule_id("é" * 199 + "a") != schedule_id("é" * 199 + "b")


@given(scheduler_ids, scheduler_ids)
def test_the_summary_fits_into_what_the_server_takes(scheduler_id: str, policy_name: str) -> None:
    summary = action_of(alignment(scheduler_id=scheduler_id, policy_name=policy_name)).static_summary
    assert isinstance(summary, str)
    assert len(summary.encode()) <= 400
