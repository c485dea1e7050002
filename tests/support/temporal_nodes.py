"""A node of Temporal, made of deploy/temporal/server.yaml, with a store in memory in the place of PostgreSQL."""

import os
import re
import subprocess
from contextlib import AbstractContextManager
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psutil
from temporalio.api.workflowservice.v1 import RegisterNamespaceRequest
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.service import RPCError, TLSConfig

from devstack import processes
from devstack.ports import Ports
from lab.cluster import certificates
from lab.cluster.plan import SERVICES_WITH_RIGHTS, TOKENS, TOOLS
from lab.parts.go_tools import programs
from lab.parts.places import ROOT
from lab.parts.waiting import eventually, eventually_async
from tests.support.programs import binary

NAMESPACE = "backups"

_STORE = """\
  datastores:
    default: &store
      sql:
        pluginName: sqlite
        databaseName: temporal
        connectProtocol: tcp
        connectAddr: localhost
        connectAttributes: { mode: memory, cache: shared }
    visibility: *store

"""
_SHORT_CONNECTIONS = """
frontend.keepAliveMaxConnectionAge:
  - value: 3s
"""
"""The server ends a connection when it is some minutes old; here that is some seconds."""

_PATIENCE = 60


class TemporalNode(AbstractContextManager["TemporalNode"]):
    """A node with TLS and client certificates, and with rights if it is given the keys of tokens; ends with the block.

    It reads renewed certificates and keys within a second, and its connections are short, so that clients show theirs
    often.
    """

    def __init__(self, folder: Path, *, with_rights: bool = False) -> None:
        self.folder = folder
        self.certificates = folder / "certificates"
        self.token_key = folder / "jwt.key"
        self._with_rights = with_rights
        self._ports = Ports()
        self.host = next(
            host
            for number in range(1, 255)
            if self._ports.claim_addresses(host := f"127.0.30.{number}", [(host, 7233), (host, 7236)])
        )
        self.address = f"{self.host}:7233"
        certificates.make(self.certificates, {"node": [self.host]})

    def __enter__(self) -> Self:
        self._ports.__enter__()
        self.publish(self.token_key)
        self._process = self._start()
        health = [binary("temporal"), "operator", "cluster", "health"]
        environ = {"PATH": os.environ["PATH"], **self.environ()}
        eventually(lambda: subprocess.run(health, env=environ, capture_output=True).returncode == 0, _PATIENCE)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        processes.end([self._process], grace=10)
        self._ports.__exit__(kind, error, trace)

    def _start(self) -> psutil.Popen:
        config = self.folder / "server.yaml"
        text = (ROOT / "deploy/temporal/server.yaml").read_text()
        text = re.sub(r"  datastores:\n.*?\n\n(?=global:)", _STORE, text, count=1, flags=re.DOTALL)
        config.write_text(text.replace("refreshInterval: 1m", "refreshInterval: 1s"))
        dynamic = self.folder / "dynamic.yaml"
        dynamic.write_text((ROOT / "deploy/temporal/dynamic.yaml").read_text() + _SHORT_CONNECTIONS)
        environ = {
            "TEMPORAL_NODE_ADDRESS": self.host,
            "TEMPORAL_CERTIFICATES": str(self.certificates),
            "TEMPORAL_SERVER_NAME": certificates.SERVER_NAME,
            "TEMPORAL_DYNAMIC_CONFIG": str(dynamic),
        }
        if self._with_rights:
            environ |= {
                "TEMPORAL_JWT_KEYS": f"file://{self.folder}/keys.json",
                "TEMPORAL_SERVICES": SERVICES_WITH_RIGHTS,
            }
        with (self.folder / "server.log").open("a") as output:
            return psutil.Popen(
                [programs(TOOLS / "temporal-server") / "server", "--config-file", config, "--allow-no-auth", "start"],
                env={"PATH": os.environ["PATH"], **environ},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def publish(self, *keys: Path) -> None:
        """Let the node take tokens that are signed by these keys; those that are not there are made."""
        for key in keys:
            if not key.exists():
                subprocess.run(["openssl", "genrsa", "-out", key, "2048"], check=True, capture_output=True)
        new = self.folder / "keys.json.new"
        new.write_text(subprocess.check_output([TOKENS, "keys", *keys], text=True))
        new.replace(self.folder / "keys.json")

    def token(self, *permissions: str, days: int = 1, key: Path | None = None) -> str:
        """Return a token with these permissions; with days below 0 it has expired."""
        command = [TOKENS, "token", str(key or self.token_key), "somebody", str(days), *permissions]
        return subprocess.check_output(command, text=True).strip()

    def environ(self, token: str = "", client: str = "operator") -> dict[str, str]:
        """Return Temporal's own settings for a process or for `temporal`."""
        return {
            "TEMPORAL_CONFIG_FILE": os.devnull,
            "TEMPORAL_ADDRESS": self.address,
            "TEMPORAL_NAMESPACE": NAMESPACE,
            "TEMPORAL_TLS_SERVER_CA_CERT_PATH": str(self.certificates / "ca.pem"),
            "TEMPORAL_TLS_SERVER_NAME": certificates.SERVER_NAME,
            "TEMPORAL_TLS_CLIENT_CERT_PATH": str(self.certificates / f"{client}.pem"),
            "TEMPORAL_TLS_CLIENT_KEY_PATH": str(self.certificates / f"{client}.key"),
            **({"TEMPORAL_API_KEY": token} if token else {}),
        }

    async def client(self, *permissions: str, **options: Any) -> Client:
        """Connect, with a token if there are permissions."""
        folder = self.certificates
        return await Client.connect(
            self.address,
            **{
                "namespace": NAMESPACE,
                "api_key": self.token(*permissions) if permissions else None,
                "data_converter": pydantic_data_converter,
                "tls": TLSConfig(
                    server_root_ca_cert=(folder / "ca.pem").read_bytes(),
                    domain=certificates.SERVER_NAME,
                    client_cert=(folder / "operator.pem").read_bytes(),
                    client_private_key=(folder / "operator.key").read_bytes(),
                ),
                **options,
            },
        )

    def temporal(self, words: str, *permissions: str) -> subprocess.CompletedProcess[str]:
        """Run `temporal` with these words, and with a token if there are permissions."""
        environ = {"PATH": os.environ["PATH"], **self.environ(self.token(*permissions) if permissions else "")}
        command = [binary("temporal"), *words.split()]
        return subprocess.run(command, env=environ, capture_output=True, text=True, check=False, timeout=60)

    async def make_namespace(self, name: str) -> None:
        """Make a namespace, and wait until all parts of the server know it."""
        client = await self.client(f"{name}:admin", "temporal-system:read", namespace=name)
        request = RegisterNamespaceRequest(namespace=name)
        request.workflow_execution_retention_period.FromTimedelta(timedelta(days=1))
        await client.workflow_service.register_namespace(request)

        async def known() -> bool:
            try:
                return [_ async for _ in await client.list_schedules()] == []
            except RPCError:
                return False

        await eventually_async(known)
