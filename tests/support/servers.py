"""Servers that a test may kill, freeze and start again."""

import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil
from kombu import Connection

from devstack import compose, machine, processes
from devstack.compose import ServiceSpec
from devstack.log import LogStream
from devstack.ports import Ports
from lab.parts.places import ROOT
from lab.parts.waiting import eventually

PATIENCE = 90


class Servers(AbstractContextManager["Servers"]):
    """Temporal and RabbitMQ as temporal-dev.yml describes them; their data outlives them in files."""

    def __init__(self, state_dir: Path) -> None:
        self.state_dir = state_dir
        self._ports = Ports()
        own = {name: value for name, value in os.environ.items() if not name.startswith(("SCHEDULER_", "AMQP_"))}
        log = LogStream([])
        variables = machine.variables(own, state_dir, self._ports, log)
        inherited = machine.service_environ(own, state_dir, log)
        specs = {spec.name: spec for spec in compose.read(variables)}
        self.temporal = Server(specs["temporal"], inherited, state_dir)
        self.rabbitmq = Server(specs["rabbitmq"], inherited, state_dir)
        self.temporal_address = variables["TEMPORAL_ADDRESS"]
        self.amqp_uri = variables["AMQP_URI"]

    def __enter__(self) -> Self:
        self._ports.__enter__()
        self.temporal.begin()
        self.rabbitmq.begin()
        self.temporal.wait()
        self.rabbitmq.wait()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        processes.end([self.rabbitmq.process, self.temporal.process], grace=10)
        processes.sweep(str(self.state_dir))
        self._ports.__exit__(kind, error, trace)

    def consumers(self) -> int:
        """Return the number of RPC processes that RabbitMQ hands calls to."""
        with Connection(self.amqp_uri, connect_timeout=5) as connection:
            try:
                return int(connection.default_channel.queue_declare("rpc-scheduler", passive=True).consumer_count)
            except connection.channel_errors:
                return 0


class Server:
    """One server; its output goes to a file."""

    def __init__(self, spec: ServiceSpec, environ: Mapping[str, str], state_dir: Path) -> None:
        self._spec = spec
        self._environ = {**environ, **spec.environment}
        self._output = state_dir / f"{spec.name}.log"
        self.process: psutil.Popen

    def begin(self) -> None:
        with self._output.open("a") as output:
            self.process = psutil.Popen(
                self._spec.command,
                cwd=ROOT,
                env=self._environ,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def wait(self) -> None:
        """Wait until it is healthy."""
        health = self._spec.health
        assert health is not None
        command, environ = health.command, self._environ

        def healthy() -> bool:
            try:
                return (
                    subprocess.run(command, env=environ, capture_output=True, timeout=30, check=False).returncode == 0
                )
            except subprocess.TimeoutExpired:
                return False

        eventually(healthy, PATIENCE)

    def kill(self) -> None:
        """End it as a power failure does (kill -9)."""
        self.process.kill()
        self.process.wait(PATIENCE)

    def terminate(self) -> None:
        """End it as an administrator does."""
        processes.end([self.process], PATIENCE)

    def start_again(self) -> None:
        """Start it with the files that the one before left."""
        self.begin()
        self.wait()

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Let it neither answer nor end its connections."""
        self.process.suspend()
        try:
            yield
        finally:
            self.process.resume()
