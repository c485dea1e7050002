"""The identity of a worker at Temporal: who it is, and what it works with. People see it beside each task queue."""

import os
import re
import socket
from dataclasses import dataclass
from typing import Final, Self

from backup_scheduler import __version__

_IDENTITY: Final = re.compile(r"(\S+) backup-scheduler/(\S+) policies/(\S+) restic/(\S+)")

NONE: Final = "none"

MISSING: Final = "missing"
"""In the place of restic's version: a policy of the worker needs it."""


@dataclass(frozen=True)
class WorkerIdentity:
    """What distinguishes a worker from others that should be like it."""

    process: str
    """`pid@host`, as Temporal's SDKs name themselves."""
    version: str
    policies: str
    """Digest of the policies, or `none`."""
    restic: str
    """Version of restic; where there is none, `missing` if a policy needs it, else `none`."""

    @classmethod
    def here(cls, policies: str, restic: str, *, needs_restic: bool) -> Self:
        """Return the identity of a worker in this process."""
        restic = MISSING if needs_restic and restic == NONE else restic
        return cls(f"{os.getpid()}@{socket.gethostname()}", __version__, policies, restic)

    @classmethod
    def read(cls, identity: str) -> Self | None:
        """Read an identity; None if it is not that of a worker of this project, or of an older release."""
        found = _IDENTITY.fullmatch(identity)
        return cls(*found.groups()) if found else None

    def __str__(self) -> str:
        return f"{self.process} backup-scheduler/{self.version} policies/{self.policies} restic/{self.restic}"
