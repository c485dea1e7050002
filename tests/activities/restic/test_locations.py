"""Locations of repositories: which folder they are, how people read them, and which name they have."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from temporalio.exceptions import ApplicationError

from activities.paths import PathProbe
from activities.restic.locations import is_on_disk_of, is_on_local_disk, local_folder, locate, without_credentials
from activities.restic.repositories import digest
from backup_scheduler.masking import masked
from backup_scheduler.policies.restic import ResticPolicy
from lab.parts.places import ROOT
from tests.support.marked_secrets import FORGOTTEN, IN_USERINFO


@pytest.mark.parametrize(
    ("location", "folder"),
    [
        ("/srv/r", "/srv/r"),
        ("local:/srv/r", "/srv/r"),
        ("local:relative", "relative"),
        ("/srv/a:b", "/srv/a:b"),
        ("sftp:nas:/r", None),
        ("s3:https://h/b", None),
        ("b2:bucket", None),
        ("", None),
    ],
)
def test_a_repository_is_local_unless_a_word_before_a_colon_says_otherwise(location: str, folder: str | None) -> None:
    assert local_folder(location) == (folder and Path(folder))


@pytest.mark.parametrize(
    ("location", "shown"),
    [
        ("/srv/../srv/r/", "/srv/r"),
        ("local:/srv/r", "/srv/r"),
        ("rest:https://u:sesame@h/r/", "rest:https://h/r"),
        *((f"rest:https://b:it{each}s-sesame@h/r", "rest:https://h/r") for each in (*IN_USERINFO, *FORGOTTEN)),
        ("s3:https://h/b?key=sesame", "s3:https://h/b"),
        ("s3:https://h/b#sesame", "s3:https://h/b"),
        ("rclone:remote:path", "rclone:remote:path"),
        ("rclone:remote,pass=sesame:path", "rclone:remote:path"),
        ("sftp:u@h:/r/", "sftp:u@h:/r"),
    ],
)
def test_people_read_a_location_without_its_credentials(location: str, shown: str) -> None:
    assert without_credentials(location) == shown


def test_a_location_has_one_digest_for_all_its_spellings(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "r")
    assert digest(str(tmp_path / "r")) == digest(f"local:{tmp_path}/./link/") != digest(str(tmp_path / "s"))
    assert len(digest("/r")) == 32
    assert digest("rest:http://u:p@h/r") == digest("rest:http://h/r/") != digest("rest:http://h/s")


def policy(**changes: Any) -> ResticPolicy:
    terms = {"type": "restic", "paths": ["/srv"], "password_file": "/pw"}
    return ResticPolicy.model_validate(terms | changes)


async def test_a_location_is_read_from_its_file(tmp_path: Path) -> None:
    file = tmp_path / "repository"
    file.write_bytes(b" rest:http://u:p@h/\xff \n")
    probe = PathProbe()
    assert await locate(policy(repository="/r"), probe) == "/r"
    assert await locate(policy(repository_file=file), probe) == "rest:http://u:p@h/\N{REPLACEMENT CHARACTER}"
    file.write_text("rest:http://u:it's-sesame,open@h/r\n")
    await locate(policy(repository_file=file), probe)
    assert masked("he said it's-sesame,open or it%27s-sesame%2Copen") == "he said *** or ***"
    file.write_text(" \n")
    with pytest.raises(ApplicationError) as caught:
        await locate(policy(repository_file=file), probe)
    assert caught.value.non_retryable
    assert caught.value.message == f"the repository_file {file} is empty"


MOUNTS = """\
22 1 0:20 / / rw,relatime - ext4 /dev/root rw
23 22 0:21 / /srv/nas rw shared:1 - nfs4 nas:/ rw
24 22 0:22 / /srv/disk rw - xfs /dev/sdb rw
25 22 0:23 / /srv/hidden rw - ext4 /dev/sdc rw
26 22 0:24 / /srv/hidden rw - cifs //nas/x rw
27 22 0:25 / /srv/phone rw - fuse.sshfs phone: rw
"""


@pytest.mark.parametrize(
    ("folder", "local"),
    [
        ("/", True),
        ("/srv/disk/a/b", True),
        ("/srv/disk", True),
        ("/srv/nas/a", False),
        ("/srv/hidden/a", False),
        ("/srv/phone", False),
        ("/srv/other", True),
    ],
)
def test_the_last_mount_above_a_folder_tells_whether_its_disk_is_this_machines(folder: str, local: bool) -> None:
    assert is_on_disk_of(MOUNTS, Path(folder)) is local


def test_mounts_whose_names_cannot_be_compared_leave_no_disk_certain() -> None:
    odd = MOUNTS + "28 22 0:26 / /srv/two\\040words rw - nfs4 nas:/ rw\n"
    assert not is_on_disk_of(odd, Path("/srv/disk"))
    assert not is_on_disk_of("", Path("/srv/disk"))


@pytest.mark.parametrize(
    "kind", ["btrfs", "ext2", "ext3", "ext4", "exfat", "f2fs", "overlay", "tmpfs", "vfat", "xfs", "zfs"]
)
def test_these_file_systems_belong_to_one_machine(kind: str) -> None:
    assert is_on_disk_of(f"22 1 0:20 / / rw - {kind} /dev/root rw\n", Path("/"))


@pytest.mark.parametrize("kind", ["nfs", "nfs4", "cifs", "ceph", "fuse.glusterfs", "9p", "autofs"])
def test_these_file_systems_may_be_shared(kind: str) -> None:
    assert not is_on_disk_of(f"22 1 0:20 / / rw - {kind} nas:/ rw\n", Path("/"))


def test_the_disk_of_a_link_is_that_of_its_target(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/proc")
    assert is_on_local_disk(tmp_path)
    assert not is_on_local_disk(tmp_path / "link")


LOOK = """
from pathlib import Path
from activities.restic.locations import is_on_local_disk
from activities.restic.sources import _mount_points
odd = [mount for mount in _mount_points() if mount.endswith("\\udcff b")]
print(is_on_local_disk(Path("/proc")), len(odd))
"""
IN_A_NAMESPACE = """
set -e
mkdir "$1"
mount -t tmpfs none "$1"
exec "$2" -c "$3"
"""


@pytest.mark.programs
def test_a_mount_of_any_name_keeps_no_other_from_being_looked_at(tmp_path: Path) -> None:
    odd = os.fsencode(tmp_path) + b"/\xff b"
    looked = subprocess.run(
        ["unshare", "--mount", "--", "bash", "-c", IN_A_NAMESPACE, "bash", odd, sys.executable, LOOK],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    assert looked.stdout == b"False 1\n"
