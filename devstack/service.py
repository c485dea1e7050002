"""One running service: its process, its output and its health."""

import math
import subprocess
import threading
import time
from collections import deque
from collections.abc import Mapping
from pathlib import Path

import psutil

from devstack import processes
from devstack.compose import ServiceSpec
from devstack.errors import StackError
from devstack.log import LogStream

_LAST_LINES = 15


class Service:
    """Starts a service's command and watches it; never blocks, because one loop watches all services."""

    def __init__(self, spec: ServiceSpec, environ: Mapping[str, str], directory: Path, log: LogStream) -> None:
        self.spec = spec
        self.ready = False
        """Whether the service is healthy; for a command without a health check, whether it is done."""
        self.muted = False
        self.restarts = 0
        self.not_before = 0.0
        """Moment (of the monotonic clock) before which a service that died is not started again."""
        self.process: psutil.Popen | None = None
        self._environ = {**environ, **spec.environment}
        self._directory = directory
        self._log = log
        self._last_lines: deque[str] = deque(maxlen=_LAST_LINES)
        self._pump: threading.Thread | None = None
        self._check: subprocess.Popen[str] | None = None
        self._check_said = ""
        self._check_began = self._next_check = self._deadline = 0.0

    def start(self) -> None:
        """Start the command in a session of its own: a Ctrl-C at the terminal reaches devstack alone."""
        self.ready = False
        self._check = None
        self._next_check = time.monotonic()
        self._deadline = self._next_check + (self.spec.health.patience if self.spec.health else 60)
        try:
            self.process = psutil.Popen(
                self.spec.command,
                cwd=self._directory,
                env=self._environ,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                start_new_session=True,
            )
        except OSError as error:
            raise StackError(f"{self.spec.name} cannot be started: {error}. `make setup` installs it.") from None
        self._pump = threading.Thread(target=self._read_output, args=(self.process,), daemon=True)
        self._pump.start()

    def watch(self) -> None:
        """Look once at the process and its health. Raises StackError if it did not become ready."""
        if self.process is None or self.ready:
            return
        code = self.process.poll()
        if self.spec.health is None and code == 0:
            self.ready = True
        elif code is not None:
            raise StackError(f"{self.spec.name} ended with {_code(code)} before it was ready.{self.last_lines()}")
        elif time.monotonic() > self._deadline:
            raise StackError(f"{self.spec.name} did not become ready in time.{self._complaint()}{self.last_lines()}")
        elif self.spec.health is not None:
            self._check_health()

    @property
    def died(self) -> bool:
        """Whether a service that was ready is gone."""
        return self.ready and self.spec.health is not None and self.process is not None and self.exit_code is not None

    def restart_after(self, pause: float) -> None:
        """Note that the service died; it may start again after the pause."""
        self.restarts += 1
        self.not_before = time.monotonic() + pause
        self.ready = False
        self.process = None

    @property
    def exit_code(self) -> int | None:
        """Exit code of the process; None while it runs, or if it was not started."""
        return None if self.process is None else self.process.poll()

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self.process is not None and self.process.poll() is None

    def last_lines(self) -> str:
        """Return the service's last output, to be appended to a sentence."""
        if self._pump:
            self._pump.join(timeout=1)
        return "\n  ".join([" Its last lines:", *self._last_lines]) if self._last_lines else ""

    def end_check(self) -> None:
        """End a health check under way."""
        if self._check is not None and self._check.poll() is None:
            self._check.kill()
            self._check.communicate()
            self._check = None

    def _check_health(self) -> None:
        health = self.spec.health
        assert health is not None  # noqa: S101  # the caller looked
        now = time.monotonic()
        if self._check is None:
            if now >= self._next_check:
                self._check_began = now
                self._check = subprocess.Popen(  # noqa: S603  # a command of our own file
                    health.command,
                    cwd=self._directory,
                    env=self._environ,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    text=True,
                    errors="replace",
                    start_new_session=True,
                )
            return
        code = self._check.poll()
        if code is None and now - self._check_began <= health.timeout:
            return
        if code is None:
            self._check.kill()
        self._check_said = self._check.communicate()[0].strip()
        self._check = None
        self._next_check = now + health.pause
        self.ready = code == 0

    def _complaint(self) -> str:
        return f" Its health check says: {self._check_said}" if self._check_said else ""

    def _read_output(self, process: psutil.Popen) -> None:
        for line in process.stdout:
            self._last_lines.append(line.rstrip())
            if not self.muted:
                self._log.line(self.spec.name, line.rstrip())


def end(services: list[Service], most_grace: float) -> None:
    """End the services, all at once; each gets the grace of its spec, up to `most_grace` seconds."""
    for service in services:
        service.end_check()
    for ready, repeat_every in ((False, 1.0), (True, math.inf)):  # Erlang loses a signal that comes while it boots
        running = [service for service in services if service.alive and service.ready is ready]
        processes.end(
            [service.process for service in running if service.process],
            min(most_grace, max((service.spec.grace for service in running), default=0)),
            repeat_every,
        )


def _code(code: int) -> str:
    return f"code {code}" if code >= 0 else f"signal {-code}"
