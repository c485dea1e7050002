"""File systems that are soon full."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def small_disk(folder: Path, megabytes: int) -> Iterator[Path]:
    """Mount a file system that is soon full."""
    rights = [] if os.geteuid() == 0 else ["sudo", "-n"]
    folder.mkdir()
    options = f"size={megabytes}m,mode=777"
    subprocess.run([*rights, "mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], check=True)
    try:
        yield folder
    finally:
        subprocess.run([*rights, "umount", "--lazy", str(folder)], check=True)
