"""What may stay in the folder of a repository that is about to be made, and what keeps it from being made."""

import asyncio
import hashlib
import json
import os
import time
from pathlib import Path

import pytest
from temporalio.exceptions import ApplicationError

from activities.restic.repositories import cannot_be_made, flocked, not_made, not_whole, remove_leftovers
from activities.restic.verdicts import Verdict

FIELDS = ("created", "username", "hostname", "kdf", "N", "r", "p", "salt", "data")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "repository"
    for name in ("data/00", "index", "keys", "locks", "snapshots"):
        (folder / name).mkdir(parents=True)
    return folder


def a_key(folder: Path, *, age: float = 3600, **changes: object) -> Path:
    content = json.dumps(dict.fromkeys(FIELDS, "x") | changes).encode()
    path = folder / "keys" / hashlib.sha256(content).hexdigest()
    path.write_bytes(content)
    os.utime(path, (time.time() - age, time.time() - age))
    return path


def refused(folder: Path) -> ApplicationError:
    with pytest.raises(ApplicationError) as caught:
        remove_leftovers(folder)
    return caught.value


def test_the_key_of_an_init_that_was_killed_is_removed_and_nothing_else(folder: Path) -> None:
    key = a_key(folder)
    temporary = [
        folder / "config-tmp-123",
        folder / "keys" / f"{'0' * 64}-tmp-1",
        folder / "locks" / f"{'0' * 64}-tmp-2",
    ]
    for path in temporary:
        path.write_text("")
    (folder / "lost+found").mkdir()
    remove_leftovers(folder)
    assert not key.exists()
    assert all(path.exists() for path in temporary)
    assert (folder / "snapshots").is_dir()


def test_a_repository_and_a_folder_that_is_not_there_are_left_alone(folder: Path, tmp_path: Path) -> None:
    (folder / "config").write_text("made meanwhile")
    key = a_key(folder)
    remove_leftovers(folder)
    assert key.exists()
    remove_leftovers(tmp_path / "none")
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    ("names", "listed"),
    [
        (["a"], "a"),
        (["c", "a", "b"], "a, b, c"),
        (["d", "c", "a", "b", "e"], "a, b, c and 2 more"),
        (["keys/other"], "keys/other"),
        ([f"locks/{'0' * 64}"], f"locks/{'0' * 64}"),
        (["config-tmp-x"], "config-tmp-x"),
    ],
)
def test_things_that_are_not_restics_are_named_and_stay(folder: Path, names: list[str], listed: str) -> None:
    for name in names:
        (folder / name).write_text("")
    error = refused(folder)
    assert error.non_retryable
    assert error.message == (
        f"the folder {folder} is no restic repository and holds other things ({listed}): name an empty folder, or one "
        "that does not exist yet, as the repository"
    )
    assert all((folder / name).exists() for name in names)


def test_a_link_is_no_folder_of_a_repository(folder: Path) -> None:
    (folder / "index").rmdir()
    (folder / "index").symlink_to(folder / "data")
    assert "(index)" in refused(folder).message


@pytest.mark.parametrize("place", ["data/00/pack", "index/x", "snapshots/x"])
def test_data_without_a_config_is_a_damaged_repository(folder: Path, place: str) -> None:
    (folder / place).write_text("")
    key = a_key(folder)
    error = refused(folder)
    assert (error.message, error.non_retryable) == (
        f"the repository is damaged: {folder} holds data but no config file",
        True,
    )
    assert key.exists()


@pytest.mark.parametrize("age", [0, 50, -50])
def test_a_young_key_is_of_an_init_under_way(folder: Path, age: float) -> None:
    old, young = a_key(folder), a_key(folder, age=age, username="another")
    error = refused(folder)
    assert (error.message, error.non_retryable) == (
        f"the repository {folder} is just being made by another process, or by one that was killed",
        False,
    )
    assert old.exists()
    assert young.exists()
    os.utime(young, (time.time() - 70, time.time() - 70))
    remove_leftovers(folder)
    assert not young.exists()


@pytest.mark.parametrize("field", FIELDS)
def test_a_file_that_lacks_a_field_of_a_key_is_none(folder: Path, field: str) -> None:
    content = json.dumps({each: "x" for each in FIELDS if each != field}).encode()
    path = folder / "keys" / hashlib.sha256(content).hexdigest()
    path.write_bytes(content)
    assert f"keys/{path.name}" in refused(folder).message
    assert path.exists()


def test_what_only_looks_like_a_key_stays(folder: Path) -> None:
    key = a_key(folder)
    renamed = key.rename(key.with_name("0" * 64))
    assert f"keys/{renamed.name}" in refused(folder).message, "its name is not the digest of its content"
    renamed.unlink()
    large = a_key(folder, data="x" * 64 * 1024)
    assert f"keys/{large.name}" in refused(folder).message
    large.unlink()
    outside = a_key(folder).rename(folder.parent / "key")
    link = folder / "keys" / hashlib.sha256(outside.read_bytes()).hexdigest()
    link.symlink_to(outside)
    assert f"keys/{link.name}" in refused(folder).message
    assert outside.exists()
    link.unlink()
    for content in (b"{", b"[1]"):
        path = folder / "keys" / hashlib.sha256(content).hexdigest()
        path.write_bytes(content)
        assert f"keys/{path.name}" in refused(folder).message
        path.unlink()


async def test_one_at_a_time_holds_the_lock_of_a_folder_which_only_its_user_reads(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "repository"
    held = asyncio.Event()

    async def second() -> None:
        async with flocked(folder):
            held.set()

    async with flocked(folder):
        waiting = asyncio.create_task(second())
        await asyncio.sleep(0.3)
        assert not held.is_set()
    await asyncio.wait_for(waiting, 10)
    assert folder.stat().st_mode & 0o777 == 0o700


LEFT = ["Fatal: create repository failed: repository already contains keys"]


@pytest.mark.parametrize(
    ("verdict", "texts", "message", "lasting"),
    [
        (Verdict.DONE, [], None, None),
        (Verdict.REPOSITORY_EXISTS, ["config file already exists"], None, None),
        (Verdict.UNKNOWN, LEFT, None, None),
        (Verdict.UNKNOWN, ["refused"], "restic failed (exit code 1): refused", False),
        (Verdict.NO_PERMISSION, [], "the worker has no permission (exit code 1)", True),
    ],
)
def test_an_init_that_failed_is_reported_unless_there_may_be_a_repository_all_the_same(
    verdict: Verdict, texts: list[str], message: str | None, lasting: bool | None
) -> None:
    failed = not_made(verdict, 1, texts)
    assert (failed and failed.message, failed and failed.non_retryable) == (message, lasting)


ONE, TWO = ["repository opened", "a" * 64], ["a" * 64, "b" * 64]
BY_TWO = (
    "the repository rest:http://h/r was made by two at once or over an unfinished one, and may not open; nothing was "
    "backed up into it: remove what is there, and the next run makes it anew"
)


@pytest.mark.parametrize(
    ("verdict", "texts", "unfinished", "message", "lasting"),
    [
        (Verdict.DONE, TWO, False, BY_TWO, True),
        (Verdict.DONE, [], False, BY_TWO, True),
        (Verdict.WRONG_PASSWORD, [], False, BY_TWO, True),
        (Verdict.NO_REPOSITORY, [], True, BY_TWO, True),
        (Verdict.UNKNOWN, ["refused"], False, "restic failed (exit code 1): refused", False),
        (Verdict.UNKNOWN, ONE, False, f"restic failed (exit code 1): {' '.join(ONE)}", False),
    ],
)
def test_a_repository_that_does_not_open_or_has_not_one_key_is_not_used(
    verdict: Verdict, texts: list[str], unfinished: bool, message: str, lasting: bool
) -> None:
    failed = not_whole("rest:http://u:p@h/r", verdict, 1, texts, unfinished=unfinished)
    assert failed
    assert (failed.message, failed.non_retryable) == (message, lasting)


@pytest.mark.parametrize("unfinished", [False, True])
def test_a_repository_that_opens_and_has_one_key_is_whole(unfinished: bool) -> None:
    assert not_whole("rest:http://h/r", Verdict.DONE, 0, ONE, unfinished=unfinished) is None


def test_a_folder_that_cannot_be_made_is_named() -> None:
    error = cannot_be_made(PermissionError(13, "Permission denied", "/srv/r"))
    assert (error.message, error.non_retryable) == (
        "the repository cannot be made: /srv/r: Permission denied",
        True,
    )
