"""The restic repository of a soak: what real backups leave in it."""

import asyncio
import json
import os
from collections import Counter
from pathlib import Path
from urllib.parse import unquote

POLICY = "soak-restic"


class Repository:
    """A repository, its policy and the folder that is backed up."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._repository = folder / "repository"
        self._source = folder / "source"
        self._password = folder / "password"
        self.policies = folder / "policies.toml"

    def make(self) -> None:
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
        self.policies.write_text("\n".join([f"[policies.{POLICY}]", *lines, ""]))

    def change(self) -> None:
        """Change what is backed up, so that the next backup has something to do."""
        (self._source / "changing.bin").write_bytes(os.urandom(1_000_000))

    async def snapshots(self) -> Counter[str]:
        """Return the number of snapshots of each occurrence."""
        listed = json.loads(await self._restic("snapshots", "--json"))
        tags = [tag for snapshot in listed for tag in snapshot.get("tags") or () if tag.startswith("run=")]
        return Counter(unquote(tag.removeprefix("run=")) for tag in tags)

    async def locks(self) -> int:
        """Return the number of locks that were left behind."""
        return len((await self._restic("list", "locks", "--no-lock")).split())

    async def check(self) -> str | None:
        """Return what restic finds wrong with the repository."""
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
