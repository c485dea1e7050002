"""Makes repositories: one at a time, and never over files that restic did not make."""

import asyncio
import fcntl
import hashlib
import json
import os
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Final

from temporalio import activity
from temporalio.client import WorkflowFailureError
from temporalio.common import WorkflowIDConflictPolicy
from temporalio.exceptions import ApplicationError

from activities.paths import PathHangsError, PathProbe
from activities.restic import commands, locations
from activities.restic.commands import Ended, Output
from activities.restic.failures import failure, permanent, transient
from activities.restic.verdicts import Verdict, judge
from backup_scheduler.jobs import names
from backup_scheduler.policies.file import Policies
from backup_scheduler.policies.restic import ResticPolicy

TIME_TO_MAKE: Final = timedelta(minutes=5)
"""Time limit for `init` and the check of its result; over a slow line they take seconds."""

_INIT_TIME: Final = timedelta(seconds=3)
"""`init` checks for a repository and writes a second later: after this time, an `init` begun with ours has ended."""

_JUST_NOW: Final = timedelta(minutes=1)
"""A key younger than this may belong to an `init` that still runs."""

_ID = re.compile(r"[0-9a-f]{64}")
_TEMPORARY = re.compile(r"(?:[0-9a-f]{64}|config)-tmp-\d+")
"""Files that restic has not renamed yet; harmless, because restic does not read them."""
_REFUSAL = "repository already contains keys"
"""Message of `init` from 0.18 on, when there is a key and no config."""
_MADE = (Verdict.DONE, Verdict.REPOSITORY_EXISTS)
"""Verdicts on `init` after which there is a repository: it made it, or another one did meanwhile."""
_KEY = {"created", "username", "hostname", "kdf", "N", "r", "p", "salt", "data"}
_LARGEST_KEY = 64 * 1024
_FOLDERS = ("data", "index", "keys", "locks", "snapshots")
_MADE_BY_MKFS = "lost+found"

Restic = Callable[[Sequence[str]], Awaitable[Ended]]
"""Runs restic with these arguments to its end."""


class RepositoryMaker:
    """Makes the repositories of restic policies."""

    def __init__(self, policies: Policies, probe: PathProbe) -> None:
        self._policies = policies
        self._probe = probe

    @activity.defn
    async def make_repository(self, policy_name: str) -> None:
        """Make a policy's repository if there is none. Only MakeRepositoryWorkflow executes this."""
        policy = self._policies.find(policy_name)
        if not isinstance(policy, ResticPolicy):
            raise permanent(f"the policy {policy_name!r} is not of type restic any more")
        env = commands.environment(policy, dict(os.environ))

        async def restic(arguments: Sequence[str]) -> Ended:
            output = Output()
            exit_code = await commands.run(arguments, env, output)
            return judge(exit_code, output.texts), output, exit_code

        try:
            location = await locations.locate(policy, self._probe)
            async with asyncio.timeout(TIME_TO_MAKE.total_seconds()):
                await make(restic, location, outwait=True)
        except TimeoutError:
            raise transient(f"the repository could not be made within {TIME_TO_MAKE}") from None
        except PathHangsError as error:
            raise transient(str(error)) from None
        except OSError as error:
            raise cannot_be_made(error) from None
        except asyncio.CancelledError:
            details = activity.cancellation_details()
            if details is None or not details.worker_shutdown:
                raise
            raise transient("the worker was stopped while it made the repository") from None


def cannot_be_made(error: OSError) -> ApplicationError:
    """Make the failure of a repository whose folder cannot be made or read."""
    return permanent(f"the repository cannot be made: {error.filename}: {error.strerror}")


async def ensure(location: str, policy_name: str, restic: Restic) -> None:
    """Have a missing repository made. Raises ApplicationError when that fails.

    Only one process makes it at a time. On a disk of this machine the kernel's lock ensures that. Elsewhere Temporal
    does: the workflow id names the repository, so all runs that need it wait for the same workflow.
    """
    folder = locations.local_folder(location)
    try:
        if folder:
            async with flocked(folder):
                if await asyncio.to_thread(locations.is_on_local_disk, folder):
                    return await make(restic, location, outwait=False)
    except OSError as error:
        raise cannot_be_made(error) from None
    handle = await activity.client().start_workflow(
        names.REPOSITORY_WORKFLOW,
        policy_name,
        id=names.repository_workflow_id(digest(location)),
        task_queue=activity.info().task_queue,
        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        static_summary="Makes a restic repository",
    )
    try:
        await handle.result()
    except WorkflowFailureError as error:
        cause: BaseException | None = error.cause
        while cause is not None and not isinstance(cause, ApplicationError):
            cause = cause.__cause__
        if cause is None:
            raise transient("the repository was not made: the workflow that makes it was ended") from None
        raise (permanent if cause.non_retryable else transient)(
            f"the repository was not made: {cause.message}"
        ) from None


async def make(restic: Restic, location: str, *, outwait: bool) -> None:
    """Make a repository and check that it is whole: it opens and has one key.

    When two `init` run at once, both succeed and leave two keys; one of them opens the repository, or neither does. The
    caller runs only one `init` at a time. `outwait` waits before the check for an `init` that nothing here prevents.
    """
    folder = locations.local_folder(location)
    if folder:
        await asyncio.to_thread(remove_leftovers, folder)
    verdict, output, code = await restic(["init"])
    if failed := not_made(verdict, code, output.texts):
        raise failed
    unfinished = _is_unfinished(output.texts)
    if outwait:
        await asyncio.sleep(_INIT_TIME.total_seconds())
    verdict, output, code = await restic(["list", "keys"])
    if failed := not_whole(location, verdict, code, output.texts, unfinished=unfinished):
        raise failed


def not_made(verdict: Verdict, exit_code: int, texts: list[str]) -> ApplicationError | None:
    """Return the failure of `init`; None when there may be a repository all the same, which its keys will tell."""
    return None if verdict in _MADE or _is_unfinished(texts) else failure(verdict, exit_code, texts)


def _is_unfinished(texts: list[str]) -> bool:
    return any(_REFUSAL in text for text in texts)


def not_whole(
    location: str, verdict: Verdict, exit_code: int, texts: list[str], *, unfinished: bool
) -> ApplicationError | None:
    """Return the failure of a repository by its list of keys; None when it opens and has one key.

    `unfinished` says that `init` found keys without a repository.
    """
    keys = [text for text in texts if _ID.fullmatch(text)]
    if verdict is Verdict.DONE and len(keys) == 1:
        return None
    if verdict is Verdict.DONE or verdict.is_permanent or unfinished:
        return permanent(
            f"the repository {locations.without_credentials(location)} was made by two at once or over an unfinished "
            "one, and may not open; nothing was backed up into it: remove what is there, and the next run makes it anew"
        )
    return failure(verdict, exit_code, texts)


def digest(location: str) -> str:
    """Return a name for a location: it is the same for each spelling of the location, and reveals no secret."""
    folder = locations.local_folder(location)
    normal = str(folder.resolve()) if folder else locations.without_credentials(location)
    return hashlib.sha256(normal.encode()).hexdigest()[:32]


def remove_leftovers(folder: Path) -> None:
    """Remove the key that a killed `init` left. Raise ApplicationError when the folder holds anything else.

    restic itself does not check this. Over old data it would make a repository that cannot open that data any more.
    With an old key of the same password it would make one that does not open at all.
    """
    if not folder.exists() or (folder / "config").exists():  # another worker has just made it; `init` will say so
        return
    keys, others = [], []
    for path in sorted(folder.iterdir()):
        if path.name in _FOLDERS and path.is_dir() and not path.is_symlink():
            continue
        if path.name != _MADE_BY_MKFS and not _TEMPORARY.fullmatch(path.name):
            others.append(path.name)
    for path in sorted([*(folder / "keys").glob("*"), *(folder / "locks").glob("*")] if not others else []):
        if path.parent.name == "keys" and _is_key(path):
            keys.append(path)
        elif not _TEMPORARY.fullmatch(path.name):
            others.append(f"{path.parent.name}/{path.name}")
    if others:
        more = f" and {len(others) - 3} more" if len(others) > 3 else ""
        raise permanent(
            f"the folder {folder} is no restic repository and holds other things ({', '.join(others[:3])}{more}): name "
            "an empty folder, or one that does not exist yet, as the repository"
        )
    if any(path.is_file() for kind in ("data", "index", "snapshots") for path in (folder / kind).rglob("*")):
        raise permanent(f"the repository is damaged: {folder} holds data but no config file")
    for key in keys:
        if abs(time.time() - key.stat().st_mtime) < _JUST_NOW.total_seconds():
            raise transient(f"the repository {folder} is just being made by another process, or by one that was killed")
    for key in keys:  # there is no data for them
        key.unlink()


def _is_key(path: Path) -> bool:
    if not _ID.fullmatch(path.name) or path.is_symlink() or not path.is_file() or path.stat().st_size > _LARGEST_KEY:
        return False
    content = path.read_bytes()
    try:
        key = json.loads(content)
    except ValueError:
        return False
    # In a repository the name of a file is the digest of its content.
    return isinstance(key, dict) and key.keys() >= _KEY and hashlib.sha256(content).hexdigest() == path.name


@asynccontextmanager
async def flocked(folder: Path) -> AsyncIterator[None]:
    """Hold the kernel's lock on a folder, and make a missing folder: one worker of this machine at a time has the lock.

    Two `restic init` of 0.14 at once leave a local repository that does not open (5 of 12 times). The kernel frees the
    lock of a worker that is killed.
    """
    await asyncio.to_thread(folder.mkdir, mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                await asyncio.sleep(0.1)
            except OSError:  # some network file systems have no such locks; there the caller uses Temporal
                break
            else:
                break
        yield
    finally:
        os.close(descriptor)
