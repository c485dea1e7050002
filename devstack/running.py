"""A running stack for other programs: its stack.json, and a stack that runs during a `with` block."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Self
from urllib.parse import quote

from pydantic import BaseModel

from devstack.compose import FILE
from devstack.errors import StackError

_PATIENCE = 120
LOG = "devstack.log"
"""Name of the file in the state folder that has the output of a running stack."""


class Addresses(BaseModel):
    """Where clients find the services of a stack, and what they need to be let in."""

    amqp_uri: str
    amqp_ca: str | None = None
    """File with the CA of the broker's certificates; None without TLS."""
    temporal_address: str
    temporal_namespace: str
    temporal_tls_ca: str | None = None
    """File with the CA of Temporal's certificates; None without TLS."""
    temporal_tls_cert: str | None = None
    """File with the certificate of a client."""
    temporal_tls_key: str | None = None
    temporal_tls_server_name: str | None = None
    """Name in the certificates of all nodes, in the place of their addresses."""
    temporal_api_key: str | None = None
    """Token of an operator, where the server asks for one."""
    tctl: str | None = None
    """Path of tctl, where the stack has it."""
    web_ui: str

    def run_page(self, run_id: str) -> str:
        """Return the address of a run in the Web UI: of its last execution, if it was started again under its id."""
        return f"{self.web_ui}/namespaces/{self.temporal_namespace}/workflows/{quote(run_id, safe='')}"

    def environ(self) -> dict[str, str]:
        """Return the variables with which a process of this project, or `temporal`, uses the stack and no other."""
        return {
            "AMQP_URI": self.amqp_uri,
            "TEMPORAL_CONFIG_FILE": os.devnull,
            "TEMPORAL_ADDRESS": self.temporal_address,
            "TEMPORAL_NAMESPACE": self.temporal_namespace,
            **self.tls_environ(),
        }

    def tls_environ(self) -> dict[str, str]:
        """Return those variables that TLS and rights need."""
        return _given(
            SSL_CERT_FILE=self.amqp_ca,
            TEMPORAL_TLS_SERVER_CA_CERT_PATH=self.temporal_tls_ca,
            TEMPORAL_TLS_CLIENT_CERT_PATH=self.temporal_tls_cert,
            TEMPORAL_TLS_CLIENT_KEY_PATH=self.temporal_tls_key,
            TEMPORAL_TLS_SERVER_NAME=self.temporal_tls_server_name,
            TEMPORAL_API_KEY=self.temporal_api_key,
        )

    def tctl_environ(self) -> dict[str, str]:
        """Return the variables with which tctl uses the stack."""
        return _given(
            TEMPORAL_CLI_ADDRESS=self.temporal_address,
            TEMPORAL_CLI_NAMESPACE=self.temporal_namespace,
            TEMPORAL_CLI_TLS_CA=self.temporal_tls_ca,
            TEMPORAL_CLI_TLS_CERT=self.temporal_tls_cert,
            TEMPORAL_CLI_TLS_KEY=self.temporal_tls_key,
            TEMPORAL_CLI_TLS_SERVER_NAME=self.temporal_tls_server_name,
            TEMPORAL_CLI_AUTH=f"Bearer {self.temporal_api_key}" if self.temporal_api_key else None,
        )


def _given(**variables: str | None) -> dict[str, str]:
    return {name: value for name, value in variables.items() if value is not None}


class StackInfo(Addresses):
    """The content of stack.json, a file that is in the state folder while all services are healthy."""

    pid: int
    """Process id of devstack: SIGTERM ends the stack."""
    pids: dict[str, int]
    """Process ids by service name."""
    restarts: dict[str, int]
    """Number of restarts by service name."""

    @classmethod
    def read(cls, state_dir: Path) -> Self | None:
        """Read stack.json; None if no stack is up."""
        try:
            return cls.model_validate_json((state_dir / "stack.json").read_bytes())
        except FileNotFoundError:
            return None

    def write(self, state_dir: Path) -> None:
        """Write stack.json in one step and for its owner only: readers never see half of it; it may hold a password."""
        new = state_dir / "stack.json.new"
        new.unlink(missing_ok=True)
        new.touch(mode=0o600)
        new.write_text(self.model_dump_json(indent=2) + "\n")
        new.replace(state_dir / "stack.json")

    @staticmethod
    def remove(state_dir: Path) -> None:
        """Remove stack.json: no stack is up."""
        (state_dir / "stack.json").unlink(missing_ok=True)


@contextmanager
def running_stack(
    state_dir: Path,
    environ: Mapping[str, str] = os.environ,
    *,
    keep_alive: float | None = None,
    program: str = "devstack",
) -> Iterator[StackInfo]:
    """Run `python -m PROGRAM up` around the block; its output goes to devstack.log in the state folder.

    With `keep_alive` services are started again that many seconds after they died, however often. Raises StackError
    with the end of that output if the stack does not come up or does not end with 0.
    """
    state_dir.mkdir(parents=True, exist_ok=True)
    log = state_dir / LOG
    command = [sys.executable, "-m", program, "up"]
    if keep_alive is not None:
        command.append(f"--keep-alive={keep_alive}")
    with log.open("w") as output:
        stack = subprocess.Popen(  # noqa: S603  # our own
            command,
            cwd=FILE.parent,
            env={**environ, "SCHEDULER_STATE_DIR": str(state_dir.absolute())},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C reaches the caller alone; the end of the block ends the stack
        )
    try:
        yield _wait(stack, state_dir)
    finally:
        stack.send_signal(signal.SIGTERM)
        code = stack.wait()
    if code != 0:
        raise StackError(f"The stack ended with code {code}.{_end_of(log)}")


def _wait(stack: subprocess.Popen[bytes], state_dir: Path) -> StackInfo:
    deadline = time.monotonic() + _PATIENCE
    while stack.poll() is None and time.monotonic() < deadline:
        if (info := StackInfo.read(state_dir)) and info.pid == stack.pid:
            return info
        time.sleep(0.05)
    raise StackError(f"The stack did not come up.{_end_of(state_dir / LOG)}")


def _end_of(log: Path) -> str:
    return "".join(f"\n  {line}" for line in log.read_text(errors="replace").splitlines()[-25:])
