"""Locations of repositories."""

import posixpath
import re
from pathlib import Path

from activities.paths import PathProbe
from activities.restic.failures import permanent
from backup_scheduler import masking
from backup_scheduler.policies.restic import ResticPolicy
from backup_scheduler.texts import redact

_DISKS = {"btrfs", "ext2", "ext3", "ext4", "exfat", "f2fs", "overlay", "tmpfs", "vfat", "xfs", "zfs"}
"""File systems that belong to one machine, as /proc/self/mountinfo names them."""
_REMOTE = re.compile(r"(?!local:)[a-z0-9]+:")


async def locate(policy: ResticPolicy, probe: PathProbe) -> str:
    """Return the policy's location as restic reads it; its secrets are masked from then on.

    Raises OSError, and PathHangsError when it does not answer.
    """
    location = policy.repository
    if location is None:
        assert policy.repository_file  # noqa: S101  # a policy has one of the two
        location = (await probe(policy.repository_file, _text)).strip()
        if not location:
            raise permanent(f"the repository_file {policy.repository_file} is empty")
        masking.hide_url(location)
    if folder := local_folder(location):
        await probe(folder, Path.exists)
    return location


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace")


def local_folder(location: str) -> Path | None:
    """Return the folder of a local repository; None for a remote one."""
    return Path(location.removeprefix("local:")) if location and not _REMOTE.match(location) else None


def without_credentials(location: str) -> str:
    """Return the location without credentials, for people; it is the same for each spelling of the location."""
    if folder := local_folder(location):
        return posixpath.normpath(str(folder))
    if location.startswith("rclone:") and "," in location:  # options, which may be secrets, are between comma and colon
        location = f"{location.partition(',')[0]}:{location.rpartition(':')[2]}"
    location = redact(location).replace("://***@", "://")
    return re.split(r"[?#]", location)[0].rstrip("/")


def is_on_local_disk(folder: Path) -> bool:
    """Tell whether only this machine can write into a folder: it is not on a network file system."""
    mounts = Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="surrogateescape")
    return is_on_disk_of(mounts, folder.resolve())


def is_on_disk_of(mounts: str, folder: Path) -> bool:
    """Tell the same for a folder without links in its path, by a text as in /proc/self/mountinfo."""
    kinds: dict[str, str] = {}
    for line in mounts.splitlines():
        before, _, after = line.partition(" - ")
        kinds[before.split()[4]] = after.split()[0]  # the last mount on a folder hides the others
    # The kernel writes a blank in a name as \040: such a mount is not found below; its parent's kind may differ.
    if any("\\" in mount for mount in kinds):
        return False
    return next((kinds[str(each)] for each in (folder, *folder.parents) if str(each) in kinds), "") in _DISKS
