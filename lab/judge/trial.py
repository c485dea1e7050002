"""Trials: a fault is planted in a copy of the project, and its catcher runs there."""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from lab.judge.planted import Catcher, Planted
from lab.parts.places import ROOT

_LONGEST = 900
"""Seconds for one catcher."""


@dataclass(frozen=True)
class Verdict:
    """The result of a trial."""

    caught_by: list[str]
    code: int
    output: str
    seconds: float


@contextmanager
def a_copy() -> Iterator[Path]:
    """Copy what git knows of the project, new files included, into a folder for the block."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    # A short path: sockets below it must not exceed what the kernel takes.
    with tempfile.TemporaryDirectory(prefix="judge-", ignore_cleanup_errors=True) as name:
        root = Path(name)
        for file in filter(None, listed.stdout.split("\0")):
            if (ROOT / file).is_file():
                (root / file).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / file, root / file)
        (root / ".venv").symlink_to(ROOT / ".venv")
        yield root


def run(catcher: Catcher, root: Path) -> Verdict:
    """Run a catcher in a copy; nothing that it started is left."""
    began = time.monotonic()
    # The installed packages name the original; PYTHONPATH comes before them.
    environ = os.environ | {"PYTHONPATH": str(root), "NO_COLOR": "1", "SCHEDULER_STATE_DIR": str(root / ".state")}
    process = subprocess.Popen(
        catcher.command(),
        cwd=root,
        env=environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        output, _ = process.communicate(timeout=_LONGEST)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGTERM)
        output, _ = process.communicate()
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    code = process.returncode
    return Verdict(catcher.caught(code, output), code, output, time.monotonic() - began)


def try_fault(fault: Planted) -> Verdict:
    """Plant a fault in a copy and run its catcher. Raises UnfitChange."""
    with a_copy() as root:
        fault.plant(root)
        return run(fault.catcher, root)


def try_without_fault(catcher: Catcher) -> Verdict:
    """Run a catcher in an unchanged copy."""
    with a_copy() as root:
        return run(catcher, root)
