"""Calls of the RPC service, over the broker that is given, set or running here."""

import getpass
import json
import os
import signal
import socket
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from backup_scheduler.contract.methods import CHECK, SERVICE
from backup_scheduler.texts import redact
from backupctl.clock import Clock

_STACK: Final = Path(".state/stack.json")
"""Written by `make up` and `make cluster` while they run."""

_DEFAULT: Final = "amqp://guest:guest@localhost:5672"

TIMEOUT: Final = 15
LIST_TIMEOUT: Final = 90
BULK_TIMEOUT: Final = 1200
"""Seconds that a caller waits for an answer (docs/api.md#what-raises); the last is of changes of 10,000 jobs."""

_CONNECTED_WITHIN: Final = 15
_CONFIRMED_WITHIN: Final = 10
_CLOCK_WITHIN: Final = 2
_CLOSED_WITHIN: Final = 3
"""Seconds for what the broker does itself; a frozen one does nothing at all."""


class CallFailed(Exception):
    """A call was answered with `fail`, or not at all; the text is one sentence for people."""

    def __init__(self, sentence: str, code: int | None = None) -> None:
        super().__init__(sentence)
        self.code = code


class BrokerFailed(CallFailed):
    """The broker itself is at fault, or the way to it."""


class Service:
    """The RPC service `scheduler`."""

    def __init__(self, proxy: Any, timeout: float) -> None:
        self._proxy = proxy
        self._timeout = timeout

    def call(self, method: str, /, **arguments: Any) -> Any:
        """Call a method and return the description of its reply; without arguments that are None. Raises CallFailed."""
        from amqp.exceptions import AMQPError, MessageNacked
        from kombu.exceptions import OperationalError
        from nameko.exceptions import IncorrectSignature, MethodNotFound, RemoteError, RpcTimeout, UnknownService

        given = {name: value for name, value in arguments.items() if value is not None}
        try:
            with _ended_within(self._timeout + _CONFIRMED_WITHIN):
                reply = getattr(self._proxy, method)(**given)
        except UnknownService:
            raise CallFailed("the broker has no queue of the scheduler: its RPC service has not run there") from None
        except (MethodNotFound, IncorrectSignature):
            raise CallFailed(
                f"the scheduler has no method {method} with these arguments: its RPC service is of an older release, "
                "or another service takes calls from its queue"
            ) from None
        except RpcTimeout:
            raise CallFailed(
                "no answer came in time: the call waits at the broker and may be carried out yet; is an RPC service "
                "running?"
            ) from None
        except RemoteError as error:
            raise CallFailed(f"the RPC service failed at the call: {error}") from None
        except MessageNacked:
            raise BrokerFailed("the broker did not take the call, and nothing is carried out: ask its log") from None
        except _NotEndedError:
            raise BrokerFailed("the broker does not answer any more: the call may be carried out yet") from None
        except (OSError, AMQPError, OperationalError) as error:
            raise BrokerFailed(
                f"the connection to the broker was lost: the call may be carried out yet ({redact(str(error))})"
            ) from None
        if reply["status"] != "success":
            raise CallFailed(reply["description"], reply["code"])
        return reply["description"]

    def clock(self) -> Clock | None:
        """Return the scheduler's clock; None if it is not told at once, or nobody waits for it."""
        try:
            with _ended_within(_CLOCK_WITHIN):
                return Clock.of(self.call(CHECK, checks=False))
        except (CallFailed, _NotEndedError, KeyboardInterrupt):
            return None


class _NotEndedError(Exception):
    """Something took too long; no OSError, which nameko and kombu would take for a reason to try again."""


@contextmanager
def _ended_within(seconds: float) -> Iterator[None]:
    """Raise _NotEndedError in what goes on for longer.

    nameko has a limit for the reply alone: it waits for ever for a frozen broker to confirm that it has the message.
    """

    def stop(*_: object) -> None:
        raise _NotEndedError

    began = time.monotonic()
    outer, _ = signal.setitimer(signal.ITIMER_REAL, 0)
    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, min(seconds, outer or seconds))
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        if outer:
            signal.setitimer(signal.ITIMER_REAL, max(outer - (time.monotonic() - began), 0.001))


@contextmanager
def connected(uri: str, timeout: float = TIMEOUT) -> Iterator[Service]:
    """Connect to the broker, of several nodes to the first that answers. Raises BrokerFailed."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # nameko and eventlet warn about themselves
        connection, services = _connection(uri, timeout)
        try:
            yield Service(services[SERVICE], timeout)
        finally:
            with suppress(Exception), _ended_within(_CLOSED_WITHIN):  # all is said and done by now
                connection.stop()


def _connection(uri: str, timeout: float) -> tuple[Any, Any]:
    """Return a connection, which is to be stopped at the end, and the services that can be called over it."""
    from amqp.exceptions import AccessRefused, AMQPError, NotAllowed
    from nameko.standalone.rpc import ClusterRpcProxy

    fault = ""
    for node in uri.split(";"):
        config = {"AMQP_URI": node, "AMQP_SSL": _tls(node)}
        connection = ClusterRpcProxy(config, context_data={"caller": _caller()}, timeout=timeout)
        try:
            with _ended_within(_CONNECTED_WITHIN):
                return connection, connection.start()
        except _NotEndedError:
            fault = f"the broker cannot be reached at {redact(uri)}: it does not answer"
        except OSError as error:
            fault = f"the broker cannot be reached at {redact(uri)}: {error.strerror or error}"
        except AMQPError as error:
            fault = f"the broker at {redact(uri)} refuses: {error.message}"
            if isinstance(error, AccessRefused | NotAllowed):  # so would the other nodes; one that shuts down is alone
                break
    raise BrokerFailed(fault)


def _tls(node: str) -> dict[str, str] | None:
    """Return what nameko needs to check the host name of a broker's certificate, and the client's own certificate."""
    parts = urlsplit(node)
    if parts.scheme != "amqps":
        return None
    own = os.environ.get("SCHEDULER_AMQP_CERTIFICATE")
    if own and not os.access(own, os.R_OK):
        raise BrokerFailed(f"SCHEDULER_AMQP_CERTIFICATE must name a file that can be read, not {own!r}")
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
