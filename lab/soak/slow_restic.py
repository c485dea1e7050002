"""A restic that takes a minute when it is asked to, so that a backup is under way for longer than a fault."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from lab.parts.restic_processes import backing_up

PROCESS = "SOAK_PROCESS"
"""Environment variable of a worker, and so of its restic: its name, where it is not devstack's."""

_FOLDER = "SOAK_RESTIC"

_RATE = 18
"""KiB a second that a slow restic writes; each backup has a megabyte to write."""

_SCRIPT = f"""#!/bin/sh
case " $* " in
*" backup "*) [ ! -e "${_FOLDER}/slow-any" ] && [ ! -e "${_FOLDER}/slow-${PROCESS}" ] ||
  set -- --limit-upload {_RATE} "$@";;
esac
exec {{restic}} "$@"
"""


class SlowRestic:
    """Stands in front of restic on the PATH of a stack's services."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        bin_ = folder / "bin"
        bin_.mkdir(parents=True)
        script = bin_ / "restic"
        script.write_text(_SCRIPT.format(restic=shutil.which("restic")))
        script.chmod(0o755)

    def environ(self, path: str) -> dict[str, str]:
        """Return the variables of a stack whose services find it; `path` is their PATH else."""
        return {"PATH": f"{self._folder / 'bin'}:{path}", _FOLDER: str(self._folder)}

    @contextmanager
    def slow(self, whose: str) -> Iterator[None]:
        """Let each backup that the worker `whose` (or `any`) begins in the block take a minute."""
        switch = self._folder / f"slow-{whose}"
        switch.touch()
        try:
            yield
        finally:
            switch.unlink()

    def slow_ones(self, whose: str) -> list[int]:
        """Return the process ids of those slow ones of a worker (or of `any`) that are at work."""
        wanted = {_FOLDER: str(self._folder)} | ({} if whose == "any" else {PROCESS: whose})
        pids = (pid for found in backing_up(wanted).values() for pid in found)
        return [pid for pid in pids if _is_slow(pid)]

    @property
    def mark(self) -> dict[str, str]:
        """Variables that all restic processes of this stack have."""
        return {_FOLDER: str(self._folder)}


def _is_slow(pid: int) -> bool:
    try:
        return "--limit-upload" in psutil.Process(pid).cmdline()
    except psutil.Error:  # gone meanwhile
        return False
