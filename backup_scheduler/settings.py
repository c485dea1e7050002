"""Settings from the environment: SCHEDULER_* and AMQP_URI are read here, TEMPORAL_* in temporal/client.py."""

import difflib
import os
import ssl
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from backup_scheduler.broker_uri import fault_of
from backup_scheduler.contract.errors import ConfigurationError
from backup_scheduler.host_zone import host_zone

PREFIX = "SCHEDULER_"

_LONGEST_TASK_QUEUE = 200
"""Bytes of UTF-8: Temporal's SQL stores keep 255 (docs/temporal-facts.md#ids-have-255-bytes), and the SDK derives
longer names from it."""

_ELSEWHERE = frozenset({f"{PREFIX}STATE_DIR"})
"""Variables that only `make up` reads."""

_ALIKE = 0.85
"""Similarity (by difflib) from which on a variable is a misspelt setting, and not somebody else's."""


def _known_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise ValueError(f"{name!r} is not an IANA time zone such as 'Europe/Berlin'") from None
    return name


def _seconds(value: object) -> object:
    return float(value) if isinstance(value, str) else value


def _task_queue(name: str) -> str:
    if name != name.strip() or not name.isprintable() or not 1 <= len(name.encode()) <= _LONGEST_TASK_QUEUE:
        raise ValueError(
            f"must be 1 to {_LONGEST_TASK_QUEUE} bytes without control characters and outer blanks, such as 'backups'"
        )
    return name


def _broker(uri: SecretStr) -> SecretStr:
    if fault := fault_of(uri.get_secret_value()):
        raise ValueError(fault)
    return uri


def _address(address: str) -> str:
    host, _, port = address.rpartition(":")
    if not host or any(map(str.isspace, host)) or not (port.isascii() and port.isdecimal() and int(port) < 65536):
        raise ValueError("must be a host and a port, such as '127.0.0.1:9464'")
    return address


def _certificate(file: Path) -> Path:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(file, password="")
    except OSError as error:
        fault = "" if isinstance(error, ssl.SSLError) else f": {error.strerror}"
        raise ValueError(f"{str(file)!r} must be a PEM file with a certificate and its key{fault}") from None
    return file.absolute()


class Settings(BaseSettings):
    """All settings, each read from its variable in VARIABLES; an empty variable counts as not set."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_ignore_empty=True, frozen=True, populate_by_name=True)

    timezone: Annotated[str, AfterValidator(_known_zone)] = Field(default_factory=host_zone)
    """IANA zone of start_time and next_run_time; default: the host's own."""
    task_queue: Annotated[str, AfterValidator(_task_queue)] = "backups"
    """Temporal task queue on which schedules start runs and workers wait for them."""
    log_level: Annotated[str, Field(pattern="^(?i:debug|info|warning|error)$")] = "info"
    log_format: Annotated[str, Field(pattern="^(auto|json|console)$")] = "auto"
    """auto: JSON unless on a terminal."""
    misfire_grace_time: Annotated[int, Field(ge=1, le=315_360_000)] | None = None
    """Seconds; replaces a misfire_grace_time that is missing, None or 0."""
    rpc_workers: Annotated[int, Field(ge=1, le=1000)] = 50
    """Calls that one RPC process carries out at once (nameko's max_workers)."""
    queue_type: Annotated[str, Field(pattern="^(classic|quorum)$")] = "classic"
    """Type of the queue of calls, where RabbitMQ does not have the queue yet: quorum for a cluster."""
    policies: Annotated[Path, AfterValidator(Path.absolute)] | None = None
    """The policy file (TOML); absolute, so that messages about it show where the worker looked for it."""
    backup_url: SecretStr | None = None
    """URL to which runs POST if the file does not list their policy; may hold credentials."""
    max_backups: Annotated[int, Field(ge=1, le=10_000)] = 100
    """Backups that one worker makes at once."""
    shutdown_grace: Annotated[timedelta, BeforeValidator(_seconds), Field(ge=timedelta(0), le=timedelta(days=1))] = (
        timedelta(seconds=30)
    )
    """Seconds for which a stopping worker lets its backups go on before it hands them over."""
    metrics_address: Annotated[str, AfterValidator(_address)] | None = None
    """Host and port at which a worker serves its metrics to Prometheus."""

    amqp_uri: Annotated[SecretStr, AfterValidator(_broker)] = Field(
        default=SecretStr("amqp://guest:guest@localhost:5672"), validation_alias="AMQP_URI"
    )
    """RabbitMQ, one node or several."""
    amqp_certificate: Annotated[Path, AfterValidator(_certificate)] | None = None
    """PEM file with a client's certificate and its key, for a RabbitMQ that asks for one."""

    @property
    def zone(self) -> ZoneInfo:
        """The service's time zone."""
        return ZoneInfo(self.timezone)


VARIABLES: Mapping[str, str] = {
    name: str(field.validation_alias or f"{PREFIX}{name.upper()}") for name, field in Settings.model_fields.items()
}
"""The environment variable of each setting."""

_RULES = {
    "log_level": "must be debug, info, warning or error",
    "log_format": "must be auto, json or console",
    "rpc_workers": "must be a whole number from 1 to 1000",
    "queue_type": "must be classic or quorum",
    "max_backups": "must be a whole number from 1 to 10000",
    "shutdown_grace": "must be a number of seconds from 0 to 86400",
}
"""Rules for messages about settings, where pydantic's own sentence does not give them."""


def load_settings() -> Settings:
    """Read the environment. Raises ConfigurationError, which names each variable at fault."""
    faults = [
        f"{name} is not a setting: {meant} is meant?"
        for name, meant in unknown(os.environ).items()
        if meant is not None
    ]
    try:
        settings = Settings()
    except ValidationError as error:
        faults += [_sentence(str(fault["loc"][0]), fault["msg"]) for fault in error.errors(include_input=False)]
    except ConfigurationError as error:
        faults.append(str(error))
    if faults:
        raise ConfigurationError("; ".join(faults)) from None
    return settings


def checked_amqp_uri(uri: str) -> str:
    """Return an AMQP URI that is not from the environment; raises ConfigurationError as `load_settings` does."""
    if fault := fault_of(uri):
        raise ConfigurationError(_sentence("amqp_uri", fault))
    return uri


def unknown(environ: Mapping[str, str]) -> dict[str, str | None]:
    """Return the variables that look like settings and are none, each with the setting that it resembles, or None.

    A variable without such a setting may be somebody else's: Kubernetes sets SCHEDULER_PORT and the like for a service
    that is named `scheduler`, and a newer release may know more settings.
    """
    known = {*VARIABLES.values(), *_ELSEWHERE}
    strange = [
        name for name, value in environ.items() if name.upper().startswith(PREFIX) and value and name not in known
    ]
    found: dict[str, str | None] = {}
    for name in strange:
        alike = difflib.get_close_matches(name.upper(), known - _ELSEWHERE, n=1, cutoff=_ALIKE)
        found[name] = alike[0] if alike else None
    return found


def _sentence(place: str, message: str) -> str:
    name = place if place.isupper() else VARIABLES[place]  # pydantic names a field with an alias by the alias
    field = next(field for field, variable in VARIABLES.items() if variable == name)
    return f"{name}: {_RULES.get(field, message.removeprefix('Value error, '))}"
