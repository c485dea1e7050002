"""What people read of a run, and how long its engines try: pure functions and tables."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, ApplicationError, FailureError, RetryState, TimeoutType
from temporalio.exceptions import TimeoutError as TimedOut

from activities.restic.backup import TIME_TO_STOP
from backup_scheduler.runs.asked import Asked, StartedBy
from backup_scheduler.runs.memo import RunMemo
from backup_scheduler.runs.results import BackupResult, HttpAnswer, Outcome
from workflows import all_jobs, backup, engines, make_repository
from workflows.sentences import cancelled, missed, reason, running, summary

MOMENT = datetime(2026, 1, 1, 2, tzinfo=UTC)


def test_a_missed_run_says_how_late_it_was_and_how_to_make_the_backup_now() -> None:
    assert missed("a b", timedelta(hours=1, seconds=5, microseconds=600)) == (
        "picked up 1:00:05 after the end of its window and grace time, nothing was backed up; "
        "`temporal schedule trigger --overlap-policy BufferAll -s 'a b'` makes a backup now"
    )


def failed(
    cause: BaseException | None,
    *,
    began: bool = True,
    state: RetryState = RetryState.NON_RETRYABLE_FAILURE,
    activity: str = "http_backup",
) -> ActivityError:
    error = ActivityError(
        "Activity task failed",
        scheduled_event_id=5,
        started_event_id=6 if began else 0,
        identity="",
        activity_type=activity,
        activity_id="1",
        retry_state=state,
    )
    error.__cause__ = cause
    return error


def timed_out(kind: TimeoutType, cause: BaseException | None = None) -> TimedOut:
    error = TimedOut("timed out", type=kind, last_heartbeat_details=[])
    error.__cause__ = cause
    return error


REFUSED = ApplicationError("h answered 403")
BUSY = ApplicationError("h answered 503")
CLOSE, START, BEAT = TimeoutType.SCHEDULE_TO_CLOSE, TimeoutType.SCHEDULE_TO_START, TimeoutType.HEARTBEAT
ATTEMPT = TimeoutType.START_TO_CLOSE
OVER = "; it was tried until its time was up"
NOBODY = "; after that no worker took it before its time was up"


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (ApplicationError("the policy 'a' is not configured"), "the policy 'a' is not configured"),
        (failed(REFUSED), "h answered 403"),
        (failed(BUSY, state=RetryState.TIMEOUT), f"h answered 503{OVER}"),
        (failed(BUSY, state=RetryState.MAXIMUM_ATTEMPTS_REACHED), f"h answered 503{OVER}"),
        (failed(timed_out(CLOSE, BUSY), state=RetryState.TIMEOUT), f"h answered 503{OVER}"),
        (failed(timed_out(BEAT)), "the worker was lost during the backup"),
        (failed(timed_out(BEAT, BUSY)), "the worker was lost during the backup"),
        (failed(timed_out(CLOSE, timed_out(BEAT))), "the worker was lost during the backup"),
        (failed(timed_out(ATTEMPT)), "no worker made the backup within its time limit"),
        (
            failed(timed_out(CLOSE), state=RetryState.TIMEOUT),
            f"no worker made the backup within its time limit{OVER}",
        ),
        (
            failed(timed_out(START), began=False),
            "no worker took the backup before its time was up: none was running, or all were busy",
        ),
        (
            failed(timed_out(CLOSE), began=False, activity="http_poll"),
            "the backup began, but no worker was free to ask how it ended before its time was up",
        ),
        (failed(timed_out(START, BUSY), began=False), f"h answered 503{NOBODY}"),
        (failed(timed_out(CLOSE, timed_out(BEAT)), began=False), f"the worker was lost during the backup{NOBODY}"),
        (failed(BUSY, began=False), "h answered 503"),
    ],
)
def test_a_run_without_a_backup_says_why(error: FailureError, sentence: str) -> None:
    assert reason(error) == sentence


def a_result(**changes: Any) -> BackupResult:
    terms = {
        "outcome": Outcome.COMPLETED,
        "message": "saved",
        "scheduler_id": "job-1",
        "policy_name": "nightly",
        "scheduled_time": MOMENT,
        "started_at": MOMENT,
        "finished_at": MOMENT,
    }
    return BackupResult.model_validate(terms | changes)


def test_the_summary_of_a_restic_run_has_snapshot_sizes_and_warnings() -> None:
    result = a_result(
        outcome=Outcome.COMPLETED_WITH_WARNINGS,
        snapshot_id="01234567",
        repository="/r",
        files=1234,
        bytes_processed=5_000_000,
        bytes_added=6000,
        warnings=["one", "two"],
    )
    assert summary(result) == (
        "**completed with warnings**: saved\n\n"
        "- snapshot: `01234567`\n"
        "- repository: `/r`\n"
        "- files: 1,234\n"
        "- size: 5,000,000 bytes\n"
        "- added to the repository: 6,000 bytes\n"
        "- warning: one\n"
        "- warning: two"
    )


def test_a_summary_leaves_out_what_is_not_known_and_not_what_is_zero() -> None:
    assert summary(a_result()) == "**completed**: saved"
    zero = a_result(files=0, bytes_processed=0, bytes_added=0)
    assert summary(zero) == ("**completed**: saved\n\n- files: 0\n- size: 0 bytes\n- added to the repository: 0 bytes")
    asked = a_result(answer=HttpAnswer(status=202))
    assert summary(asked) == "**completed**: saved\n\n- answer: HTTP status 202"


@pytest.mark.parametrize(
    ("asked", "line"),
    [
        (Asked(by=StartedBy.SCHEDULE), ""),
        (Asked(by=StartedBy.RUN_JOB), "- started by run_job"),
        (Asked(by=StartedBy.RUN_JOB, caller="shop", reason="an\nupgrade"), "- started by run_job (shop): an upgrade"),
        (Asked(by=StartedBy.TRIGGER, caller="temporal-cli:me"), "- started by trigger (temporal-cli:me)"),
    ],
)
def test_a_run_that_somebody_asked_for_says_so_while_it_goes_on_and_at_its_end(asked: Asked, line: str) -> None:
    memo = RunMemo.of("job-1", asked)
    below = line and f"\n\n{line}"
    assert summary(a_result(), memo) == f"**completed**: saved{below}"
    assert running("copying", memo) == f"**running**: copying{below}"
    assert running("copying", memo, "- and more") == f"**running**: copying{below or chr(10)}\n- and more"
    assert cancelled("no backup was made", memo) == f"**cancelled**: no backup was made{below}"


def test_a_run_waits_for_the_last_backup_and_not_for_a_run_that_was_missed() -> None:
    hours = {hour: MOMENT + timedelta(hours=hour) for hour in (1, 2, 3)}
    made, failed = a_result(finished_at=hours[1]), a_result(outcome=Outcome.FAILED, finished_at=hours[2])
    was_missed = a_result(outcome=Outcome.MISSED, finished_at=hours[3])
    assert backup.last_end([]) is backup.last_end([None, was_missed]) is None
    assert backup.last_end([made, was_missed]) == hours[1]
    assert backup.last_end([failed, made, None]) == hours[2]


def waits(policy: RetryPolicy) -> list[timedelta]:
    """The waits between the first attempts."""
    assert policy.maximum_interval
    grown = (policy.initial_interval * policy.backoff_coefficient**number for number in range(30))
    return [min(wait, policy.maximum_interval) for wait in grown]


def test_restic_is_tried_twenty_times_with_waits_of_2_h_26_min_in_all() -> None:
    assert engines.RESTIC_RETRIES.maximum_attempts == 20
    between = waits(engines.RESTIC_RETRIES)[:19]
    assert between[0] == timedelta(seconds=15), "time for a restic that was given up to end"
    assert round(sum(between, timedelta()) / timedelta(minutes=1)) == 2 * 60 + 26


def test_an_http_target_is_tried_again_after_5_s_and_at_least_every_two_minutes_without_a_last_attempt() -> None:
    between = waits(engines.HTTP_RETRIES)
    assert between[:2] == [timedelta(seconds=5), timedelta(seconds=10)]
    assert between[-1] == timedelta(minutes=2)
    assert engines.HTTP_RETRIES.maximum_attempts == 0


def test_a_pass_is_tried_five_times_within_its_hour_and_a_repository_is_made_once() -> None:
    assert all_jobs.PASS_RETRIES.maximum_attempts == 5
    assert waits(all_jobs.PASS_RETRIES)[:4] == [timedelta(seconds=each) for each in (5, 10, 20, 40)]
    assert make_repository.ONCE.maximum_attempts == 1


def test_what_a_run_asks_before_its_backup_is_given_up_soon() -> None:
    assert backup.LOOKUP_RETRIES.maximum_attempts == 3
    assert backup.PREVIOUS_RUN_RETRIES.maximum_attempts == 10
    assert max(waits(backup.PREVIOUS_RUN_RETRIES)) == timedelta(seconds=5)


def test_a_lost_worker_is_noticed_within_30_seconds_and_one_that_stops_restic_is_waited_for() -> None:
    assert timedelta(seconds=30) == engines.HEARTBEAT_TIMEOUT
    assert timedelta(seconds=90) == TIME_TO_STOP


def test_each_engine_brings_what_a_worker_needs_for_it() -> None:
    assert set(engines.ENGINES) == {"http", "restic"}
    assert list(engines.ENGINES["http"].workflows) == []
    assert list(engines.ENGINES["restic"].workflows) == [make_repository.MakeRepositoryWorkflow]
