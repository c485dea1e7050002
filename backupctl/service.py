"""Calls of the RPC service, over the broker that is given, set or running here."""

import getpass
import json
import os
import socket
import warnings
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from backup_scheduler.contract.methods import SERVICE
from backup_scheduler.texts import redact

_STACK: Final = Path(".state/stack.json")
"""Written by `make up` and `make cluster` while they run."""

_DEFAULT: Final = "amqp://guest:guest@localhost:5672"

TIMEOUT: Final = 15
LIST_TIMEOUT: Final = 90
"""Seconds that a caller waits (docs/api.md#what-raises)."""


class CallFailed(Exception):
    """A call was answered with `fail`, or not at all; the text is one sentence for people."""

    def __init__(self, sentence: str, code: int | None = None) -> None:
        super().__init__(sentence)
        self.code = code


class Service:
    """The RPC service `scheduler`."""

    def __init__(self, proxy: Any) -> None:
        self._proxy = proxy

    def call(self, method: str, **arguments: Any) -> Any:
        """Call a method and return the description of its reply. Raises CallFailed."""
        from nameko.exceptions import MethodNotFound, RpcTimeout, UnknownService

        try:
            reply = getattr(self._proxy, method)(**arguments)
        except UnknownService:
            raise CallFailed("the broker has no queue of the scheduler: its RPC service has not run there") from None
        except MethodNotFound:
            raise CallFailed(f"the scheduler has no method {method}: its RPC service is of an older release") from None
        except RpcTimeout:
            raise CallFailed(
                "no answer came in time: the call waits at the broker and may be carried out yet; is an RPC service "
                "running?"
            ) from None
        if reply["status"] != "success":
            raise CallFailed(reply["description"], reply["code"])
        return reply["description"]


@contextmanager
def connected(uri: str, timeout: float = TIMEOUT) -> Iterator[Service]:
    """Connect to the broker, of several nodes to the first that answers. Raises CallFailed."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # nameko and eventlet warn about themselves
        from amqp.exceptions import AMQPError
        from nameko.standalone.rpc import ClusterRpcProxy

        with ExitStack() as connection:
            try:
                *others, last = uri.split(";")
                for node in (*others, last):
                    config = {"AMQP_URI": node, "AMQP_SSL": _tls(node)}
                    proxy = ClusterRpcProxy(config, context_data={"caller": _caller()}, timeout=timeout)
                    try:
                        cluster = connection.enter_context(proxy)
                        break
                    except OSError:
                        if node == last:
                            raise
                yield Service(cluster[SERVICE])
            except OSError as error:
                raise CallFailed(f"the broker cannot be reached at {redact(uri)}: {error.strerror or error}") from None
            except AMQPError as error:
                raise CallFailed(f"the broker at {redact(uri)} refuses: {error.message}") from None


def _tls(node: str) -> dict[str, str] | None:
    """Return what nameko needs to check the host name of a broker's certificate, and the client's own certificate."""
    parts = urlsplit(node)
    if parts.scheme != "amqps":
        return None
    own = os.environ.get("SCHEDULER_AMQP_CERTIFICATE")
    return {"server_hostname": parts.hostname or "", **({"certfile": own} if own else {})}


def _caller() -> str:
    """Return who calls; the scheduler keeps it beside each change and each run."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # one that the machine has no name for
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()} (backupctl)"


def broker(given: str | None, environ: Mapping[str, str] = os.environ, folder: Path = Path()) -> str:
    """Return the broker's URI: the one given, that of AMQP_URI, or that of a development stack that runs here."""
    if given or environ.get("AMQP_URI"):
        return given or environ["AMQP_URI"]
    try:
        return str(json.loads((folder / _STACK).read_text())["amqp_uri"])
    except (OSError, ValueError, KeyError):
        return _DEFAULT
