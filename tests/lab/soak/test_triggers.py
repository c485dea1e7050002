"""Each trigger has a second of its own, and what its run may be sent is known."""

from datetime import UTC, datetime, timedelta

from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.schedule.v1 import ScheduleActionResult, ScheduleInfo
from temporalio.api.workflowservice.v1 import DescribeScheduleResponse

from backup_scheduler.contract.methods import MODIFY
from lab.parts.answers import JobState, Terms
from lab.soak.job import Job, Trigger
from lab.soak.trigger import note_shown

OLD = Terms("nightly", 1, "02:00", 1, 3600, revision=1)
NEW = Terms("nightly", 2, "03:00", 0, 60, revision=2)
NOW = datetime(2026, 1, 1, 12, 0, 0, 700_000, tzinfo=UTC)


def a_job() -> Job:
    return Job("job", {JobState(OLD)}, asked_at={OLD: NOW})


def triggers(*runs: str) -> list[Trigger]:
    return [Trigger(NOW, run, set(), confirmed=True) for run in runs]


def description(running: str = "", recent: str = "", waiting: int = 0) -> DescribeScheduleResponse:
    named = [WorkflowExecution(workflow_id=running)] if running else []
    ended = [ScheduleActionResult(start_workflow_result=WorkflowExecution(workflow_id=recent))] if recent else []
    return DescribeScheduleResponse(
        info=ScheduleInfo(running_workflows=named, recent_actions=ended, buffer_size=waiting)
    )


def test_no_two_triggers_of_a_job_name_one_second() -> None:
    job = a_job()
    moments = [job.trigger(NOW + timedelta(seconds=late)).moment for late in (0, 0, 0.5, 10)]
    assert [moment.second for moment in moments] == [0, 1, 2, 10]
    assert all(moment.microsecond == 0 for moment in moments)
    assert job.triggers[0].run == "backup-job-2026-01-01T12:00:00Z"


def test_a_run_that_is_shown_starts_with_the_terms_of_before() -> None:
    job = a_job()
    shown, late = job.trigger(NOW), job.trigger(NOW)
    shown.shown = True
    job.judge(MODIFY, NEW, None, NOW, disturbed=False)
    assert shown.terms == {OLD}
    assert late.terms == {OLD, NEW}


def test_only_what_temporal_took_and_did_not_show_is_pending() -> None:
    job = Job("job", triggers=triggers("a", "b", "c"))
    job.triggers[0].shown = True
    job.triggers[1].confirmed = False
    assert job.pending == [job.triggers[2]]


def test_runs_are_shown_by_name() -> None:
    found = triggers("a", "b", "c")
    note_shown(found, description(running="a", recent="b", waiting=1), may_wait=False)
    assert [each.shown for each in found] == [True, True, False]


def test_runs_that_wait_are_the_latest_ones() -> None:
    found = triggers("a", "b", "c", "d")
    note_shown(found, description(running="a", waiting=2), may_wait=True)
    assert [each.shown for each in found] == [True, False, True, True]
