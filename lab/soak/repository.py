"""The restic repository of a soak, and checks of the backups in it."""

import asyncio
import filecmp
import hashlib
import json
import math
import os
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import unquote

POLICY = "soak-restic"

_CHANGING = "changing.bin"


@dataclass(frozen=True)
class Snapshot:
    """A snapshot of restic's."""

    id: str
    run: str
    """Name of the run that made it: of its occurrence and an id; empty when there is none."""
    job: str
    began: float
    """Moment (of the epoch) at which restic began to make it."""

    @classmethod
    def of(cls, listed: Mapping[str, Any]) -> "Snapshot":
        """Take over what restic lists."""
        tags = dict(tag.split("=", 1) for tag in listed.get("tags") or () if "=" in tag)
        run, job = (unquote(tags.get(name, "")) for name in ("run", "job"))
        return cls(listed["id"], run, job, _moment(listed["time"]))


def sampled(snapshots: Sequence[Snapshot], most: int) -> list[Snapshot]:
    """Return all snapshots or, of more than `most`, some that are spread evenly, the first and the last included."""
    if len(snapshots) <= most:
        return list(snapshots)
    return [snapshots[number * (len(snapshots) - 1) // (most - 1)] for number in range(most)]


class Repository:
    """A repository, its policy and the folder that is backed up."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._repository = folder / "repository"
        self._source = folder / "source"
        self._password = folder / "password"
        self.policies = folder / "policies.toml"
        self._contents: list[tuple[float, str]] = []
        """Digests of the changing file's contents, each with the moment (of the epoch) at which it began."""

    def make(self, other_policies: str = "") -> None:
        """Write the policy file and something to back up; restic makes the repository itself on first use."""
        self._source.mkdir(parents=True)
        self._password.touch(mode=0o600)
        self._password.write_text(os.urandom(16).hex())
        for number in range(20):
            (self._source / f"{number}.bin").write_bytes(os.urandom(200_000))
        terms = {
            "type": "restic",
            "paths": [str(self._source)],
            "repository": str(self._repository),
            "password_file": str(self._password),
            "cache_dir": str(self._folder / "cache"),
        }
        lines = [f"{name} = {json.dumps(value)}" for name, value in terms.items()]  # these are TOML as well as JSON
        self.policies.write_text("\n".join([f"[policies.{POLICY}]", *lines, other_policies]))

    def change(self) -> None:
        """Change a file, so that the next backup has something to do."""
        content = os.urandom(1_000_000)
        written = self._folder / "next.bin"
        written.write_bytes(content)
        self._contents.append((time.time(), hashlib.sha256(content).hexdigest()))
        written.replace(self._source / _CHANGING)  # at once: a backup never sees half of it

    async def snapshots(self) -> list[Snapshot]:
        """Return all snapshots, the oldest first."""
        listed = json.loads(await self._restic("snapshots", "--json", "--no-lock"))
        return sorted(map(Snapshot.of, listed), key=lambda snapshot: snapshot.began)

    async def differences(self, snapshots: Iterable[Snapshot]) -> list[str]:
        """Restore snapshots and compare them byte by byte; return the differences from the original files."""
        differences = []
        for snapshot in snapshots:
            with tempfile.TemporaryDirectory(dir=self._folder) as target:
                restored = Path(target) / self._source.absolute().relative_to("/")
                try:
                    await self._restic("restore", snapshot.id, "--target", target, "--no-lock")
                    faults = self._differences(restored, snapshot.began)
                except RuntimeError as error:
                    faults = [str(error)]
            differences += [f"snapshot {snapshot.id[:8]} of {snapshot.run}: {fault}" for fault in faults]
        return differences

    def _differences(self, restored: Path, began: float) -> list[str]:
        ours, theirs = ({path.name for path in folder.glob("*")} for folder in (self._source, restored))
        faults = [f"{name} is missing or was never backed up" for name in sorted(ours ^ theirs)]
        _, different, unreadable = filecmp.cmpfiles(
            self._source, restored, (ours & theirs) - {_CHANGING}, shallow=False
        )
        faults += [f"{name} was not restored as it was" for name in sorted(different + unreadable)]
        if _CHANGING in theirs:
            digest = hashlib.sha256((restored / _CHANGING).read_bytes()).hexdigest()
            replaced = [since for _, (since, _) in pairwise(self._contents)]
            # A content that was replaced before the backup began must not be in it.
            possible = {
                held for (_, held), until in zip(self._contents, [*replaced, math.inf], strict=True) if until >= began
            }
            if digest not in possible:
                faults.append(f"{_CHANGING} has a content that it did not have during the backup")
        return faults

    async def locks(self) -> int:
        """Return the number of locks left behind."""
        return len((await self._restic("list", "locks", "--no-lock")).split())

    async def check(self) -> str | None:
        """Return the fault that restic finds in the repository."""
        try:
            await self._restic("check")
        except RuntimeError as error:
            return str(error)
        return None

    async def _restic(self, *arguments: str) -> str:
        process = await asyncio.create_subprocess_exec(
            "restic",
            *("--repo", str(self._repository), "--password-file", str(self._password)),
            *("--cache-dir", str(self._folder / "cache-of-audit"), *arguments),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        output, complaint = await process.communicate()
        if process.returncode:
            raise RuntimeError(f"restic {arguments[0]} ended with {process.returncode}: {complaint.decode()[-500:]}")
        return output.decode()


def _moment(text: str) -> float:
    """Read a time of restic's (RFC 3339 with nanoseconds), in seconds of the epoch."""
    return datetime.fromisoformat(text).timestamp()
