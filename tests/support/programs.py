"""Programs of the virtual environment and of the machine."""

import shutil
import sys
from pathlib import Path


def binary(name: str) -> str:
    """Find a program of the virtual environment or the machine; a missing one is an error, not a reason to skip."""
    found = shutil.which(name, path=str(Path(sys.prefix) / "bin")) or shutil.which(name)
    assert found, f"{name} is not installed"
    return found
