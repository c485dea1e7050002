"""Pure functions that judge a restic command by its exit code and texts.

Source: restic 0.14 by experiment, newer releases by their documentation and by `make test-restic`.
"""

import re
import signal
from collections.abc import Iterable
from enum import Enum, auto
from typing import Final

from backup_scheduler.texts import redact

_LONGEST_TEXT: Final = 500
_STACK_TRACE = re.compile(r"\S+\.(?:go|s):\d+$|(?:main|runtime|\w+\.(?:com|org)/\S+)\.[\w.()*]+$")
"""A line of the stack trace that restic prints after some errors: a Go function, or its place in the source."""
_BY_SIGNAL = 128
"""Offset that shells and the like add to the number of a signal."""
_INTERRUPTED = 130
"""restic's own exit code after SIGINT."""
_LOCK = re.compile(
    r"already locked (?P<exclusive>exclusively )?by PID (?P<pid>\d+) on (?P<host>\S+) by (?P<user>.*?) ?"
    r"\(UID \d+, GID \d+\)"
    r"(?: lock was created at (?P<since>\d{4}-\d\d-\d\d \d\d:\d\d:\d\d))?"
)
_FULL_TEMPORARY = re.compile(r"/restic-temp-[^/\s]*: (?:no space left|disk quota exceeded)")
"""Text of restic when it cannot write a temporary file, in which it packs data before it saves them."""


class Verdict(Enum):
    """Meaning of the exit code and the texts of a restic command."""

    DONE = auto()
    INCOMPLETE = auto()
    """A snapshot was written, but some files could not be read."""
    NO_REPOSITORY = auto()
    REPOSITORY_EXISTS = auto()
    LOCKED = auto()
    WRONG_PASSWORD = auto()
    NO_SPACE = auto()
    NO_TEMPORARY_SPACE = auto()
    NO_PASSWORD = auto()
    WRONG_HOST_KEY = auto()
    BAD_PATTERN = auto()
    DAMAGED = auto()
    NO_PERMISSION = auto()
    UNKNOWN = auto()

    @property
    def is_permanent(self) -> bool:
        """True when no attempt can succeed until a person acts."""
        return self in _PERMANENT


_PERMANENT = frozenset(
    {
        Verdict.WRONG_PASSWORD,
        Verdict.NO_SPACE,
        Verdict.NO_TEMPORARY_SPACE,
        Verdict.NO_PASSWORD,
        Verdict.WRONG_HOST_KEY,
        Verdict.BAD_PATTERN,
        Verdict.DAMAGED,
        Verdict.NO_PERMISSION,
    }
)


_CODES = {
    0: Verdict.DONE,
    3: Verdict.INCOMPLETE,
    10: Verdict.NO_REPOSITORY,  # from 0.17
    11: Verdict.LOCKED,  # from 0.17
    12: Verdict.WRONG_PASSWORD,  # from 0.17.1
}
_TEXTS = (
    # The order matters: restic 0.14 adds "Is there a repository" to each fault that keeps it from reading the config.
    ("wrong password", Verdict.WRONG_PASSWORD),
    ("empty password", Verdict.NO_PASSWORD),
    ("resolving password failed: exec:", Verdict.NO_PASSWORD),
    ("resolving password failed: fork/exec", Verdict.NO_PASSWORD),
    ("invalid pattern", Verdict.BAD_PATTERN),
    ("host key verification failed", Verdict.WRONG_HOST_KEY),
    (
        "remote host identification has changed",
        Verdict.WRONG_HOST_KEY,
    ),  # restic may miss ssh's last line
    ("no space left", Verdict.NO_SPACE),
    ("quota exceeded", Verdict.NO_SPACE),
    ("unable to create lock", Verdict.LOCKED),
    ("already locked", Verdict.LOCKED),
    ("config file already exists", Verdict.REPOSITORY_EXISTS),
    ("already initialized", Verdict.REPOSITORY_EXISTS),
    ("is damaged", Verdict.DAMAGED),
    ("ciphertext verification failed", Verdict.DAMAGED),
    ("invalid data returned", Verdict.DAMAGED),
    ("permission denied", Verdict.NO_PERMISSION),
    ("access denied", Verdict.NO_PERMISSION),
    ("401 unauthorized", Verdict.NO_PERMISSION),
    ("403 forbidden", Verdict.NO_PERMISSION),
    ("is there a repository", Verdict.NO_REPOSITORY),
)
_SENTENCES = {
    Verdict.NO_REPOSITORY: "restic found no repository",
    Verdict.REPOSITORY_EXISTS: "the repository exists already",
    Verdict.LOCKED: "the repository is locked by another restic process",
    Verdict.WRONG_PASSWORD: "the repository does not open with this password",
    Verdict.NO_SPACE: "there is no space left for the repository",
    Verdict.NO_TEMPORARY_SPACE: "there is no space left for restic's temporary files (TMPDIR of the worker)",
    Verdict.NO_PASSWORD: "the policy's password_file or password_command gives no password",
    Verdict.WRONG_HOST_KEY: "the SSH host key of the repository's server is not the one that the worker knows: "
    "make sure that it is the right server, then bring the worker's known_hosts up to date",
    Verdict.BAD_PATTERN: "the policy has an exclude pattern that restic does not know",
    Verdict.DAMAGED: "the repository is damaged, `restic check` tells more",
    Verdict.NO_PERMISSION: "the worker has no permission",
    Verdict.UNKNOWN: "restic failed",
}


def judge(exit_code: int, texts: Iterable[str]) -> Verdict:
    """Judge a command by its exit code, and by its texts when that is 1, which before 0.17 stands for any fault."""
    if exit_code != 1:
        return _CODES.get(exit_code, Verdict.UNKNOWN)
    said = "\n".join(texts).lower()
    verdict = next((verdict for text, verdict in _TEXTS if text in said), Verdict.UNKNOWN)
    if verdict is Verdict.NO_SPACE and _FULL_TEMPORARY.search(said):
        return Verdict.NO_TEMPORARY_SPACE
    return verdict


def explain(verdict: Verdict, exit_code: int, texts: Iterable[str]) -> str:
    """Return a sentence that says why a command failed, followed by restic's own words."""
    texts = list(texts)
    if verdict is Verdict.LOCKED and (owner := lock_owner(texts)):
        return owner
    sentence = f"{_SENTENCES[verdict]} ({_ending(exit_code)})"
    words = redact(" ".join(" ".join(text for text in texts if not _STACK_TRACE.match(text)).split()))[-_LONGEST_TEXT:]
    return f"{sentence}: {words}" if words else sentence


def lock_owner(texts: Iterable[str]) -> str | None:
    """Return whose lock keeps restic out, since when, and the remedy; None when restic does not say."""
    found = _LOCK.search(" ".join(" ".join(texts).replace("\\n", " ").split()))
    if found is None:
        return None
    held = "exclusively " if found["exclusive"] else ""
    since = f", since {found['since']}" if found["since"] else ""
    return (
        f"the repository is locked by another restic process: {held}by user {found['user']} on host {found['host']}, "
        f"pid {found['pid']}{since}; if it is at work, such as prune, the backup is made after it; if it is gone, "
        "`restic unlock` takes its lock away: run that on its host, as its user, when no restic works there any more"
    )


def _ending(exit_code: int) -> str:
    """Return how a process ended. Python reports a signal as a negative number, a shell around restic adds 128."""
    number = -exit_code if exit_code < 0 else exit_code - _BY_SIGNAL
    if not 0 < number < signal.NSIG or exit_code == _INTERRUPTED:
        return f"exit code {exit_code}"
    perhaps = ", perhaps out of memory" if number == signal.SIGKILL else ""
    return f"killed by signal {number}{perhaps}"


def was_killed(exit_code: int) -> bool:
    """Tell whether a signal ended a process, so that it could not remove its lock."""
    return exit_code < 0 or (exit_code > _BY_SIGNAL and exit_code != _INTERRUPTED)
