"""A restic repository, and the folder that it backs up."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from backup_scheduler.policies.restic import ResticPolicy
from lab.parts.waiting import eventually_async


@dataclass
class Restic:
    """A restic repository that does not exist yet, and a folder to back up."""

    folder: Path
    source: Path = field(init=False)
    repository: Path = field(init=False)
    password_file: Path = field(init=False)

    def __post_init__(self) -> None:
        self.source, self.repository = self.folder / "source", self.folder / "repository"
        self.password_file = self.folder / "password"
        self.source.mkdir()
        (self.source / "one.txt").write_text("one")
        (self.source / "two.txt").write_text("twotwo")
        self.password_file.write_text("correct horse")

    def policy(self, **changes: Any) -> ResticPolicy:
        return ResticPolicy(**(self.terms() | changes))

    def terms(self) -> dict[str, Any]:
        """Return the policy as a policy file has it."""
        return {
            "type": "restic",
            "paths": [str(self.source)],
            "repository": str(self.repository),
            "password_file": str(self.password_file),
            "cache_dir": str(self.folder / "cache"),
        }

    async def __call__(self, *arguments: str) -> str:
        """Run restic on this repository and return its output."""
        process = await asyncio.create_subprocess_exec(
            "restic",
            *("--repo", str(self.repository), "--password-file", str(self.password_file)),
            *("--cache-dir", str(self.folder / "cache"), *arguments),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        output, _ = await process.communicate()
        assert process.returncode == 0, output.decode()
        return output.decode()

    def locks(self) -> list[Path]:
        # A file that restic is still writing is not a lock yet.
        return [path for path in (self.repository / "locks").iterdir() if "-tmp-" not in path.name]

    def packs(self) -> list[Path]:
        """Return the files of saved data."""
        return [path for path in (self.repository / "data").rglob("*") if path.is_file()]

    async def uploads(self) -> None:
        """Wait until restic is past the moment in which it makes its lock, and would leave it if it were ended."""

        async def uploading() -> bool:
            return bool(self.locks() and self.packs())

        await eventually_async(uploading)

    @asynccontextmanager
    async def locked_by_another(self) -> AsyncIterator[asyncio.subprocess.Process]:
        """Let another restic hold a lock that keeps all others out, for minutes, until it is killed."""
        (self.folder / "more.bin").write_bytes(os.urandom(3_000_000))
        await self("backup", str(self.folder / "more.bin"))
        process = await asyncio.create_subprocess_exec(
            *("restic", "--repo", str(self.repository), "--password-file", str(self.password_file)),
            *("--limit-download", "20", "check", "--read-data"),  # KiB/s: it reads for two minutes and a half
            stdout=asyncio.subprocess.DEVNULL,
        )

        async def locked() -> bool:
            return bool(self.locks())

        try:
            await eventually_async(locked)
            yield process
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()

    def fill(self, megabytes: int) -> None:
        """Make the backup bigger."""
        for number in range(megabytes):
            (self.source / f"{number}.bin").write_bytes(os.urandom(1_000_000))

    def slow_path(self) -> str:
        """Return a PATH on which restic uploads 4 MB a second: a wrapper, as there is no variable for that."""
        return self.path_with('#!/bin/sh\nPATH="${PATH#*:}" exec restic --limit-upload 4000 --pack-size 4 "$@"\n')

    def path_with(self, script: str) -> str:
        """Return a PATH on which this script is restic; the rest of it, behind the first colon, has the real one."""
        wrapper = self.folder / "bin" / "restic"
        wrapper.parent.mkdir()
        wrapper.write_text(script)
        wrapper.chmod(0o755)
        return f"{wrapper.parent}{os.pathsep}{os.environ['PATH']}"
