"""Where a soak takes place: on the development stack, or on a cluster."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from lab.cluster import network


@dataclass(frozen=True)
class Site:
    """A stack, and which processes each of its parts has; the last RPC process and worker are the soak's own."""

    program: str
    """What runs it: `python -m PROGRAM up`."""
    processes: Mapping[str, Sequence[str]]
    """Processes by part."""
    patient: Sequence[str] = ()
    """Parts that wait upon SIGTERM until all their clients have left, which are never told to end."""
    machines: Mapping[str, int] = field(default_factory=dict)
    """Processes that have a network namespace of their own, with the last number of its address; else relays cut."""
    host: str = "127.0.0.1"
    """Address at which the backup service listens."""

    @property
    def parts(self) -> tuple[str, ...]:
        """The names of the parts."""
        return tuple(self.processes)

    def own(self, part: str) -> str:
        """Return the name of the soak's own process of a part."""
        return self.processes[part][-1]

    def stacks(self, part: str) -> Sequence[str]:
        """Return the names of the stack's processes of a part."""
        return self.processes[part][:-1] if part in _OWN else self.processes[part]

    @property
    def links(self) -> tuple[str, ...]:
        """Connections that can be cut: those of the soak's own processes, and of nodes that are machines.

        `NODE|all` cuts a node off from everything, `NODE|temporal` from the other nodes only.
        """
        own = f"{self.own('worker')}|temporal", f"{self.own('rpc')}|temporal", f"{self.own('rpc')}|rabbitmq"
        nodes = [node for node in self.processes["temporal"] if node in self.machines]
        return *own, *(f"{node}|all" for node in nodes), *(f"{node}|temporal" for node in nodes)

    @property
    def broker_folders(self) -> list[str]:
        """Folders, in that of the stack, with settings that RabbitMQ reads beside its own."""
        nodes = self.processes["rabbitmq"]
        return ["rabbitmq/conf.d"] if len(nodes) == 1 else [f"rabbitmq/{part_number(node)}/conf.d" for node in nodes]


_OWN: Final = ("rpc", "worker")

DEVELOPMENT: Final = Site(
    "devstack",
    {"rpc": ("rpc", "rpc-2"), "worker": ("worker", "worker-2"), "temporal": ("temporal",), "rabbitmq": ("rabbitmq",)},
)

CLUSTER: Final = Site(
    "lab.cluster",
    {
        "rpc": ("rpc-1", "rpc-2", "rpc-3"),
        "worker": ("worker-1", "worker-2", "worker-3"),
        "temporal": ("temporal-1", "temporal-2", "temporal-3"),
        "rabbitmq": ("rabbitmq-1", "rabbitmq-2", "rabbitmq-3"),
        "postgresql": ("postgresql",),
        "balancer": ("balancer",),
    },
    patient=("postgresql",),
)


CLUSTER_OF_MACHINES: Final = replace(
    CLUSTER,
    machines={"temporal-1": 11, "temporal-2": 12, "temporal-3": 13, "rpc-3": 41, "worker-3": 42},
    host=network.HOST,
)
"""The same, where network namespaces can be made."""


def part_of(process: str) -> str:
    """Return the part that a process is of: its name without a number."""
    return re.sub(r"-\d+$", "", process)


def part_number(process: str) -> str:
    """Return the number of a process."""
    return process.rpartition("-")[2]
