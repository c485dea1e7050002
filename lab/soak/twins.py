"""Second processes of parts of a stack: like the stack's own, but their ways to the servers can be cut."""

import asyncio
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, Self

import psutil

from devstack import processes
from devstack.running import StackInfo
from lab.cluster import network
from lab.parts.relay import Relay, relay
from lab.soak.sites import Site, part_of
from lab.soak.slow_restic import PROCESS

_PAUSE = 0.1
_GRACE = 30
"""Seconds to end."""


class Twin:
    """A process like another one, but for what comes before its command, and some variables; it is kept alive."""

    def __init__(
        self, original: int, prefix: Sequence[str], changes: Mapping[str, str], log: Path, down: float, ahead: float
    ) -> None:
        like = psutil.Process(original)
        self._command, self._environ = [*prefix, *like.cmdline()], like.environ() | dict(changes)
        self._cwd = self._environ.get("CLUSTER_RELEASE", like.cwd())
        if ahead:
            self._environ |= wrong_clock(ahead)
        self.log = log
        self.ahead = ahead
        """Seconds that its clock is ahead."""
        self._down = down
        self.restarts = 0
        self.process = self._start()

    def _start(self) -> psutil.Popen:
        with self.log.open("a") as output:
            return psutil.Popen(
                self._command,
                cwd=self._cwd,
                env=self._environ,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def pid(self) -> int | None:
        """Its process id; None while it is away."""
        return int(self.process.pid) if self.process.poll() is None else None

    async def keep(self) -> None:
        """Start it again some seconds after it died, however often, until cancelled."""
        while True:
            while self.process.poll() is None:
                await asyncio.sleep(_PAUSE)
            await asyncio.sleep(self._down)
            self.restarts += 1
            self.process = self._start()


_FAKETIME = "/usr/$LIB/faketime/libfaketimeMT.so.1"
"""Library of Debian's package libfaketime; the loader puts the folder of the machine's libraries for $LIB."""


def wrong_clock(ahead: float) -> dict[str, str]:
    """Return the variables with which a process has a clock that is so many seconds ahead.

    Its restic goes by the right clock: it asks the kernel itself, as all programs in Go do.
    """
    return {"LD_PRELOAD": _FAKETIME, "FAKETIME": f"{ahead:+g}s", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}


class Link(Protocol):
    """A way of a process to a part."""

    def cut(self) -> None:
        """Let nothing pass from now on; no connection ends."""

    def mend(self) -> None:
        """Let everything pass again."""


class Relayed:
    """A way of a process to a part, which may be several nodes; a cut cuts all of it."""

    def __init__(self, relays: Sequence[Relay]) -> None:
        self.addresses = [each.address for each in relays]
        self._relays = relays

    def cut(self) -> None:
        """Pass nothing on from now on."""
        for each in self._relays:
            each.cut()

    def mend(self) -> None:
        """Pass everything on again, what was kept back first."""
        for each in self._relays:
            each.mend()


@dataclass
class Twins:
    """An RPC process and a worker beside those of a stack."""

    by_name: dict[str, Twin]
    links: dict[str, Link]

    @classmethod
    @asynccontextmanager
    async def beside(
        cls, site: Site, info: StackInfo, folder: Path, down: float, worker_ahead: float
    ) -> AsyncIterator[Self]:
        """Run them for the block.

        `down` is the time in seconds that one stays away when it died, `worker_ahead` the time that the worker's clock
        is ahead.
        """
        async with AsyncExitStack() as stack:
            links, changes = (
                (_ways(site, info), {}) if site.machines else await _relays(site, info, stack.enter_async_context)
            )
            by_name = {
                name: Twin(
                    info.pids[site.stacks(part_of(name))[0]],
                    network.inside(name) if name in site.machines else [],
                    changes.get(name, {}) | {PROCESS: name},
                    folder / f"{name}.log",
                    down,
                    worker_ahead if name == site.own("worker") else 0,
                )
                for name in (site.own("rpc"), site.own("worker"))
            }
            twins = cls(by_name, links)
            keeping = [asyncio.create_task(twin.keep()) for twin in by_name.values()]
            try:
                yield twins
            finally:
                for task in keeping:
                    task.cancel()
                await asyncio.to_thread(processes.end, [twin.process for twin in by_name.values()], _GRACE)


async def _relays(
    site: Site, info: StackInfo, entered: Callable[[AbstractAsyncContextManager[Relay]], Awaitable[Relay]]
) -> tuple[dict[str, Link], dict[str, dict[str, str]]]:
    """Return links that lead through relays, and the variables by which the processes find them."""
    servers = {"temporal": [info.temporal_address], "rabbitmq": _brokers(info)}
    links = {name: Relayed([await entered(relay(to)) for to in servers[name.partition("|")[2]]]) for name in site.links}
    rpc, worker = site.own("rpc"), site.own("worker")
    amqp_uri = info.amqp_uri
    for broker, relayed in zip(servers["rabbitmq"], links[f"{rpc}|rabbitmq"].addresses, strict=True):
        amqp_uri = amqp_uri.replace(broker, relayed)
    [temporal_of_rpc], [temporal_of_worker] = (links[f"{name}|temporal"].addresses for name in (rpc, worker))
    changes = {
        rpc: {"TEMPORAL_ADDRESS": temporal_of_rpc, "AMQP_URI": amqp_uri},
        worker: {"TEMPORAL_ADDRESS": temporal_of_worker},
    }
    return dict(links), changes


def _ways(site: Site, info: StackInfo) -> dict[str, Link]:
    """Return links that are ways of machines."""
    nodes = {name: f"{network.NETWORK}.{site.machines[name]}" for name in site.processes["temporal"]}
    servers = {
        "all": [f"{network.NETWORK}.0/25", f"{network.NETWORK}.128/25"],  # more specific than the way to all
        "temporal": [*nodes.values(), info.temporal_address.partition(":")[0]],
        "rabbitmq": [broker.partition(":")[0] for broker in _brokers(info)],
    }
    ways: dict[str, Link] = {}
    for name in site.links:
        machine, _, part = name.partition("|")
        others = [address for node, address in nodes.items() if node != machine]
        ways[name] = network.Way(machine, others if machine in nodes and part == "temporal" else servers[part])
    return ways


def _brokers(info: StackInfo) -> list[str]:
    return [node.rpartition("@")[2].rstrip("/") for node in info.amqp_uri.split(";")]
