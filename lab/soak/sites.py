"""Where a soak takes place: on the development stack, or on a cluster."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Site:
    """A stack, and which processes each of its parts has; the last RPC process and worker are the soak's own."""

    program: str
    """What runs it: `python -m PROGRAM up`."""
    processes: Mapping[str, Sequence[str]]
    """Processes by part."""
    patient: Sequence[str] = ()
    """Parts that wait upon SIGTERM until all their clients have left, which are never told to end."""

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
        """Connections that can be cut: those of the soak's own processes."""
        return f"{self.own('worker')}|temporal", f"{self.own('rpc')}|temporal", f"{self.own('rpc')}|rabbitmq"

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


def part_of(process: str) -> str:
    """Return the part that a process is of: its name without a number."""
    return re.sub(r"-\d+$", "", process)


def part_number(process: str) -> str:
    """Return the number of a process."""
    return process.rpartition("-")[2]
