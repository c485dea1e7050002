"""Faults of restic's surroundings: those that are tried again, those that are not, and the messages."""

import asyncio
import itertools
import os
import re
import shutil
import socket
from pathlib import Path

import pytest

from activities.restic import session
from backup_scheduler.policies.patterns import is_exclude_pattern
from tests.support.disks import small_disk
from tests.support.restic_attempts import refused
from tests.support.restic_repository import Restic


async def test_a_full_folder_for_temporary_files_is_not_called_a_full_repository(
    restic: Restic, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with small_disk(tmp_path / "small", 1) as small:
        monkeypatch.setenv("TMPDIR", str(small))
        restic.fill(4)
        error = await refused(restic.policy())
    assert error.non_retryable
    assert error.message.startswith("there is no space left for restic's temporary files (TMPDIR of the worker)")


async def test_a_full_repository_is_called_so(restic: Restic, tmp_path: Path) -> None:
    with small_disk(tmp_path / "small", 1) as small:
        shutil.copytree(restic.repository, small / "repository")
        restic.fill(4)
        error = await refused(restic.policy(repository=str(small / "repository")))
    assert error.non_retryable
    assert error.message.startswith("there is no space left for the repository")


KILLED = """#!/bin/sh
[ "$1" = backup ] && kill -9 $$
PATH="${PATH#*:}" exec restic "$@"
"""


async def test_a_restic_that_is_killed_is_tried_again_and_says_what_that_may_mean(
    restic: Restic, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", restic.path_with(KILLED))
    error = await refused(restic.policy())
    assert (error.message, error.non_retryable) == ("restic failed (killed by signal 9, perhaps out of memory)", False)


async def test_a_repository_that_does_not_answer_fails_the_attempt_soon(
    restic: Restic, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "_LONGEST_READING", session._PATIENCE / 20)
    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes connections, and says nothing
        location = restic.folder / "location"
        location.write_text(f"rest:http://user:sesame@127.0.0.1:{silent.getsockname()[1]}/")
        error = await refused(restic.policy(repository=None, repository_file=location))
    assert not error.non_retryable
    assert error.message == "the repository cannot be reached: restic did not say why"


# Text of OpenSSH; restic starts it for sftp.
OTHER_KEY = """#!/bin/sh
echo '@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @' >&2
echo 'Host key verification failed.' >&2
sleep 0.5
exit 255
"""
"""It does not end at once, as restic may lose what ssh says in its last moment; such a backup is tried again."""


async def test_a_host_key_that_changed_fails_for_good(restic: Restic, monkeypatch: pytest.MonkeyPatch) -> None:
    path = restic.path_with(OTHER_KEY)
    wrapper = Path(path.partition(os.pathsep)[0]) / "restic"
    wrapper.rename(wrapper.with_name("ssh"))
    monkeypatch.setenv("PATH", path)
    error = await refused(restic.policy(repository="sftp:nas:/repository"))
    assert error.message.startswith("the SSH host key of the repository's server is not the one that the worker knows")
    assert error.non_retryable


PATTERNS = [
    "".join(pieces)
    for length in range(1, 5)
    for pieces in itertools.product(("a", "[", "]", "^", "-", "\\", "*", "!", "/", ".", "é"), repeat=length)
]


async def test_the_patterns_that_restic_refuses_are_refused(restic: Restic) -> None:
    process = await asyncio.create_subprocess_exec(
        *("restic", "--repo", str(restic.repository), "--password-file", str(restic.password_file), "--no-cache"),
        *("backup", *(f"--exclude={pattern}" for pattern in PATTERNS), str(restic.source)),
        stderr=asyncio.subprocess.PIPE,
    )
    _, said = await process.communicate()
    _, _, named = said.decode().partition("invalid pattern(s) provided:\n")
    by_restic, by_us = set(named.splitlines()), {pattern for pattern in PATTERNS if not is_exclude_pattern(pattern)}
    assert len(by_restic) > 5000
    assert not by_restic - by_us
    # restic matches a pattern with itself first, and never reaches a fault behind a part that does not match.
    assert all(re.fullmatch(r"\\.\*[\[\\]", pattern) for pattern in by_us - by_restic)
