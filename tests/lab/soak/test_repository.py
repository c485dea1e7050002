"""The soak restores snapshots, not only the latest ones, and names the files that one lacks or has changed."""

import subprocess
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest

from lab.soak.repository import POLICY, Repository, Snapshot, sampled

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
    restic(repository, "backup", f"--tag=job={job}", "--tag=run=1", *options, str(source(repository)))


async def differences(repository: Repository) -> list[str]:
    return await repository.differences(await repository.snapshots())


async def test_every_snapshot_is_restored_and_right(repository: Repository) -> None:
    back_up(repository, "one")
    repository.change()
    back_up(repository, "two")
    assert [(snapshot.run, snapshot.job) for snapshot in await repository.snapshots()] == [("1", "one"), ("1", "two")]
    assert await differences(repository) == []


async def test_a_snapshot_without_files_is_found_also_if_a_later_one_is_right(repository: Repository) -> None:
    back_up(repository, "one", "--exclude=*")
    back_up(repository, "one")
    faults = await differences(repository)
    assert len(faults) == 21
    assert faults[0].endswith("of 1: 0.bin is missing or was never backed up")


async def test_a_snapshot_with_other_bytes_is_found(repository: Repository) -> None:
    file = source(repository) / "7.bin"
    right = file.read_bytes()
    file.write_bytes(right[:-1] + b"?")
    back_up(repository, "one")
    file.write_bytes(right)
    [fault] = await differences(repository)
    assert fault.endswith("7.bin was not restored as it was")


async def test_a_snapshot_of_what_was_there_before_the_backup_is_found(repository: Repository) -> None:
    changing = source(repository) / "changing.bin"
    outdated = changing.read_bytes()
    repository.change()
    changing.write_bytes(outdated)
    back_up(repository, "one")
    [fault] = await differences(repository)
    assert fault.endswith("changing.bin has a content that it did not have during the backup")


async def test_a_snapshot_that_cannot_be_restored_is_found(repository: Repository) -> None:
    back_up(repository, "one")
    [snapshot] = await repository.snapshots()
    [fault] = await repository.differences([replace(snapshot, id="0" * 64)])
    assert "restic restore ended with" in fault


def snapshots(number: int) -> list[Snapshot]:
    return [Snapshot(str(each), "", "", each) for each in range(number)]


@pytest.mark.parametrize(("number", "most"), [(0, 3), (2, 3), (3, 3)])
def test_a_few_snapshots_are_all_taken(number: int, most: int) -> None:
    assert sampled(snapshots(number), most) == snapshots(number)


def test_of_many_snapshots_some_are_taken_from_the_first_to_the_last() -> None:
    assert [snapshot.id for snapshot in sampled(snapshots(101), 5)] == ["0", "25", "50", "75", "100"]
