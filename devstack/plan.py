"""What a stack runs, and where its clients find it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from devstack.compose import FILE, ServiceSpec
from devstack.running import Addresses


@dataclass(frozen=True)
class Plan:
    """The services of a stack with their places on this machine."""

    specs: Sequence[ServiceSpec]
    environ: Mapping[str, str]
    """Environment that each service inherits."""
    addresses: Addresses
    notes: Sequence[str]
    """Lines for the person who started the stack, once all services are healthy."""
    directory: Path = FILE.parent
    """Working directory of the services."""
