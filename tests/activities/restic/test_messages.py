"""restic's exit codes and texts, as pure functions; the texts are quoted from restic."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from activities.restic.failures import failure, permanent, transient
from activities.restic.messages import (
    MOST_WARNINGS,
    duplicates_warning,
    error_text,
    exit_error_text,
    has_recovered,
    is_retrying,
    parse_message,
    parse_snapshots,
    report_of_found,
    report_of_new,
    unreachable,
)
from activities.restic.verdicts import Verdict, explain, judge, lock_owner, was_killed
from backup_scheduler.runs.results import BackupReport, Outcome


@pytest.mark.parametrize(
    ("exit_code", "text", "verdict"),
    [
        (0, "", Verdict.DONE),
        (0, "wrong password", Verdict.DONE),
        (3, "Warning: at least one source file could not be read", Verdict.INCOMPLETE),
        (10, "Fatal: repository does not exist", Verdict.NO_REPOSITORY),
        (11, "Fatal: unable to create lock in backend", Verdict.LOCKED),
        (12, "Fatal: wrong password or no key found", Verdict.WRONG_PASSWORD),
        (1, "Fatal: unable to open config file: stat /r/config: no such file or directory\nIs there a repository at "
            "the following location?\n/r", Verdict.NO_REPOSITORY),
        (1, "unable to create lock in backend: repository is already locked exclusively by PID 7", Verdict.LOCKED),
        (1, "Fatal: wrong password or no key found", Verdict.WRONG_PASSWORD),
        (1, "Fatal: create repository at /r failed: config file already exists", Verdict.REPOSITORY_EXISTS),
        (1, "Fatal: unable to save snapshot: write /r/data/x: no space left on device", Verdict.NO_SPACE),
        (1, "write: disk quota exceeded", Verdict.NO_SPACE),
        (1, "Fatal: config or key 11 is damaged: ciphertext verification failed", Verdict.DAMAGED),
        (1, "Fatal: unable to open config file: stat /r/config: permission denied\nIs there a repository at "
            "the following location?", Verdict.NO_PERMISSION),
        (1, "subprocess ssh: Host key verification failed.", Verdict.WRONG_HOST_KEY),
        (1, "subprocess ssh: @ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @", Verdict.WRONG_HOST_KEY),
        (1, "Fatal: an empty password is not a password", Verdict.NO_PASSWORD),
        (1, "Resolving password failed: exec: no command", Verdict.NO_PASSWORD),
        (1, "Resolving password failed: fork/exec /bin/x: no such file or directory", Verdict.NO_PASSWORD),
        (1, "Fatal: --exclude: invalid pattern(s) provided: [", Verdict.BAD_PATTERN),
        (1, "unable to create lock in backend: permission denied", Verdict.LOCKED),
        (1, "the repository is already locked by PID 7", Verdict.LOCKED),
        (1, "Fatal: repository master key and config already initialized", Verdict.REPOSITORY_EXISTS),
        (1, "key 11 is damaged", Verdict.DAMAGED),
        (1, "ciphertext verification failed", Verdict.DAMAGED),
        (1, "load <index/1>: invalid data returned", Verdict.DAMAGED),
        (1, "s3: Access Denied.", Verdict.NO_PERMISSION),
        (1, "unexpected HTTP response (401): 401 Unauthorized", Verdict.NO_PERMISSION),
        (1, "unexpected HTTP response (403): 403 Forbidden", Verdict.NO_PERMISSION),
        (1, "write /tmp/restic-temp-pack-1: no space left on device", Verdict.NO_TEMPORARY_SPACE),
        (1, "write /tmp/restic-temp-pack-1: disk quota exceeded", Verdict.NO_TEMPORARY_SPACE),
        (1, "write /r/restic-temp-of-a-folder/x: no space left on device", Verdict.NO_SPACE),
        (1, "dial tcp: connection refused", Verdict.UNKNOWN),
        (1, "", Verdict.UNKNOWN),
        (2, "panic", Verdict.UNKNOWN),
        (130, "", Verdict.UNKNOWN),
        (-9, "", Verdict.UNKNOWN),
        (127, "not found", Verdict.UNKNOWN),
    ],
)  # fmt: skip
def test_an_exit_code_and_texts_have_one_verdict(exit_code: int, text: str, verdict: Verdict) -> None:
    assert judge(exit_code, text.splitlines()) is verdict


def test_only_what_a_person_must_mend_is_not_tried_again() -> None:
    passing = {verdict for verdict in Verdict if not verdict.is_permanent}
    made = {Verdict.DONE, Verdict.INCOMPLETE, Verdict.NO_REPOSITORY, Verdict.REPOSITORY_EXISTS}
    assert passing == {*made, Verdict.LOCKED, Verdict.UNKNOWN}


def test_a_failure_is_explained_in_our_words_and_restics_without_credentials() -> None:
    texts = ["Fatal: wrong password", "at rest:https://user:sesame@host/path"]
    assert explain(Verdict.WRONG_PASSWORD, 12, texts) == (
        "the repository does not open with this password (exit code 12): "
        "Fatal: wrong password at rest:https://***@host/path"
    )


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


@pytest.mark.parametrize(
    ("verdict", "sentence"),
    [
        (Verdict.NO_REPOSITORY, "restic found no repository"),
        (Verdict.REPOSITORY_EXISTS, "the repository exists already"),
        (Verdict.LOCKED, "the repository is locked by another restic process"),
        (Verdict.WRONG_PASSWORD, "the repository does not open with this password"),
        (Verdict.NO_SPACE, "there is no space left for the repository"),
        (
            Verdict.NO_TEMPORARY_SPACE,
            "there is no space left for restic's temporary files (TMPDIR of the worker)",
        ),
        (Verdict.NO_PASSWORD, "the policy's password_file or password_command gives no password"),
        (
            Verdict.WRONG_HOST_KEY,
            "the SSH host key of the repository's server is not the one that the worker knows: make sure that it is "
            "the right server, then bring the worker's known_hosts up to date",
        ),
        (Verdict.BAD_PATTERN, "the policy has an exclude pattern that restic does not know"),
        (Verdict.DAMAGED, "the repository is damaged, `restic check` tells more"),
        (Verdict.NO_PERMISSION, "the worker has no permission"),
        (Verdict.UNKNOWN, "restic failed"),
    ],
)
def test_a_failure_says_what_a_person_has_to_know(verdict: Verdict, sentence: str) -> None:
    assert explain(verdict, 1, []) == f"{sentence} (exit code 1)"
    failed = failure(verdict, 1, ["Fatal: odd"])
    assert (failed.message, failed.type) == (f"{sentence} (exit code 1): Fatal: odd", "ResticFailed")
    assert failed.non_retryable is verdict.is_permanent


def test_failures_are_tried_again_unless_a_person_has_to_act() -> None:
    assert (permanent("a").message, permanent("a").type, permanent("a").non_retryable) == ("a", "ResticFailed", True)
    assert (transient("a").message, transient("a").type, transient("a").non_retryable) == ("a", "ResticFailed", False)


@pytest.mark.parametrize(
    ("exit_code", "ending", "killed"),
    [
        (0, "exit code 0", False),
        (1, "exit code 1", False),
        (128, "exit code 128", False),
        (129, "killed by signal 1", True),
        (130, "exit code 130", False),
        (137, "killed by signal 9, perhaps out of memory", True),
        (143, "killed by signal 15", True),
        (-9, "killed by signal 9, perhaps out of memory", True),
        (-2, "killed by signal 2", True),
    ],
)
def test_an_exit_code_tells_a_signal(exit_code: int, ending: str, killed: bool) -> None:
    assert explain(Verdict.UNKNOWN, exit_code, []) == f"restic failed ({ending})"
    assert was_killed(exit_code) is killed


LOCKED = (
    "unable to create lock in backend: repository is already locked {}by PID 42 on nas by root (UID 0, GID 0)\n"
    "lock was created at 2026-01-31 02:01:07 (5m ago)\nstorage ID 0123"
)
REMEDY = (
    "; if it is at work, such as prune, the backup is made after it; if it is gone, `restic unlock` takes its lock "
    "away: run that on its host, as its user, when no restic works there any more"
)


@pytest.mark.parametrize(
    ("said", "owner"),
    [
        (
            LOCKED.format(""),
            "the repository is locked by another restic process: by user root on host nas, pid 42, since 2026-01-31 "
            f"02:01:07{REMEDY}",
        ),
        (
            LOCKED.format("exclusively ").replace("\n", r"\n"),
            "the repository is locked by another restic process: exclusively by user root on host nas, pid 42, since "
            f"2026-01-31 02:01:07{REMEDY}",
        ),
        (
            "already locked by PID 42 on nas by  (UID 0, GID 0)",
            f"the repository is locked by another restic process: by user  on host nas, pid 42{REMEDY}",
        ),
        ("already locked", None),
    ],
)
def test_a_lock_is_explained_by_its_owner_and_the_remedy(said: str, owner: str | None) -> None:
    assert lock_owner(said.splitlines()) == owner
    assert explain(Verdict.LOCKED, 11, said.splitlines()) == (
        owner or f"the repository is locked by another restic process (exit code 11): {said}"
    )


def test_long_words_of_restic_are_kept_from_their_end() -> None:
    assert explain(Verdict.UNKNOWN, 1, ["x" * 100, "y" * 500]) == f"restic failed (exit code 1): {'y' * 500}"


def test_reports_keep_twenty_complaints() -> None:
    assert MOST_WARNINGS == 20


def test_what_go_adds_to_an_error_is_left_out() -> None:
    said = [
        "write /srv/repo.old/locks/f7-tmp: no space left on device",
        "github.com/restic/restic/internal/backend/local.(*Local).Save",
        "github.com/restic/restic/internal/backend/local/local.go:170",
        "main.glob..func24",
        "runtime.goexit",
        "unable to create lock in backend",
        "/srv/repo.old",
    ]
    assert explain(Verdict.NO_SPACE, 1, said) == (
        "there is no space left for the repository (exit code 1): "
        f"{said[0]} unable to create lock in backend /srv/repo.old"
    )
