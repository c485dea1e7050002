"""The policy file (TOML), and one fallback for policies that it does not list.

The file holds no secret, only the places of secrets: people may read it, show it and keep it under version control.
"""

import hashlib
import json
import tomllib
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Final, Self, get_args

from pydantic import BaseModel, Field, SecretStr, TypeAdapter, ValidationError

from backup_scheduler import masking
from backup_scheduler.contract.errors import ConfigurationError
from backup_scheduler.policies.http import HttpPolicy, HttpTarget
from backup_scheduler.policies.restic import ResticPolicy
from backup_scheduler.policies.toml_keys import policy_table
from backup_scheduler.settings import PREFIX, Settings

ListedPolicy = HttpPolicy | ResticPolicy
"""A policy of the file; each engine has its own model."""

_POLICY: TypeAdapter[ListedPolicy] = TypeAdapter(Annotated[ListedPolicy, Field(discriminator="type")])


class ChosenEngine(BaseModel):
    """The engine of a policy, and its time limit. The histories of runs keep it, so it holds no secret."""

    type: str
    """Type of the policy, which is the name of its engine."""
    timeout: timedelta
    """Time limit of one attempt."""
    completion: str = "answer"
    """How the end of an http backup is known; a run whose history lacks it began before there was another way."""
    completes_within: timedelta = timedelta(0)
    """Time from the answer to the end of such a backup; not used with "answer"."""


_FALLBACK: Final = ""
"""In the place of a name; no policy has it."""


class Policies:
    """The policies of a worker."""

    def __init__(self, listed: Mapping[str, ListedPolicy] | None = None, fallback: HttpTarget | None = None) -> None:
        self.digest = _digest({**(listed or {}), **({_FALLBACK: fallback} if fallback else {})})
        """The same for workers with the same policies, whatever order and comments their files have; else None."""
        self._listed = dict(listed or {})
        self._fallback = fallback
        for policy in (*self._listed.values(), fallback):
            if isinstance(policy, HttpTarget):
                for url in (policy.url, policy.status_url):
                    masking.hide_url(url.get_secret_value() if url else "")

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Read the policies that the settings name.

        Raises ConfigurationError, which names every fault of the policy file, or the faults of SCHEDULER_BACKUP_URL.
        """
        listed = read(settings.policies) if settings.policies else {}
        if settings.backup_url is None:
            return cls(listed)
        try:
            return cls(listed, HttpTarget(url=settings.backup_url))
        except ValidationError as error:
            faults = "; ".join(_rule(fault) for fault in error.errors())
            raise ConfigurationError(f"{PREFIX}BACKUP_URL {faults}") from None

    @property
    def need_restic(self) -> bool:
        """Whether one of them is of the type restic."""
        return any(isinstance(policy, ResticPolicy) for policy in self._listed.values())

    def find(self, name: str) -> HttpTarget | ListedPolicy:
        """Return the policy of that name, else the fallback. Raises ConfigurationError if there is neither."""
        policy = self._listed.get(name, self._fallback)
        if policy is None:
            raise ConfigurationError(
                f"the policy {name!r} is not configured on the worker: add {policy_table(name)} to its policy file "
                f"({PREFIX}POLICIES), or set {PREFIX}BACKUP_URL for policies that the file does not list"
            )
        return policy

    def engine_for(self, name: str) -> ChosenEngine:
        """Return engine, time limits and completion of the policy that `find` returns."""
        policy = self.find(name)
        if not isinstance(policy, HttpTarget) or policy.completion == "answer":
            return ChosenEngine(type=policy.engine, timeout=policy.timeout)
        return ChosenEngine(
            type=policy.engine,
            timeout=policy.timeout,
            completion=policy.completion,
            completes_within=policy.completes_within,
        )


def _digest(policies: Mapping[str, ListedPolicy | HttpTarget]) -> str | None:
    def plain(value: object) -> str:
        return value.get_secret_value() if isinstance(value, SecretStr) else str(value)

    values = {name: policy.model_dump() for name, policy in policies.items()}
    text = json.dumps(values, sort_keys=True, default=plain)
    return hashlib.sha256(text.encode()).hexdigest()[:8] if policies else None


def read(path: Path) -> dict[str, ListedPolicy]:
    """Read a policy file. Raises ConfigurationError, which names the file and each policy and field at fault."""
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
        engines = " or ".join(repr(model.engine) for model in get_args(ListedPolicy))
        return f"{policy}: type must be {engines}{hint}"
    place = [str(part) for part in fault["loc"][1:]]  # the first is the type
    return f"{policy}: {'.'.join(place)} {_rule(fault)}" if place else f"{policy}: {_rule(fault)}"


def _rule(fault: Mapping[str, Any]) -> str:
    """Describe a fault without the value, which may be a secret in the wrong place."""
    match fault["type"]:
        case "missing":
            return "is missing"
        case "extra_forbidden":
            return "is not a field of this type of policy"
        case "string_pattern_mismatch":
            return "must be an absolute path or a restic location such as 's3:https://s3.example.org/bucket'"
        case "time_delta_parsing" | "time_delta_type" | "greater_than" | "less_than_equal":
            return "must be a number of seconds, more than 0 and at most 30 days"
        case "string_too_short":
            return "must not be empty"
        case "literal_error":
            return f"must be {fault['ctx']['expected']}"
        case _:
            message: str = fault["msg"].removeprefix("Value error, ")
            return message[0].lower() + message[1:]
