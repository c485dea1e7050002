"""restic's exit codes and texts, as pure functions; the texts are quoted from restic."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from activities.restic.messages import MOST_WARNINGS, error_text, parse_message, parse_snapshots
from activities.restic.verdicts import Verdict, explain, judge


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
