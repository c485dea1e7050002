"""The rules for restic's exclude patterns, so that a bad one is refused before a backup is due."""

import posixpath
import re

_CHARACTER = r"(?:\\.|[^\\\]\-])"
_CLASS = rf"\[\^?+(?:{_CHARACTER}(?:-{_CHARACTER})?)+\]"
_PART = re.compile(rf"(?:[^\\\[]|\\.|{_CLASS})*", re.DOTALL)
"""What stands between two slashes; source: the documentation of filepath.Match in Go."""


def is_exclude_pattern(pattern: str) -> bool:
    """Tell whether restic takes a pattern, which it tidies up as a path first; a leading ! negates one."""
    return all(_PART.fullmatch(part) for part in posixpath.normpath(pattern.removeprefix("!")).split("/"))
