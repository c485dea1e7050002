"""restic's exit codes and texts, and what people read of them, as pure functions; the texts are quoted from restic."""

import pytest

from activities.restic.failures import failure, permanent, transient
from activities.restic.verdicts import Verdict, explain, judge, lock_owner, was_killed


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
