"""Paths on a file system that hangs: a real one, whose driver never answers."""

import asyncio
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from activities.paths import PathHangsError, PathProbe
from activities.restic.backup import ResticBackup
from backup_scheduler.policies.file import Policies
from backup_scheduler.policies.restic import ResticPolicy
from backup_scheduler.runs.results import BackupReport, Outcome
from tests.support.attempts import attempt_of, told
from tests.support.backup_requests import a_task
from tests.support.restic_attempts import made, refused
from tests.support.restic_repository import Restic

HANGS = """
exec 3<>/dev/fuse
mount -i -t fuse -o fd=3,rootmode=40000,user_id=0,group_id=0,allow_other hung "$1" && echo mounted && exec sleep 1000
"""
SILENT = "the path {} does not answer (a network file system that hangs?)"
SOON = timedelta(seconds=1.5)


@contextmanager
def hung(folder: Path) -> Iterator[Path]:
    """Mount a FUSE file system whose process says nothing; when that ends, the kernel fails what waits for it."""
    rights = [] if os.geteuid() == 0 else ["sudo", "-n"]
    folder.mkdir()
    command = [*rights, "sh", "-c", HANGS, "sh", str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as driver:
        assert driver.stdout
        assert driver.stdout.readline() == "mounted\n"
        try:
            yield folder
        finally:
            subprocess.run([*rights, "kill", "-9", str(driver.pid)], check=True)
            driver.wait()
            subprocess.run([*rights, "umount", "--lazy", str(folder)], check=True)


async def attempt(policy: ResticPolicy, probe: PathProbe) -> BackupReport:
    activity = ResticBackup(Policies({"nightly": policy}), probe, told)
    report: BackupReport = await attempt_of().run(activity.restic_backup, a_task())
    return report


@pytest.fixture
def hung_folder(tmp_path: Path) -> Iterator[Path]:
    with hung(tmp_path / "hung") as folder:
        yield folder


@pytest.mark.parametrize("field", ["paths", "require", "password_file", "repository_file", "repository"])
async def test_a_path_that_does_not_answer_is_named_and_tried_again(
    restic: Restic, hung_folder: Path, field: str
) -> None:
    path = hung_folder / "x"
    changes: dict[str, object] = {field: [path] if field in ("paths", "require") else str(path)}
    if field == "repository_file":
        changes["repository"] = None
    probe = PathProbe(limit=SOON)
    with pytest.raises(Exception, match="ResticFailed") as caught:
        await attempt(restic.policy(**changes), probe)
    assert str(caught.value).endswith(SILENT.format(path))
    assert not getattr(caught.value, "non_retryable", True)


async def test_paths_that_hang_keep_neither_other_backups_nor_host_names_from_being_looked_up(
    restic: Restic, hung_folder: Path
) -> None:
    probe = PathProbe(limit=SOON)
    for number in range(4):
        with pytest.raises(PathHangsError):
            await probe(hung_folder / str(number), Path.lstat)
    began = time.monotonic()
    report = await attempt(restic.policy(), probe)
    assert report.outcome is Outcome.COMPLETED
    # As many as the default executor has threads, had they been used for this.
    hosts = [asyncio.get_running_loop().getaddrinfo("localhost", number) for number in range(40)]
    assert all(await asyncio.gather(*hosts))
    assert time.monotonic() - began < 30


@pytest.mark.programs
async def test_one_path_takes_one_thread_however_many_ask_and_is_not_waited_for_again(hung_folder: Path) -> None:
    probe = PathProbe(threads=2, limit=SOON)
    asked = [probe(hung_folder / "x", Path.lstat) for _ in range(8)]
    assert {str(error) for error in await asyncio.gather(*asked, return_exceptions=True)} == {
        SILENT.format(hung_folder / "x")
    }
    began = time.monotonic()
    with pytest.raises(PathHangsError):
        await probe(hung_folder / "x", Path.lstat)
    assert time.monotonic() - began < SOON.total_seconds()
    assert await probe(hung_folder.parent, Path.is_dir)


@pytest.mark.programs
async def test_when_all_threads_hang_the_next_look_fails_at_once_and_names_the_paths(hung_folder: Path) -> None:
    probe = PathProbe(threads=2, limit=SOON)
    others = [hung_folder / "a", hung_folder / "b"]
    await asyncio.gather(*(probe(other, Path.lstat) for other in others), return_exceptions=True)
    began = time.monotonic()
    with pytest.raises(PathHangsError) as caught:
        await probe(hung_folder.parent, Path.lstat)
    assert time.monotonic() - began < SOON.total_seconds()
    assert str(caught.value) == (
        f"the worker cannot look at {hung_folder.parent}, because too many others do not answer: "
        f"{others[0]}, {others[1]}"
    )


@pytest.mark.programs
async def test_a_path_that_answers_again_is_looked_at_again(tmp_path: Path) -> None:
    probe = PathProbe(threads=1, limit=SOON)
    with hung(tmp_path / "hung") as folder, pytest.raises(PathHangsError):
        await probe(folder, Path.lstat)
    assert await probe(tmp_path / "hung", Path.is_dir)


async def test_a_folder_that_hangs_below_a_path_may_be_excluded(
    new_restic: Restic, restic: Restic, hung_folder: Path
) -> None:
    (hung_folder.parent / "deep" / "deeper").mkdir(parents=True)
    (hung_folder.parent / "deep" / "deeper" / "file").touch()
    policy = restic.policy(paths=[hung_folder.parent], exclude=[str(hung_folder), "repository", "cache"])
    assert (await made(policy)).outcome is Outcome.COMPLETED


@pytest.fixture
def dead_folder(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "dead"
    folder.mkdir()
    rights = [] if os.geteuid() == 0 else ["sudo", "-n"]
    dead = HANGS.replace("&& exec sleep 1000", "")
    subprocess.run([*rights, "sh", "-c", dead, "sh", str(folder)], check=True, capture_output=True)
    yield folder
    subprocess.run([*rights, "umount", "--lazy", str(folder)], check=True)


async def test_a_file_system_that_gave_up_is_reported_and_tried_again(restic: Restic, dead_folder: Path) -> None:
    folder = dead_folder
    error = await refused(restic.policy(paths=[folder]))
    assert not error.non_retryable
    assert error.message == f"the worker cannot read {folder}: Transport endpoint is not connected"
