"""Policies of the restic engine."""

import re
from datetime import timedelta
from pathlib import Path
from typing import Annotated, ClassVar, Final, Literal, Self

from pydantic import AfterValidator, Field, field_validator, model_validator

from backup_scheduler.policies.fields import AbsolutePath, Policy, Text, Timeout
from backup_scheduler.policies.patterns import is_exclude_pattern

_CREDENTIALS: Final = re.compile(r"://[^\s:/?#\[]*:(?!\d+[/?#])\S*@")
"""User and password, whatever they forgot to encode. Behind a port, or an IPv6 address, an @ is part of the path."""
_REPOSITORY: Final = re.compile(r"/|(?:local|sftp|s3|gs|azure|swift|b2|rest|rclone):.")


def _pattern(pattern: str) -> str:
    if not is_exclude_pattern(pattern):
        raise ValueError("is not a pattern that restic knows: a [ needs its ], and a backslash something behind it")
    return pattern


def _some(paths: tuple[Path, ...]) -> tuple[Path, ...]:
    if not paths:  # pydantic's own rule would also say so of a single path that is wrong
        raise ValueError("must not be empty")
    return paths


def _part(number: float) -> float:
    if not 0 <= number <= 1:
        raise ValueError("must be a number from 0 (never warn) to 1")
    return number


class ResticPolicy(Policy):
    """`type = "restic"`: folders and files of the worker's machine, backed up into a restic repository."""

    engine: ClassVar[str] = "restic"

    type: Literal["restic"]
    paths: Annotated[tuple[AbsolutePath, ...], AfterValidator(_some)]
    """Folders and files to back up; a run fails if one does not exist. A link is backed up with its target."""
    require: tuple[AbsolutePath, ...] = ()
    """Paths without which no backup is made, such as a file on a disk that may not be mounted."""
    allow_empty: bool = False
    """Whether a backup without any file is a success."""
    shrink_warning: Annotated[float, AfterValidator(_part)] = 0.5
    """A backup gets a warning if it has less than this part of the files or bytes of the run before; 0: never."""
    repository: Annotated[str, Field(pattern=_REPOSITORY)] | None = None
    """An absolute path or a restic location such as 's3:https://s3.example.org/bucket'; made on first use."""
    repository_file: AbsolutePath | None = None
    """A file that holds the repository's location, for locations with credentials."""
    password_file: AbsolutePath | None = None
    password_command: Text | None = None
    """A command that prints the repository's password."""
    exclude: tuple[Annotated[Text, AfterValidator(_pattern)], ...] = ()
    """Patterns as for `restic backup --exclude`."""
    host: Text | None = None
    """Host name of the snapshots; default: the worker's own."""
    cache_dir: AbsolutePath | None = None
    """restic's cache; default: restic's own choice."""
    timeout: Timeout = timedelta(hours=24)
    """Limit of one attempt, in seconds; a backup that exceeds it is not tried again."""

    @field_validator("repository")
    @classmethod
    def _without_credentials(cls, repository: str | None) -> str | None:
        if repository and _CREDENTIALS.search(repository):
            raise ValueError("must not hold a password: put the location into a file and name it as repository_file")
        return repository

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        for first, second in (("repository", "repository_file"), ("password_file", "password_command")):
            if (getattr(self, first) is None) == (getattr(self, second) is None):
                raise ValueError(f"exactly one of {first} and {second} must be given")
        return self
