"""Sources of which restic would save nothing without a word: links, empty folders, disks that are not mounted."""

import asyncio
import os
from pathlib import Path

import pytest

from backup_scheduler.runs.results import Outcome
from tests.support.attempts import attempt_of
from tests.support.backup_requests import a_task
from tests.support.restic_attempts import made, refused, snapshots
from tests.support.restic_repository import Restic

NOT_MOUNTED = "a disk that is not mounted?"
ALLOWED = "(allow_empty = true in the policy says that this may be)"


async def restored(restic: Restic, folder: Path) -> Path:
    await restic("restore", "latest", "--target", str(folder))
    return folder / restic.folder.relative_to("/")


async def test_a_path_that_is_a_link_is_saved_with_what_it_points_to(restic: Restic, tmp_path: Path) -> None:
    (tmp_path / "current").symlink_to("hop")
    (tmp_path / "hop").symlink_to(restic.source)
    report = await made(restic.policy(paths=[tmp_path / "current"]))
    assert (report.outcome, report.files, report.bytes_processed) == (Outcome.COMPLETED, 2, 9)
    folder = await restored(restic, tmp_path / "restored")
    assert (folder / "current").readlink() == Path("hop")
    assert (folder / "source" / "one.txt").read_text() == "one"


async def test_a_link_that_leads_nowhere_is_refused(restic: Restic, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to("gone")
    error = await refused(restic.policy(paths=[restic.source, link]))
    assert (error.message, error.non_retryable) == (
        f"{link} is a link to gone, which is not there: {NOT_MOUNTED}",
        True,
    )
    link.unlink()
    link.symlink_to(link)
    error = await refused(restic.policy(paths=[link]))
    assert (error.message, error.non_retryable) == (f"{link} is a link that leads back to itself", True)


async def test_links_below_a_path_are_saved_as_links(restic: Restic, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "three.txt").write_text("three")
    (restic.source / "link").symlink_to(tmp_path / "elsewhere")
    report = await made(restic.policy())
    assert report.files == 2
    folder = await restored(restic, tmp_path / "restored")
    assert (folder / "source" / "link").is_symlink()
    assert not (folder / "elsewhere").exists()


async def test_paths_without_any_file_fail_before_restic_makes_a_snapshot(restic: Restic, tmp_path: Path) -> None:
    empty, pipe = tmp_path / "mnt", tmp_path / "pipe"
    (empty / "folder" / "folder").mkdir(parents=True)
    os.mkfifo(pipe)
    policy = restic.policy(paths=[empty, pipe])
    error = await refused(policy)
    assert error.message == f"there is no file to save in {empty}, {pipe}: {NOT_MOUNTED} {ALLOWED}"
    assert error.non_retryable
    assert await snapshots(restic) == []
    report = await made(policy.model_copy(update={"allow_empty": True}))
    assert (report.outcome, report.files) == (Outcome.COMPLETED, 0)


async def test_a_path_without_any_file_beside_others_makes_a_warning(restic: Restic, tmp_path: Path) -> None:
    (tmp_path / "mnt").mkdir()
    policy = restic.policy(paths=[restic.source, tmp_path / "mnt"])
    report = await made(policy)
    assert report.outcome is Outcome.COMPLETED_WITH_WARNINGS
    assert report.warnings == [f"{tmp_path / 'mnt'} holds no file: {NOT_MOUNTED}"]
    assert report.warnings[0] in report.message
    report = await made(policy.model_copy(update={"allow_empty": True}), a_task("next"))
    assert (report.outcome, report.warnings) == (Outcome.COMPLETED, [])


async def test_files_that_are_all_excluded_fail_the_run_and_no_attempt_takes_the_empty_snapshot_for_a_backup(
    restic: Restic,
) -> None:
    policy = restic.policy(exclude=["*.txt"])
    errors = [await refused(policy, environment=attempt_of(number)) for number in (1, 2)]
    (snapshot,) = await snapshots(restic)
    for error in errors:
        assert error.message.startswith(f"nothing was saved, snapshot {snapshot['short_id']} holds no file: ")
        assert ALLOWED in error.message
        assert error.non_retryable
    report = await made(policy.model_copy(update={"allow_empty": True}), a_task("next"))
    assert (report.outcome, report.files) == (Outcome.COMPLETED, 0)


async def test_what_a_lost_attempt_saved_is_counted(restic: Restic) -> None:
    first = await made(restic.policy())
    second = await made(restic.policy(), environment=attempt_of(2))
    assert (second.files, second.bytes_processed) == (first.files, first.bytes_processed) == (2, 9)


async def test_a_source_that_cannot_be_read_at_all_fails_the_run(restic: Restic) -> None:
    unreadable = f"/proc/{os.getpid()}/mem"  # not even root reads it from its beginning
    error = await refused(restic.policy(paths=[unreadable], allow_empty=True))
    assert error.non_retryable
    assert error.message.startswith("nothing could be saved, snapshot ")
    assert unreadable in error.message
    assert error.message.endswith("input/output error")


# A restic without root's rights.
AS_NOBODY = """#!/bin/sh
PATH="${PATH#*:}" exec setpriv --reuid 65534 --regid 65534 --clear-groups --inh-caps=-all restic "$@"
"""


async def test_a_folder_that_the_worker_may_not_read_is_named(
    open_restic: Restic, monkeypatch: pytest.MonkeyPatch
) -> None:
    restic = open_restic
    monkeypatch.setenv("PATH", restic.path_with(AS_NOBODY))
    for path in (restic.repository, *restic.repository.rglob("*")):
        path.chmod(0o777 if path.is_dir() else 0o644)
    (restic.folder / "cache").mkdir(mode=0o777)
    (restic.folder / "cache").chmod(0o777)
    closed = restic.folder / "closed"
    closed.mkdir(mode=0o700)
    (closed / "file").write_text("x")
    report = await made(restic.policy(paths=[restic.source, closed]))
    assert report.outcome is Outcome.COMPLETED_WITH_WARNINGS
    assert report.warnings
    assert all(str(closed) in warning for warning in report.warnings)
    assert all(warning.endswith(("permission denied", "could not be read")) for warning in report.warnings)  # of 0.14
    error = await refused(restic.policy(paths=[closed]), a_task("next"))
    assert error.non_retryable
    assert error.message.startswith("nothing could be saved, snapshot ")


async def test_what_a_policy_requires_is_looked_for_before_anything_else(restic: Restic, tmp_path: Path) -> None:
    marker = tmp_path / ".mounted"
    policy = restic.policy(paths=["/no/one"], require=[tmp_path, marker])
    error = await refused(policy)
    assert error.message == f"the policy requires what is not there: {marker}: {NOT_MOUNTED}"
    assert error.non_retryable
    marker.touch()
    assert (await refused(policy)).message == "not on the worker's machine: /no/one"


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"password_file": "blank"}, "the password file {folder}/blank is empty"),
        ({"password_file": "."}, "the worker cannot read {folder}: Is a directory"),
        (
            {"password_file": None, "password_command": "no-such-program 'a b'"},
            "password_command names a program that is not on the worker's machine: no-such-program",
        ),
        (
            {"password_file": None, "password_command": "sh -c true"},
            "the policy's password_file or password_command gives no password (exit code 1): ",
        ),
        ({"repository": None, "repository_file": "blank"}, "the repository_file {folder}/blank is empty"),
    ],
)
async def test_a_secret_that_is_none_fails_for_good(
    restic: Restic, changes: dict[str, str | None], sentence: str
) -> None:
    (restic.folder / "blank").write_text(" \n")
    files = {
        name: restic.folder / value if value and name.endswith("_file") else value for name, value in changes.items()
    }
    error = await refused(restic.policy(**files))
    assert error.non_retryable, error.message
    assert error.message.startswith(sentence.format(folder=restic.folder))


async def test_attempts_at_once_do_not_wait_for_each_other(restic: Restic) -> None:
    tasks = [a_task(f"run-{number}") for number in range(4)]
    reports = await asyncio.gather(*(made(restic.policy(), task) for task in tasks))
    assert {report.outcome for report in reports} == {Outcome.COMPLETED}
