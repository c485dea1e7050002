"""Locks in a restic repository, and whether one can be the lock of a restic of ours.

The product never uses `restic unlock`. On the host of a lock that command sends SIGHUP to the lock's pid, which another
process may have now. When the signal fails, it takes the lock for stale. The signal also fails for a running process of
another user or in another PID namespace.
"""

import json
import re
from collections.abc import Iterable
from datetime import datetime

from pydantic import BaseModel, ValidationError

from activities.restic.processes import StartedRestic

_ID = re.compile(r"[0-9a-f]{64}")


class Lock(BaseModel):
    """Content of a lock. restic renews a lock every 5 minutes: it writes a new one and removes the old one."""

    id: str
    """Name of its file."""
    time: datetime
    """Time at which it was made or renewed, by the clock of its machine."""
    exclusive: bool = False
    """True when no other restic may use the repository, such as during a prune."""
    hostname: str = ""
    username: str = ""
    pid: int = 0
    uid: int = 0

    def is_of(self, restic: StartedRestic) -> bool:
        """Tell whether it can be the lock of a restic of ours."""
        ours = (restic.host, restic.pid, restic.uid)
        return (self.hostname, self.pid, self.uid) == ours and self.time >= restic.since

    def __str__(self) -> str:
        """Return a text for people that names the owner of the lock."""
        kind = "exclusive lock" if self.exclusive else "lock"
        return f"{kind} of {self.username}, pid {self.pid} on {self.hostname}, since {self.time:%Y-%m-%d %H:%M:%S %z}"


def lock_ids(lines: Iterable[str]) -> list[str]:
    """Return the ids in the output of `restic list locks`, which may hold other lines."""
    return [line for line in lines if _ID.fullmatch(line)]


def read_lock(lock_id: str, lines: Iterable[str]) -> Lock | None:
    """Parse the output of `restic cat lock`, which may hold other lines; None when the lock was removed meanwhile."""
    text = "\n".join(lines)
    try:
        content = json.loads(text[text.index("{") : text.rindex("}") + 1])
        return Lock.model_validate({**content, "id": lock_id})
    except (ValueError, TypeError, ValidationError):
        return None
