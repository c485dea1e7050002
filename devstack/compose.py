"""Reads the Compose file; knows only the part of the format that temporal-dev.yml uses."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import expandvars  # type: ignore[import-untyped]  # ships no type information
import yaml
from pydantic import BaseModel

FILE = Path(__file__).parent.parent / "temporal-dev.yml"

_PORT = re.compile(r"\$\{(\w+):-(\d+)\}$")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0}


class HealthCheck(BaseModel):
    """A command that exits with 0 once the service is healthy; times in seconds."""

    command: list[str]
    pause: float
    """Time between two checks while the service starts."""
    patience: float
    """Time in which the service must become healthy."""
    timeout: float
    """Limit of one check."""


class ServiceSpec(BaseModel):
    """One service of the file, with its variables filled in."""

    name: str
    command: list[str]
    environment: dict[str, str]
    depends_on: list[str]
    health: HealthCheck | None
    """None for a command that does its work and ends with 0; only then the services that depend on it may start."""
    restarts: int
    """Most restarts of a service that was healthy and died."""
    grace: float
    """Seconds from SIGTERM to SIGKILL."""


def port_variables(file: Path = FILE) -> dict[str, int]:
    """Return the variables that move the published ports, each with its default."""
    ports = [port for service in _services(file).values() for port in service.get("ports", [])]
    found = [match for port in ports if (match := _PORT.search(port))]
    return {match[1]: int(match[2]) for match in found}


def names(file: Path = FILE) -> list[str]:
    """Return the names of the services in the file's order."""
    return list(_services(file))


def read(variables: Mapping[str, str], file: Path = FILE) -> list[ServiceSpec]:
    """Return the services in the file's order, with `${NAME:-default}` filled in from the variables."""
    return [_spec(name, _filled_in(service, variables)) for name, service in _services(file).items()]


def _services(file: Path) -> dict[str, Any]:
    services: dict[str, Any] = yaml.safe_load(file.read_text())["services"]
    return services


def _filled_in(value: Any, variables: Mapping[str, str]) -> Any:
    if isinstance(value, dict):
        return {key: _filled_in(item, variables) for key, item in value.items()}
    if isinstance(value, list):
        return [_filled_in(item, variables) for item in value]
    if isinstance(value, str):
        return expandvars.expand(value, nounset=True, environ=variables, surrounded_vars_only=True)
    return value


def _spec(name: str, service: dict[str, Any]) -> ServiceSpec:
    check = service.get("healthcheck")
    policy, _, limit = service.get("restart", "no").partition(":")
    return ServiceSpec(
        name=name,
        command=service["command"],
        environment=service.get("environment", {}),
        depends_on=list(service.get("depends_on", {})),
        health=check
        and HealthCheck(
            command=check["test"][1:],  # the first element is CMD
            pause=_seconds(check["x-start-interval"]),
            patience=_seconds(check["start_period"]),
            timeout=_seconds(check["timeout"]),
        ),
        restarts=int(limit) if policy == "on-failure" else 0,
        grace=_seconds(service.get("stop_grace_period", "10s")),
    )


def _seconds(duration: str) -> float:
    number, unit = re.fullmatch(r"(\d+)(ms|s|m)", duration).groups()  # type: ignore[union-attr]  # the file is ours
    return int(number) * _SECONDS[unit]
