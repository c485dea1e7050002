"""Variables and environment for temporal-dev.yml on a bare machine; a container has its defaults."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kombu.connection import Connection
from kombu.exceptions import OperationalError

from devstack import compose, processes
from devstack.errors import StackError
from devstack.log import LogStream
from devstack.plan import Plan
from devstack.ports import Ports
from devstack.running import Addresses

HOST = "127.0.0.1"
_RABBITMQ_BIN = "/usr/lib/rabbitmq/bin"
"""RabbitMQ's own scripts in Debian's package. The wrappers in /usr/sbin change to the system's user and its data."""


def plan(environ: Mapping[str, str], state_dir: Path, ports: Ports, log: LogStream) -> Plan:
    """Return the stack of temporal-dev.yml; without RabbitMQ if the caller's own works."""
    found = variables(environ, state_dir, ports, log)
    own_rabbitmq = found["AMQP_URI"] != environ.get("AMQP_URI")
    addresses = Addresses(
        amqp_uri=found["AMQP_URI"],
        temporal_address=found["TEMPORAL_ADDRESS"],
        temporal_namespace="default",
        web_ui=f"http://localhost:{found['TEMPORAL_UI_PORT']}",
    )
    return Plan(
        specs=[spec for spec in compose.read(found) if own_rabbitmq or spec.name != "rabbitmq"],
        environ=service_environ(environ, state_dir, log),
        addresses=addresses,
        notes=[f"Web UI {addresses.web_ui} · Temporal {addresses.temporal_address} · AMQP {addresses.amqp_uri}"],
    )


def variables(environ: Mapping[str, str], state_dir: Path, ports: Ports, log: LogStream) -> dict[str, str]:
    """Return the variables of the file: the caller's, and this machine's places, addresses and ports."""
    chosen = {
        name: str(_port(name, default, environ, ports, log)) for name, default in compose.port_variables().items()
    }
    rabbitmq = state_dir / "rabbitmq"
    rabbitmq.mkdir(exist_ok=True)
    found = {
        **environ,
        **chosen,
        "LISTEN_ADDRESS": HOST,
        "TEMPORAL_STATE": str(state_dir),
        "TEMPORAL_ADDRESS": f"{HOST}:{chosen['TEMPORAL_PORT']}",
        "RABBITMQ_STATE": str(rabbitmq),
        "RABBITMQ_CONFIG": str(rabbitmq),
        "RABBITMQ_DIST_PORT": str(ports.claim_from(25672)),
        "ERL_EPMD_PORT": str(ports.claim_from(24369)),
    }
    if not answers(environ.get("AMQP_URI"), log):
        found["AMQP_URI"] = f"amqp://guest:guest@{HOST}:{chosen['AMQP_PORT']}/"
    if policies := environ.get("SCHEDULER_POLICIES"):
        found["SCHEDULER_POLICIES"] = str(Path(policies).absolute())  # services run in the project's folder
    return found


def service_environ(environ: Mapping[str, str], state_dir: Path, log: LogStream) -> dict[str, str]:
    """Return the environment that each service inherits: the caller's, without its settings for other servers."""
    inherited = {name: value for name, value in environ.items() if not name.startswith(("TEMPORAL_", "RABBITMQ_"))}
    return {
        **inherited,
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), _RABBITMQ_BIN, environ.get("PATH", os.defpath)]),
        "PYTHONUNBUFFERED": "1",
        processes.MARK: str(state_dir),
        **({} if log.coloured else {"NO_COLOR": "1"}),
    }


def answers(amqp_uri: str | None, log: LogStream) -> bool:
    """Return whether the caller's own RabbitMQ works."""
    if not amqp_uri:
        return False
    connection: Any = Connection(amqp_uri, connect_timeout=3)
    try:
        connection.ensure_connection(max_retries=1, interval_start=0, timeout=3)
    except (OperationalError, OSError, ValueError, KeyError) as error:
        log.say(f"AMQP_URI does not answer ({error}): starting an own RabbitMQ.")
        return False
    finally:
        connection.release()
    log.say(f"Using the RabbitMQ at {connection.as_uri()} (AMQP_URI).")
    return True


def _port(name: str, default: int, environ: Mapping[str, str], ports: Ports, log: LogStream) -> int:
    wanted = environ.get(name)
    if wanted:
        if not wanted.isdecimal() or not 0 < int(wanted) < 65536:
            raise StackError(f"{name} must be a port number, not {wanted!r}.")
        if not ports.claim(int(wanted)):
            raise StackError(f"Port {wanted} ({name}) is taken by another program. Unset {name} to use a free one.")
        return int(wanted)
    port = ports.claim_from(default)
    if port != default:
        log.say(f"Port {default} ({name}) is taken by another program: using {port}.")
    return port
