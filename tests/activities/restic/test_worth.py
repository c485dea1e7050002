"""Whether a snapshot is a real backup, and whether a missing repository may be made: pure functions."""

from typing import Any

import pytest
from temporalio.exceptions import ApplicationError

from activities.restic.messages import COMPLETENESS_UNKNOWN
from activities.restic.worth import assess, missing_repository
from backup_scheduler.policies.restic import ResticPolicy
from backup_scheduler.runs.results import BackupReport, Outcome
from backup_scheduler.runs.task import BackupTask, PreviousBackup
from tests.support.backup_requests import a_task

GONE = ["Fatal: unable to open config file: stat /r/config: no such file or directory"]


def policy(**changes: Any) -> ResticPolicy:
    terms = {"type": "restic", "paths": ["/srv"], "repository": "/r", "password_file": "/pw"}
    return ResticPolicy.model_validate(terms | changes)


def after(**previous: Any) -> BackupTask:
    terms = {"policy_name": "nightly", "snapshot_id": "01234567", "repository": "/r"} | previous
    return a_task().model_copy(update={"previous": PreviousBackup.model_validate(terms)})


def report(**changes: Any) -> BackupReport:
    terms = {
        "outcome": Outcome.COMPLETED,
        "message": "saved",
        "snapshot_id": "89abcdef",
        "files": 10,
        "bytes_processed": 1000,
    }
    return BackupReport.model_validate(terms | changes)


@pytest.mark.parametrize(
    ("task", "is_gone"),
    [
        (a_task(), False),
        (after(snapshot_id=None), False),
        (after(repository="/other"), False),
        (after(repository=None, policy_name="other"), False),
        (after(), True),
        (after(policy_name="other"), True),
        (after(repository=None), True),
    ],
    ids=["first", "http before", "moved", "old, other policy", "same", "same, other policy", "old"],
)
def test_a_repository_is_gone_only_when_the_jobs_last_snapshot_was_in_it(task: BackupTask, is_gone: bool) -> None:
    failed = missing_repository("/r", task, 1, GONE)
    assert (failed is not None) is is_gone
    if failed:
        assert failed.non_retryable
        assert failed.message == (
            "the repository at /r is gone, which has this job's snapshot 01234567: a disk that is not mounted? "
            "(`restic init` makes a new one there, if that is wanted)"
        )


@pytest.mark.parametrize("said", ["repository does not exist", "No such file", "key Not Found", "HTTP response (404)"])
def test_what_shows_that_a_repository_is_gone(said: str) -> None:
    failed = missing_repository("/r", after(), 1, ["Fatal:", said])
    assert failed
    assert failed.non_retryable


@pytest.mark.parametrize("said", ["connection refused", "port 40400"])
def test_a_repository_that_perhaps_only_does_not_answer_is_tried_again(said: str) -> None:
    failed = missing_repository("/r", after(), 1, [said])
    assert failed
    assert (failed.message, failed.non_retryable) == (f"restic failed (exit code 1): {said}", False)


def test_a_snapshot_without_a_doubt_is_reported_as_it_is() -> None:
    assert assess(report(), policy(), [], a_task(), []) == report()


def test_doubts_are_in_the_message_and_before_restics_own_warnings() -> None:
    restics = [f"/{number}: could not be read" for number in range(19)]
    made = assess(report(warnings=restics), policy(), ["/mnt"], after(files=100), ["the repository has a lock"])
    doubts = [
        "the repository has a lock",
        "/mnt holds no file: a disk that is not mounted?",
        "much less than in the run before: 10 files instead of 100",
    ]
    assert made.outcome is Outcome.COMPLETED_WITH_WARNINGS
    assert made.message == "; ".join(["saved", *doubts])
    assert made.warnings == [*doubts, *restics][:20]
    assert (made.snapshot_id, made.files) == ("89abcdef", 10)


@pytest.mark.parametrize("files", [0, None])
def test_a_snapshot_without_a_file_is_no_backup(files: int | None) -> None:
    with pytest.raises(ApplicationError) as caught:
        assess(report(files=files), policy(), [], a_task(), [])
    assert caught.value.non_retryable
    assert caught.value.message == (
        "nothing was saved, snapshot 89abcdef holds no file: a disk that is not mounted, or are all files excluded? "
        "(allow_empty = true in the policy says that this may be)"
    )


def test_a_snapshot_without_a_file_is_a_backup_where_the_policy_says_so() -> None:
    assert assess(report(files=0), policy(allow_empty=True), [], a_task(), []) == report(files=0)


def test_a_snapshot_of_which_nothing_could_be_read_is_no_backup_whatever_the_policy_says() -> None:
    unread = report(files=0, warnings=[COMPLETENESS_UNKNOWN, "/srv: permission denied"])
    with pytest.raises(ApplicationError) as caught:
        assess(unread, policy(allow_empty=True), [], a_task(), [])
    assert caught.value.non_retryable
    assert caught.value.message == "nothing could be saved, snapshot 89abcdef holds no file: /srv: permission denied"


def test_an_empty_snapshot_of_an_earlier_attempt_may_be_meant() -> None:
    found = report(files=0, warnings=[COMPLETENESS_UNKNOWN])
    assert assess(found, policy(allow_empty=True), [], a_task(), []) == found


@pytest.mark.parametrize(
    ("before", "part", "words"),
    [
        ({"files": 20, "bytes_processed": 2000}, 0.5, None),
        ({"files": 21}, 0.5, "10 files instead of 21"),
        ({"bytes_processed": 2001}, 0.5, "1,000 bytes instead of 2,001"),
        (
            {"files": 1_000_000, "bytes_processed": 3000},
            0.5,
            "10 files instead of 1,000,000 and 1,000 bytes instead of 3,000",
        ),
        ({"files": 11}, 1, "10 files instead of 11"),
        ({"files": 1_000_000}, 0, None),
        ({"files": 1_000_000, "policy_name": "other"}, 0.5, None),
        ({"files": None, "bytes_processed": None}, 0.5, None),
    ],
)
def test_less_than_the_policys_part_of_the_run_before_makes_a_warning(
    before: dict[str, Any], part: float, words: str | None
) -> None:
    made = assess(report(), policy(shrink_warning=part), [], after(**before), [])
    assert made.warnings == ([f"much less than in the run before: {words}"] if words else [])


def test_what_is_not_known_of_a_snapshot_is_not_compared() -> None:
    unknown = report(bytes_processed=None)
    assert assess(unknown, policy(), [], after(bytes_processed=9_000), []) == unknown
