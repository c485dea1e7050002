"""Checks, before each attempt, of all that a restic policy names on the worker's machine.

restic itself saves a link instead of its target, and an empty folder when a disk is not mounted, and reports success
for both. 0.14 skips a path that does not exist.
"""

import errno
import os
import re
import shlex
import shutil
import stat
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from activities.paths import PathHangsError, PathProbe
from activities.restic import locations
from activities.restic.failures import permanent, transient
from backup_scheduler.policies.restic import ResticPolicy

_LONGEST_SEARCH: Final = 5
"""Seconds for the search of a file in folders; after that, restic finds out whether there is one."""

_MISSING: Final = (errno.ENOENT, errno.ENOTDIR)
_REFUSED: Final = (errno.EACCES, errno.EPERM, errno.EISDIR, errno.ELOOP, errno.ENAMETOOLONG)


@dataclass(frozen=True)
class Sources:
    """Paths that restic has to save, and the repository for them."""

    paths: list[str]
    """The policy's paths, and the targets of those that are links."""
    empty: list[str]
    """The policy's paths that hold no file; none when the policy allows it."""
    repository: str
    """Location of the repository, which may hold credentials."""


async def check(policy: ResticPolicy, probe: PathProbe) -> Sources:
    """Check everything that the policy names. Raises ApplicationError with the first fault."""
    try:
        if not await probe(Path("restic"), shutil.which):
            raise permanent("restic is not installed on the worker's machine")
        if missing := [str(path) for path in policy.require if not await probe(path, _exists)]:
            raise permanent(f"the policy requires what is not there: {', '.join(missing)}: a disk that is not mounted?")
        if missing := [str(path) for path in policy.paths if not await probe(path, _exists)]:
            raise permanent(f"not on the worker's machine: {', '.join(missing)}")
        targets = {path: await probe(path, _target) for path in policy.paths}
        empty = [str(path) for path, target in targets.items() if not await probe(target, _holds_a_file)]
        if len(empty) == len(targets) and not policy.allow_empty:
            raise permanent(
                f"there is no file to save in {', '.join(empty)}: a disk that is not mounted? "
                "(allow_empty = true in the policy says that this may be)"
            )
        await _check_password(policy, probe)
        repository = await locations.locate(policy, probe)
    except PathHangsError as error:
        raise transient(str(error)) from None
    except OSError as error:
        raise _failure(error) from None
    links = [str(target) for path, target in targets.items() if target != path]
    return Sources([*map(str, policy.paths), *links], [] if policy.allow_empty else empty, repository)


async def _check_password(policy: ResticPolicy, probe: PathProbe) -> None:
    if policy.password_file is not None and not await probe(policy.password_file, _holds_text):
        raise permanent(f"the password file {policy.password_file} is empty")
    if policy.password_command is not None:
        try:
            program = Path(shlex.split(policy.password_command)[0])
        except (ValueError, IndexError):  # restic reports the fault
            return
        if not await probe(program, shutil.which):
            raise permanent(f"password_command names a program that is not on the worker's machine: {program}")


def _failure(error: OSError) -> Exception:
    sentence = f"the worker cannot read {error.filename}: {os.strerror(error.errno or errno.EIO)}"
    return permanent(sentence) if error.errno in (*_MISSING, *_REFUSED) else transient(sentence)


def _exists(path: Path) -> bool:
    try:
        path.lstat()
    except OSError as error:
        if error.errno in _MISSING:
            return False
        raise
    return True


def _target(path: Path) -> Path:
    """Return the final target of a link, and any other path as it is. restic follows links among its parents."""
    if not path.is_symlink():
        return path
    try:
        return path.resolve(strict=True)
    except FileNotFoundError:
        raise permanent(
            f"{path} is a link to {path.readlink()}, which is not there: a disk that is not mounted?"
        ) from None
    except (RuntimeError, OSError) as error:
        if isinstance(error, OSError) and error.errno != errno.ELOOP:
            raise
        raise permanent(f"{path} is a link that leads back to itself") from None


def _holds_a_file(path: Path) -> bool:
    """Tell whether the path is or holds a regular file; restic counts no folders, links, pipes or devices.

    True also when the search takes too long or fails: restic reports files that it cannot read. The search does not
    enter other file systems: one that hangs may be excluded from the backup.
    """
    if not path.is_dir():
        return stat.S_ISREG(path.stat().st_mode)
    deadline = time.monotonic() + _LONGEST_SEARCH
    mounts = _mount_points()
    folders = [os.path.realpath(path)]
    unknown = False
    try:
        while folders and time.monotonic() < deadline:
            with os.scandir(folders.pop()) as entries:
                for entry in entries:
                    if entry.is_file(follow_symlinks=False):
                        return True
                    if entry.path in mounts:
                        unknown = True
                    elif entry.is_dir(follow_symlinks=False):
                        folders.append(entry.path)
    except OSError:
        return True
    return unknown or bool(folders)


def _mount_points() -> set[str]:
    """Return all mount points, without access to their file systems; proc(5) writes blanks and the like in octal."""
    lines = Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    return {re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), line.split(" ")[4]) for line in lines}


def _holds_text(path: Path) -> bool:
    """Tell whether a file is not blank. A pipe can be read only once, so it is left for restic. Raises OSError."""
    mode = path.stat().st_mode
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        return True
    with path.open("rb") as file:
        return bool(file.read(1 << 16).strip())
