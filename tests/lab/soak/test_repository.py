"""The soak restores backups, and names the files that a snapshot lacks or has changed."""

import subprocess
import tomllib
from pathlib import Path

import pytest

from lab.soak.repository import POLICY, Repository

pytestmark = pytest.mark.programs


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    repository = Repository(tmp_path)
    repository.make()
    repository.change()
    restic(repository, "init")
    return repository


def restic(repository: Repository, *arguments: str) -> None:
    policy = tomllib.loads(repository.policies.read_text())["policies"][POLICY]
    places = ("--repo", policy["repository"], "--password-file", policy["password_file"], "--no-cache")
    subprocess.run(["restic", *places, *arguments], check=True, capture_output=True, timeout=60)


def source(repository: Repository) -> Path:
    policy = tomllib.loads(repository.policies.read_text())["policies"][POLICY]
    return Path(policy["paths"][0])


def back_up(repository: Repository, job: str, *options: str) -> None:
    restic(repository, "backup", f"--tag=job={job}", *options, str(source(repository)))


async def test_the_latest_snapshot_of_each_job_is_restored_and_right(repository: Repository) -> None:
    back_up(repository, "one", "--exclude=*")  # not the latest
    back_up(repository, "one")
    repository.change()
    back_up(repository, "two")
    assert await repository.restore_latest() == (2, [])


async def test_a_snapshot_without_files_is_found(repository: Repository) -> None:
    back_up(repository, "one", "--exclude=*.bin")
    count, differences = await repository.restore_latest()
    assert count == 1
    assert "job=one: 0.bin is missing or was never backed up" in differences
    assert len(differences) == 21


async def test_a_snapshot_with_other_bytes_is_found(repository: Repository) -> None:
    file = source(repository) / "7.bin"
    right = file.read_bytes()
    file.write_bytes(right[:-1] + b"?")
    back_up(repository, "one")
    file.write_bytes(right)
    assert (await repository.restore_latest())[1] == ["job=one: 7.bin was not restored as it was"]


async def test_a_snapshot_of_what_was_there_before_the_backup_is_found(repository: Repository) -> None:
    changing = source(repository) / "changing.bin"
    outdated = changing.read_bytes()
    repository.change()
    changing.write_bytes(outdated)
    back_up(repository, "one")
    [fault] = (await repository.restore_latest())[1]
    assert fault == "job=one: changing.bin has a content that it did not have during the backup"
