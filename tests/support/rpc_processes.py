"""RPC services as processes of their own."""

import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from types import TracebackType

import psutil
from kombu.exceptions import OperationalError

from lab.parts.places import ROOT
from lab.parts.waiting import eventually
from tests.support.calls import calling, listens
from tests.support.servers import PATIENCE, Servers

ZONE = "Europe/Berlin"


def heeds_sigterm(pid: int) -> bool:
    """Return whether a process has a handler for SIGTERM; before, the signal just ends it."""
    status = Path(f"/proc/{pid}/status").read_text()
    [caught] = [int(line.split()[1], 16) for line in status.splitlines() if line.startswith("SigCgt:")]
    return bool(caught & 1 << signal.SIGTERM - 1)


@contextmanager
def rpc_process(amqp_uri: str, temporal_address: str, *command: str) -> Iterator[subprocess.Popen[str]]:
    """Run an RPC service process of its own from its first reply on; ended hard if it still runs then."""
    process = subprocess.Popen(
        command or [sys.executable, "-m", "rpc_service"],
        cwd=ROOT,
        env={
            **os.environ,
            "AMQP_URI": amqp_uri,
            "TEMPORAL_ADDRESS": temporal_address,
            "SCHEDULER_TIMEZONE": ZONE,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        with calling(amqp_uri) as call:
            eventually(lambda: listens(call))
        eventually(lambda: heeds_sigterm(process.pid))
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


LEAVES_WITHIN = 25
"""Seconds in which an RPC process ends after SIGTERM; temporal-dev.yml kills it after 30."""


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
        """Send SIGTERM as soon as it has a handler for it; return its exit code."""
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
    """Run `count` RPC processes; the block begins when all of them take calls."""
    with ExitStack() as stack:
        running = [stack.enter_context(RpcProcess(servers)) for _ in range(count)]
        serving(servers, count)
        yield running


def serving(servers: Servers, count: int) -> None:
    """Wait until `count` RPC processes take calls."""

    def reached() -> bool:
        try:
            return servers.consumers() == count
        except (OperationalError, OSError):
            return False

    eventually(reached, PATIENCE)
