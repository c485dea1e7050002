"""Settings from the environment: SCHEDULER_* are ours; TEMPORAL_* (temporal.py) and AMQP_URI belong to their fields."""

from datetime import timedelta
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo

import tzlocal
from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from backup_scheduler.errors import ConfigurationError

PREFIX = "SCHEDULER_"


def _known_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise ValueError(f"{name!r} is not an IANA time zone such as 'Europe/Berlin'") from None
    return name


def _seconds(value: object) -> object:
    return float(value) if isinstance(value, str) else value


class Settings(BaseSettings):
    """All settings; each is read from SCHEDULER_<NAME>, an empty one counts as not set."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_ignore_empty=True, frozen=True)

    timezone: Annotated[str, AfterValidator(_known_zone)] = Field(default_factory=tzlocal.get_localzone_name)
    """IANA zone in which start_time is read and next_run_time is told; default: the host's own."""
    task_queue: str = "backups"
    """Temporal task queue on which the RPC service asks for runs and the worker waits for them."""
    log_level: Annotated[str, Field(pattern="^(?i:debug|info|warning|error)$")] = "info"
    log_format: Annotated[str, Field(pattern="^(auto|json|console)$")] = "auto"
    """auto: JSON unless on a terminal."""
    misfire_grace_time: Annotated[int, Field(ge=1, le=315_360_000)] | None = None
    """The misfire_grace_time of calls that give none, in seconds."""
    rpc_workers: Annotated[int, Field(ge=1, le=1000)] = 50
    """Calls that one RPC process carries out at once (nameko's max_workers)."""
    policies: Path | None = None
    """The policy file (TOML)."""
    backup_url: SecretStr | None = None
    """Where runs of policies that the file does not list POST to; may hold credentials."""
    max_backups: Annotated[int, Field(ge=1)] = 100
    """Backups that one worker makes at once."""
    shutdown_grace: Annotated[timedelta, BeforeValidator(_seconds)] = timedelta(seconds=30)
    """How long a worker that was told to stop lets its backups go on before it hands them over; in seconds."""

    metrics_address: Annotated[str, Field(pattern=r"^\S+:[0-9]{1,5}$")] | None = None
    """Host and port at which a worker shows its metrics to Prometheus."""

    @property
    def zone(self) -> ZoneInfo:
        """The scheduler's time zone."""
        return ZoneInfo(self.timezone)


def load() -> Settings:
    """Read the environment; raises ConfigurationError that names each variable at fault."""
    try:
        return Settings()
    except ValidationError as error:
        faults = [
            f"{PREFIX}{str(fault['loc'][0]).upper()}: {fault['msg'].removeprefix('Value error, ')}"
            for fault in error.errors(include_url=False, include_input=False)
        ]
        raise ConfigurationError("; ".join(faults)) from None
