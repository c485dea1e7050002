"""What restic prints, as pure functions; the texts are quoted from restic."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from activities.attempts import Progress
from activities.restic.messages import (
    MOST_WARNINGS,
    duplicates_warning,
    error_text,
    exit_error_text,
    has_recovered,
    is_retrying,
    parse_message,
    parse_snapshots,
    progress_of,
    report_of_found,
    report_of_new,
    unreachable,
)
from backup_scheduler.runs.results import BackupReport, Outcome


@given(st.text())
def test_any_line_is_a_message_or_text(line: str) -> None:
    assert parse_message(line) is None or isinstance(parse_message(line), dict)
    assert all(isinstance(each, dict) for each in parse_snapshots([line]))


@pytest.mark.parametrize("line", ["", "3", "null", "[1]", "scan finished", '{"message_type":'])
def test_a_line_that_is_no_message_is_text(line: str) -> None:
    assert parse_message(line) is None


def test_snapshots_are_found_among_other_lines() -> None:
    assert parse_snapshots(["repository opened", json.dumps([{"id": "a"}, {"id": "b"}])]) == [{"id": "a"}, {"id": "b"}]
    assert parse_snapshots(["null", "x", "[1]"]) == []
    assert parse_snapshots(['{"a": 1}', '[{"id": "a"}, 3]', '[{"id": "b"}]']) == [{"id": "a"}], "the first list"


@pytest.mark.parametrize(
    ("read", "text"),
    [
        ({"error": {"Op": "open", "Path": "/x", "Err": 13}, "item": "/x"}, "open /x: permission denied"),
        ({"error": {"message": "open /x: permission denied"}, "item": "/x"}, "open /x: permission denied"),
        ({"error": {}, "item": "/x"}, "/x: could not be read"),
        ({"error": "odd"}, "odd"),
        ({}, "could not be read"),
    ],
)
def test_a_complaint_names_the_file(read: dict[str, object], text: str) -> None:
    assert error_text(read) == text


@pytest.mark.parametrize(
    ("read", "text"),
    [
        ({"error": {"Op": "read", "Path": "/y", "Err": "input/output error"}}, "read /y: input/output error"),
        ({"error": {"Op": "read", "Path": "/y"}, "item": "/x"}, "/x: read /y"),
        ({"error": {"Err": 5}, "item": "/x"}, "/x: input/output error"),
        ({"error": {"Op": 1, "Path": None, "Err": {}}, "item": "/x"}, "/x: could not be read"),
        ({"error": {"message": "at rest:http://u:sesame@h/"}, "item": "/x"}, "/x: at rest:http://***@h/"),
    ],
)
def test_a_complaint_says_what_is_known_of_its_cause(read: dict[str, object], text: str) -> None:
    assert error_text(read) == text


@pytest.mark.parametrize(
    ("message", "text"),
    [
        ({"message_type": "exit_error", "message": "Fatal: locked"}, "Fatal: locked"),
        ({"message_type": "status", "message": "x"}, None),
        ({}, None),
        (None, None),
    ],
)
def test_the_text_of_a_fatal_error_is_the_one_of_its_message(message: dict[str, object] | None, text: str) -> None:
    assert exit_error_text(message) == text


RETRY = "Load(<config/0>) returned error, retrying after 552.330144ms: "
RECOVERED = "Load(<config/0>) operation successful after 2 retries"


def test_restic_says_when_it_retries_and_when_that_helped() -> None:
    assert is_retrying(f"{RETRY}dial tcp: refused")
    assert not is_retrying(RECOVERED)
    assert has_recovered(RECOVERED)
    assert not has_recovered(RETRY)


def test_a_repository_that_does_not_answer_is_explained_by_the_last_fault_that_restic_met() -> None:
    assert unreachable([]) == unreachable(["scan"]) == "the repository cannot be reached: restic did not say why"
    said = [f"{RETRY}first", f"{RETRY}second  at\nrest:http://u:sesame@h/", RECOVERED]
    assert unreachable(said) == "the repository cannot be reached: second at rest:http://***@h/"
    assert unreachable([f"{RETRY}{'x' * 100}{'y' * 500}"]) == f"the repository cannot be reached: {'y' * 500}"


def test_progress_is_read_from_a_status_which_leaves_out_what_is_zero() -> None:
    status = {"percent_done": 0.25678, "files_done": 1, "total_files": 4, "bytes_done": 5, "total_bytes": 20}
    assert progress_of(status) == Progress(
        step="backing up", percent=25.7, files_done=1, files_total=4, bytes_done=5, bytes_total=20
    )
    assert progress_of({}) == Progress(
        step="backing up", percent=0, files_done=0, files_total=0, bytes_done=0, bytes_total=0
    )


def test_a_new_snapshot_is_reported_with_its_counts() -> None:
    summary = {"total_files_processed": 3, "total_bytes_processed": 40, "data_added": 5}
    assert report_of_new("0123456789abcdef", summary, [], "; made") == BackupReport(
        outcome=Outcome.COMPLETED,
        message="restic saved snapshot 01234567; made",
        snapshot_id="01234567",
        files=3,
        bytes_processed=40,
        bytes_added=5,
    )
    empty = report_of_new("01234567", {}, [], "")
    assert (empty.files, empty.bytes_processed, empty.bytes_added) == (0, 0, 0), "restic leaves out what is zero"


def test_a_new_snapshot_that_lacks_files_is_reported_with_the_first_twenty() -> None:
    complaints = [f"/{number}: could not be read" for number in range(21)]
    report = report_of_new("01234567", {}, complaints, "")
    assert report.outcome is Outcome.COMPLETED_WITH_WARNINGS
    assert report.message == "restic saved snapshot 01234567, but not everything could be read"
    assert report.warnings == complaints[:20]


@pytest.mark.parametrize(
    ("summary", "counts"),
    [
        ({"total_files_processed": 3, "total_bytes_processed": 40, "data_added": 5}, (3, 40, 5)),
        ({}, (None, None, None)),
        (None, (None, None, None)),
    ],
)
def test_a_snapshot_of_an_earlier_attempt_is_never_plain_success(
    summary: dict[str, int] | None, counts: tuple[int | None, ...]
) -> None:
    report = report_of_found({"id": "0123456789abcdef", "summary": summary})
    assert report.outcome is Outcome.COMPLETED_WITH_WARNINGS
    assert report.message == ("restic saved snapshot 01234567 in an earlier attempt of this run, which was then lost")
    assert report.warnings == ["whether the lost attempt could read all files is not known: the worker's log may tell"]
    assert report.snapshot_id == "01234567"
    assert (report.files, report.bytes_processed, report.bytes_added) == counts


def test_snapshots_of_one_run_are_named_in_the_order_of_their_times() -> None:
    late, early = {"id": "aaaaaaaa1", "time": "2026-01-02"}, {"id": "bbbbbbbb2", "time": "2026-01-01"}
    assert duplicates_warning([]) == duplicates_warning([late]) == []
    assert duplicates_warning([late, early]) == [
        "this run has 2 snapshots, bbbbbbbb and aaaaaaaa, because restic of an earlier attempt went on unseen: each is "
        "a whole backup, and `restic forget` with its id removes one"
    ]


def test_reports_keep_twenty_complaints() -> None:
    assert MOST_WARNINGS == 20
