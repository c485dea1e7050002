"""Compares a restored folder with its original, byte by byte."""

import filecmp
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_CACHES = (".git", ".state", "__pycache__", ".mypy_cache", ".ruff_cache", ".pytest_cache", ".hypothesis")
"""Folders that other programs may change at any moment."""


def excluded(folder: Path) -> list[str]:
    """Return the parts of a checkout that are not backed up, as restic's patterns; large programs only take time."""
    return [*_CACHES, str(folder / ".venv/bin")]


@dataclass(frozen=True)
class Comparison:
    """The result of a comparison; names are relative to the folder."""

    same: int
    changed_since: list[str]
    """Originals that somebody changed after the given moment: not compared."""
    different: list[str]
    """Files that differ, or that only one side has."""


def compare(original: Path, restored: Path, since: float) -> Comparison:
    """Compare all files; `since` is a moment before the backup, in seconds since the epoch."""
    ours, theirs = set(_files(original)), set(_files(restored))
    changed = {name for name in ours if (original / name).lstat().st_ctime >= since}
    same = {name for name in (ours & theirs) - changed if _same(original / name, restored / name)}
    return Comparison(len(same), sorted(map(str, changed)), sorted(map(str, (ours | theirs) - changed - same)))


def _files(folder: Path) -> Iterator[Path]:
    skipped = set(excluded(folder))
    for place, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if name not in skipped and str(Path(place, name)) not in skipped]
        links = [name for name in folders if Path(place, name).is_symlink()]  # to folders; they are not followed
        for name in [*files, *links]:
            if name not in skipped:  # in a worktree .git is a file
                yield Path(place, name).relative_to(folder)


def _same(one: Path, other: Path) -> bool:
    if one.is_symlink() or other.is_symlink():
        return one.is_symlink() and other.is_symlink() and one.readlink() == other.readlink()
    return filecmp.cmp(one, other, shallow=False)
