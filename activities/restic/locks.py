"""Locks in a restic repository: whose they are, and which of them was left by a restic of ours that is gone.

`restic unlock` takes a lock for stale when a SIGHUP to its pid fails on the same host, as it does for a process of
another user or in another PID namespace, and it sends the SIGHUP to whoever has that pid now. So it is never used.
"""

import json
import re
from collections.abc import Iterable
from datetime import datetime

from pydantic import BaseModel, ValidationError

from activities.restic.processes import StartedRestic

_ID = re.compile(r"[0-9a-f]{64}")


class Lock(BaseModel):
    """What restic writes into a lock. It renews a lock every 5 minutes, as another one."""

    id: str
    """The name of its file."""
    time: datetime
    """When it was made or renewed, by the clock of its machine."""
    exclusive: bool = False
    """Nobody else may use the repository, as while it is pruned."""
    hostname: str = ""
    username: str = ""
    pid: int = 0
    uid: int = 0

    def is_of(self, restic: StartedRestic) -> bool:
        """Tell whether it can be the lock of a restic of ours."""
        ours = (restic.host, restic.pid, restic.uid)
        return (self.hostname, self.pid, self.uid) == ours and self.time >= restic.since

    def __str__(self) -> str:
        """Say for people whose lock it is."""
        kind = "exclusive lock" if self.exclusive else "lock"
        return f"{kind} of {self.username}, pid {self.pid} on {self.hostname}, since {self.time:%Y-%m-%d %H:%M:%S %z}"


def lock_ids(lines: Iterable[str]) -> list[str]:
    """Return the ids that `restic list locks` prints, among what else it says."""
    return [line for line in lines if _ID.fullmatch(line)]


def read_lock(lock_id: str, lines: Iterable[str]) -> Lock | None:
    """Read what `restic cat lock` prints, among what else it says; None when it has been removed meanwhile."""
    text = "\n".join(lines)
    try:
        read = json.loads(text[text.index("{") : text.rindex("}") + 1])
        return Lock.model_validate({**read, "id": lock_id})
    except (ValueError, TypeError, ValidationError):
        return None
