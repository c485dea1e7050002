"""How backups are made: policies, read from a TOML file, with one fallback for those that it does not list.

A policy holds no secret, only the place of one, so it may be read by people, shown and kept under version control.
"""

import re
import tomllib
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    TypeAdapter,
    ValidationError,
    field_validator,
    model_validator,
)

from backup_scheduler import masking
from backup_scheduler.errors import ConfigurationError
from backup_scheduler.patterns import is_exclude_pattern
from backup_scheduler.settings import PREFIX, Settings
from backup_scheduler.toml_keys import policy_table

_CREDENTIALS = re.compile(r"://[^/\s]*:[^/\s]*@")
_REPOSITORY = re.compile(r"/|(?:local|sftp|s3|gs|azure|swift|b2|rest|rclone):.")


def _absolute(path: Path) -> Path:
    if not path.is_absolute():
        raise ValueError("must be an absolute path, because a worker may be started anywhere")
    return path


def _pattern(pattern: str) -> str:
    if not is_exclude_pattern(pattern):
        raise ValueError("is not a pattern that restic knows: a [ needs its ], and a backslash something behind it")
    return pattern


def _part(number: float) -> float:
    if not 0 <= number <= 1:
        raise ValueError("must be a number from 0 (never warn) to 1")
    return number


AbsolutePath = Annotated[Path, AfterValidator(_absolute)]
Text = Annotated[str, Field(min_length=1)]
Timeout = Annotated[timedelta, Field(gt=timedelta(0), le=timedelta(days=30))]


class _Policy(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class HttpTarget(_Policy):
    """A service that is asked for a backup by a POST request."""

    url: SecretStr
    """http or https; hidden from logs because the fallback's may hold credentials and any may hold a key."""
    timeout: Timeout = timedelta(minutes=5)
    """For one attempt, from connecting to the last byte read; in seconds."""
    token_file: AbsolutePath | None = None
    """Its text is sent as a bearer token; read at each attempt, so it can be changed while the worker runs."""

    @field_validator("url")
    @classmethod
    def _complete(cls, url: SecretStr) -> SecretStr:
        try:
            parts = urlsplit(url.get_secret_value())
            complete = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        except ValueError:
            complete = False
        if not complete:
            raise ValueError("must be a complete URL such as 'https://backup.example.org/start'")
        return url


class HttpPolicy(HttpTarget):
    """`type = "http"`: a target in the policy file, where no credentials may stand."""

    type: Literal["http"]

    @field_validator("url")
    @classmethod
    def _without_credentials(cls, url: SecretStr) -> SecretStr:
        if "@" in urlsplit(url.get_secret_value()).netloc:
            raise ValueError("must not hold a user or password: put a token into a file and name it as token_file")
        return url


class ResticPolicy(_Policy):
    """`type = "restic"`: folders and files of the worker's machine, backed up into a restic repository."""

    type: Literal["restic"]
    paths: Annotated[tuple[AbsolutePath, ...], Field(min_length=1)]
    """What is backed up; a run fails when one of them does not exist. Of a link, also what it points to."""
    require: tuple[AbsolutePath, ...] = ()
    """What has to exist for a backup to be made, such as a file on a disk that may not be mounted."""
    allow_empty: bool = False
    """Whether a backup without any file is a success."""
    shrink_warning: Annotated[float, AfterValidator(_part)] = 0.5
    """A backup with less than this part of the files or bytes of the run before is one with warnings; 0: never."""
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
    """Under which host name snapshots are filed; default: the worker's own."""
    cache_dir: AbsolutePath | None = None
    """restic's cache; default: restic's own choice."""
    timeout: Timeout = timedelta(hours=24)
    """For one attempt, after which the backup is not tried again; in seconds."""

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


Policy = Annotated[HttpPolicy | ResticPolicy, Field(discriminator="type")]
_POLICY: TypeAdapter[HttpPolicy | ResticPolicy] = TypeAdapter(Policy)


class PolicyChoice(BaseModel):
    """What a run needs to know of its policy; it stands in the run's history, so it holds no secret."""

    type: Literal["http", "restic"]
    timeout: timedelta
    """Of one attempt."""


class Policies:
    """The policies that a worker knows."""

    def __init__(
        self, listed: Mapping[str, HttpPolicy | ResticPolicy] | None = None, fallback: HttpTarget | None = None
    ) -> None:
        self._listed = dict(listed or {})
        self._fallback = fallback
        for policy in (*self._listed.values(), fallback):
            if isinstance(policy, HttpTarget):
                masking.hide_url(policy.url.get_secret_value())

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Read what the settings name; raises ConfigurationError that tells every fault."""
        listed = read(settings.policies) if settings.policies else {}
        if settings.backup_url is None:
            return cls(listed)
        try:
            return cls(listed, HttpTarget(url=settings.backup_url))
        except ValidationError as error:
            faults = "; ".join(_rule(fault) for fault in error.errors())
            raise ConfigurationError(f"{PREFIX}BACKUP_URL {faults}") from None

    def find(self, name: str) -> HttpTarget | ResticPolicy:
        """Return the policy of that name, else the fallback; raises ConfigurationError when there is neither."""
        policy = self._listed.get(name, self._fallback)
        if policy is None:
            raise ConfigurationError(
                f"the policy {name!r} is not configured on the worker: add {policy_table(name)} to its policy file "
                f"({PREFIX}POLICIES), or set {PREFIX}BACKUP_URL for policies that the file does not list"
            )
        return policy

    def choose(self, name: str) -> PolicyChoice:
        """Tell what kind of policy `find` returns."""
        policy = self.find(name)
        kind: Literal["http", "restic"] = "restic" if isinstance(policy, ResticPolicy) else "http"
        return PolicyChoice(type=kind, timeout=policy.timeout)


def read(path: Path) -> dict[str, HttpPolicy | ResticPolicy]:
    """Read a policy file; raises ConfigurationError that names the file and each policy and field at fault."""
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(f"the policy file {path} cannot be read: {error.strerror}") from None
    except ValueError as error:  # not UTF-8, or not TOML
        raise ConfigurationError(f"the policy file {path} is not TOML: {error}") from None
    tables = document.pop("policies", {})
    faults = [f"{name!r} is not known, policies stand in tables like [policies.nightly]" for name in document]
    policies = {}
    if not isinstance(tables, dict):
        faults.append("'policies' must be a table")
        tables = {}
    for name, table in tables.items():
        try:
            policies[name] = _POLICY.validate_python(table)
        except ValidationError as error:
            faults += [_sentence(name, table, fault) for fault in error.errors()]
    if faults:
        raise ConfigurationError(f"the policy file {path} is wrong: {'; '.join(faults)}")
    return policies


def _sentence(name: str, table: object, fault: Mapping[str, Any]) -> str:
    policy = f"policy {name!r}"
    if not isinstance(table, dict):
        return f"{policy} must be a table, {policy_table(name)}"
    if fault["type"].startswith("union_tag"):
        dotted = next((f"{name}.{part}" for part, inner in table.items() if isinstance(inner, dict)), None)
        hint = f"; a name with a dot is quoted: {policy_table(dotted)}" if dotted else ""
        return f"{policy}: type must be 'http' or 'restic'{hint}"
    place = [str(part) for part in fault["loc"][1:]]  # the first is the type
    return f"{policy}: {'.'.join(place)} {_rule(fault)}" if place else f"{policy}: {_rule(fault)}"


def _rule(fault: Mapping[str, Any]) -> str:
    """Say what is wrong; never quote what stands there, it may be a secret in the wrong place."""
    match fault["type"]:
        case "missing":
            return "is missing"
        case "extra_forbidden":
            return "is not a field of this type of policy"
        case "string_pattern_mismatch":
            return "must be an absolute path or a restic location such as 's3:https://s3.example.org/bucket'"
        case "time_delta_parsing" | "time_delta_type" | "greater_than" | "less_than_equal":
            return "must be a number of seconds, more than 0 and at most 30 days"
        case "too_short":
            return "must not be empty"
        case _:
            message: str = fault["msg"].removeprefix("Value error, ")
            return message[0].lower() + message[1:]
