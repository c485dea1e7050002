"""Rules for restic's exclude patterns: a bad one is refused before a backup is due."""

import posixpath
import re

_CHARACTER = r"(?:\\.|[^\\\]\-])"
_CLASS = rf"\[\^?+(?:{_CHARACTER}(?:-{_CHARACTER})?)+\]"
_PART = re.compile(rf"(?:[^\\\[]|\\.|{_CLASS})*", re.DOTALL)
"""The text between two slashes. Source: the documentation of filepath.Match in Go."""


def is_exclude_pattern(pattern: str) -> bool:
    """Return whether restic takes a pattern. restic first cleans it as a path; a leading ! negates it."""
    return all(_PART.fullmatch(part) for part in posixpath.normpath(pattern.removeprefix("!")).split("/"))
