"""Servers and RPC services of its own that a test may kill, freeze and start again."""

import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil
from kombu import Connection
from kombu.exceptions import OperationalError

from devstack import compose, machine, processes
from devstack.compose import ServiceSpec
from devstack.log import LogStream
from devstack.ports import Ports
from tests.conftest import ROOT, ZONE, eventually, heeds_sigterm

PATIENCE = 90
LEAVES_WITHIN = 25
"""Seconds in which an RPC process ends that is told to; temporal-dev.yml kills it after 30."""


class Servers(AbstractContextManager["Servers"]):
    """Temporal and RabbitMQ as temporal-dev.yml describes them; what they know outlives their deaths in files."""

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
        """Return how many RPC processes RabbitMQ hands calls to."""
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


class RpcProcess(AbstractContextManager["RpcProcess"]):
    """`python -m rpc_service`, killed at the end of the block if it still runs; its output goes to a file."""

    def __init__(self, servers: Servers, amqp_uri: str = "", temporal_address: str = "") -> None:
        self._log = servers.state_dir / f"rpc-{uuid.uuid4().hex}.log"
        with self._log.open("w") as output:
            self.process = psutil.Popen(
                [sys.executable, "-m", "rpc_service"],
                cwd=ROOT,
                env={
                    **os.environ,
                    "AMQP_URI": amqp_uri or servers.amqp_uri,
                    "TEMPORAL_ADDRESS": temporal_address or servers.temporal_address,
                    "SCHEDULER_TIMEZONE": ZONE,
                    "SCHEDULER_LOG_FORMAT": "json",
                },
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()

    def kill(self) -> None:
        """kill -9, if it still runs."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(PATIENCE)

    def leave(self) -> int:
        """Ask it to end (SIGTERM) as soon as it listens to that; returns its exit code."""
        eventually(lambda: heeds_sigterm(self.process.pid), PATIENCE)
        self.process.send_signal(signal.SIGTERM)
        code: int = self.process.wait(LEAVES_WITHIN)
        return code

    @property
    def said(self) -> str:
        """Its log."""
        return self._log.read_text()

    @property
    def resident(self) -> int:
        """Bytes of memory that it holds."""
        held: int = self.process.memory_info().rss
        return held


@contextmanager
def rpc_processes(servers: Servers, count: int = 1) -> Iterator[list[RpcProcess]]:
    """Run so many RPC processes from the moment on at which all of them take calls."""
    with ExitStack() as stack:
        running = [stack.enter_context(RpcProcess(servers)) for _ in range(count)]
        serving(servers, count)
        yield running


def serving(servers: Servers, count: int) -> None:
    """Wait until so many RPC processes take calls."""

    def reached() -> bool:
        try:
            return servers.consumers() == count
        except (OperationalError, OSError):
            return False

    eventually(reached, PATIENCE)
