"""What a policy names is checked before restic is started; no restic runs here."""

import errno
import os
from pathlib import Path
from typing import Any

import pytest
from temporalio.exceptions import ApplicationError

from activities.paths import PathProbe
from activities.restic.sources import Sources, _failure, _holds_a_file, _holds_text, _mount_points, check
from tests.support.restic_repository import Restic

NOT_MOUNTED = "a disk that is not mounted?"


@pytest.fixture
def place(tmp_path: Path) -> Restic:
    """A policy's places; nobody makes the repository."""
    return Restic(tmp_path)


async def refused(place: Restic, **changes: Any) -> tuple[str, bool]:
    with pytest.raises(ApplicationError) as caught:
        await check(place.policy(**changes), PathProbe())
    return caught.value.message, caught.value.non_retryable


async def test_paths_are_saved_with_the_targets_of_links_and_empty_ones_are_named(place: Restic) -> None:
    link, empty = place.folder / "link", place.folder / "empty"
    link.symlink_to(place.source)
    empty.mkdir()
    found = await check(place.policy(paths=[place.source, link, empty]), PathProbe())
    assert found == Sources(
        paths=[str(place.source), str(link), str(empty), str(place.source)],
        empty=[str(empty)],
        repository=str(place.repository),
    )
    allowed = await check(place.policy(paths=[place.source, empty], allow_empty=True), PathProbe())
    assert allowed.empty == []


async def test_what_is_not_there_is_named(place: Restic) -> None:
    none, other = place.folder / "none", place.source / "one.txt" / "below"
    assert await refused(place, require=[none, place.source, other]) == (
        f"the policy requires what is not there: {none}, {other}: {NOT_MOUNTED}",
        True,
    )
    assert await refused(place, paths=[place.source, none]) == (f"not on the worker's machine: {none}", True)


async def test_sources_without_any_file_are_refused_unless_they_may_be_empty(place: Restic) -> None:
    empty = place.folder / "empty"
    (empty / "below").mkdir(parents=True)
    assert await refused(place, paths=[empty]) == (
        f"there is no file to save in {empty}: {NOT_MOUNTED} (allow_empty = true in the policy says that this may be)",
        True,
    )
    assert (await check(place.policy(paths=[empty], allow_empty=True), PathProbe())).paths == [str(empty)]


async def test_a_link_in_a_circle_is_refused(place: Restic) -> None:
    one, other = place.folder / "a", place.folder / "b"
    one.symlink_to(other)
    other.symlink_to(one)
    assert await refused(place, paths=[one]) == (f"{one} is a link that leads back to itself", True)


async def test_a_password_file_that_is_blank_or_missing_is_refused(place: Restic) -> None:
    place.password_file.write_text(" \n")
    assert await refused(place) == (f"the password file {place.password_file} is empty", True)
    place.password_file.unlink()
    assert await refused(place) == (f"the worker cannot read {place.password_file}: No such file or directory", True)


@pytest.mark.parametrize("command", ["cat /x", "cat 'never closed", " "])
async def test_a_password_command_is_looked_for_where_one_can_be_read(place: Restic, command: str) -> None:
    assert await check(place.policy(password_file=None, password_command=command), PathProbe())


async def test_a_password_command_that_is_not_there_is_refused(place: Restic) -> None:
    assert await refused(place, password_file=None, password_command="no-such-program --now") == (
        "password_command names a program that is not on the worker's machine: no-such-program",
        True,
    )


async def test_a_worker_without_restic_says_so(place: Restic, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(place.folder))
    assert await refused(place) == ("restic is not installed on the worker's machine", True)


@pytest.mark.parametrize(
    ("number", "lasting"),
    [
        (errno.ENOENT, True),
        (errno.ENOTDIR, True),
        (errno.EACCES, True),
        (errno.EPERM, True),
        (errno.EISDIR, True),
        (errno.ELOOP, True),
        (errno.ENAMETOOLONG, True),
        (errno.EIO, False),
        (errno.ESTALE, False),
        (errno.ENOTCONN, False),
    ],
)
def test_a_path_that_cannot_be_read_is_tried_again_where_that_may_pass(number: int, lasting: bool) -> None:
    failure = _failure(OSError(number, "", "/srv"))
    assert isinstance(failure, ApplicationError)
    assert (failure.message, failure.non_retryable) == (f"the worker cannot read /srv: {os.strerror(number)}", lasting)


def test_a_file_is_found_however_deep_and_nothing_else_is_one(tmp_path: Path) -> None:
    deep = tmp_path / "a" / "b" / "c"
    deep.mkdir(parents=True)
    (tmp_path / "a" / "link").symlink_to("/etc/hostname")
    (tmp_path / "folder").symlink_to("/etc")
    os.mkfifo(tmp_path / "pipe")
    assert not _holds_a_file(tmp_path)
    assert not _holds_a_file(tmp_path / "pipe")
    assert not _holds_a_file(Path("/dev/null"))
    (deep / "file").write_text("")
    assert _holds_a_file(tmp_path)
    assert _holds_a_file(deep / "file")


def test_a_folder_of_another_file_system_may_hold_files() -> None:
    assert Path("/proc") in map(Path, _mount_points())
    assert "/" in _mount_points()
    assert _holds_a_file(Path("/proc/self/ns")) is False
    assert _holds_a_file(Path("/"))


def test_a_text_is_looked_for_in_files_only(tmp_path: Path) -> None:
    file, pipe = tmp_path / "file", tmp_path / "pipe"
    os.mkfifo(pipe)
    for content, holds in ((b"", False), (b" \n\t", False), (b"x", True), (b" " * 60_000 + b"x", True)):
        file.write_bytes(content)
        assert _holds_text(file) is holds
    assert _holds_text(pipe) is True, "it can be read only once, by restic"
    with pytest.raises(IsADirectoryError):
        _holds_text(tmp_path)
