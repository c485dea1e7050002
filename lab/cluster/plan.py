"""Gives the parts of cluster.yml their places on this machine."""

import os
import secrets
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from devstack import compose
from devstack.errors import StackError
from devstack.log import LogStream
from devstack.machine import HOST, service_environ
from devstack.plan import Plan
from devstack.ports import Ports
from devstack.running import Addresses
from lab.cluster import certificates, network
from lab.parts.go_tools import programs
from lab.parts.places import ROOT

FILE: Final = Path(__file__).with_name("cluster.yml")
TOOLS: Final = Path(__file__).with_name("tools")
TOKENS: Final = str(ROOT / "deploy/temporal/tokens.sh")

SERVICES_WITH_RIGHTS: Final = "frontend,internal-frontend,history,matching,worker"
"""Services of a Temporal node with rights: its own workers have no token, so they need a frontend of their own."""

SERVER: Final = "temporal-server"
"""Folder of the usual pin of Temporal's server."""

POSTGRESQL: Final = Path("/usr/lib/postgresql/15/bin")
_HAPROXY: Final = "/usr/sbin"
"""Its folder, which only root has in PATH."""
_LAST_NETWORK: Final = 20

HOSTS: Final = {
    "BALANCER": (10, 7233),
    "NODE1": (11, 7233),
    "NODE2": (12, 7233),
    "NODE3": (13, 7233),
    "BROKER1": (21, 5671),
    "BROKER2": (22, 5671),
    "BROKER3": (23, 5671),
    "POSTGRESQL": (31, 5432),
}
"""The last number of each part's address, and its port."""

NODES: Final = {"temporal-1": "NODE1", "temporal-2": "NODE2", "temporal-3": "NODE3"}
"""Services that have a machine of their own in a network of machines, with the names of their addresses."""


def plan(environ: Mapping[str, str], state_dir: Path, ports: Ports, log: LogStream) -> Plan:
    """Return the cluster, with its certificates, an empty database and its programs made where they are missing.

    Its addresses are 127.0.0.10 and above; where another cluster has those, 127.0.1.10 and above, and so on. In a
    network of machines they are those of the network.

    CLUSTER_SERVER names another pin of Temporal's server, CLUSTER_RELEASE a folder with another release of this
    project.
    """
    state_dir.chmod(0o700)
    has_machines = network.entered(environ)
    first_numbers = network.NETWORK if has_machines else _free_network(ports)
    hosts = {name: f"{first_numbers}.{number}" for name, (number, _) in HOSTS.items()}
    folder = state_dir / "certificates"
    certificates.make(
        folder,
        {
            "node": [hosts["NODE1"], hosts["NODE2"], hosts["NODE3"], hosts["BALANCER"]],
            "rabbitmq": [hosts["BROKER1"], hosts["BROKER2"], hosts["BROKER3"], HOST],  # a relay may be before it
            "postgresql": [hosts["POSTGRESQL"]],
        },
    )
    password = _password(state_dir)
    as_other_user = _as_other_user()
    _make_database(state_dir / "postgresql", folder, password, as_other_user)
    _configure_rabbitmq(state_dir / "rabbitmq", folder, hosts)
    nodes = [f"amqps://guest:guest@{hosts[f'BROKER{number}']}:5671/" for number in (1, 2, 3)]
    variables = {
        **environ,
        **hosts,
        **{f"BROKER{number}_TUPLE": _tuple(hosts[f"BROKER{number}"]) for number in (1, 2, 3)},
        # A node refuses a port that any program listens on, at whatever address.
        **{f"BROKER{number}_DIST_PORT": str(ports.claim_from(25672)) for number in (1, 2, 3)},
        "PROJECT": str(ROOT),
        "STATE": str(state_dir),
        "CERTIFICATES": str(folder),
        "SERVER_NAME": certificates.SERVER_NAME,
        "POSTGRESQL_PASSWORD": password,
        "AS_OTHER_USER": shlex.join(as_other_user),
        "ERL_EPMD_PORT": str(ports.claim_from(24369)),
        "AMQP_URI": ";".join(nodes),
    }
    tokens = _make_tokens(state_dir / "tokens") if environ.get("CLUSTER_RIGHTS") else {}
    variables |= tokens
    if policies := environ.get("SCHEDULER_POLICIES"):
        variables["SCHEDULER_POLICIES"] = str(Path(policies).absolute())
    tools = _linked(build(environ.get("CLUSTER_SERVER", SERVER)), state_dir / "bin")
    inherited = service_environ(environ, state_dir, log)
    addresses = Addresses(
        amqp_uri=variables["AMQP_URI"],
        amqp_ca=str(folder / "ca.pem"),
        temporal_address=f"{hosts['BALANCER']}:7233",
        temporal_namespace="default",
        temporal_tls_ca=str(folder / "ca.pem"),
        temporal_tls_cert=str(folder / "operator.pem"),
        temporal_tls_key=str(folder / "operator.key"),
        temporal_tls_server_name=certificates.SERVER_NAME,
        temporal_api_key=tokens.get("OPERATOR_TOKEN"),
        tctl=str(tools / "tctl"),
        web_ui=f"http://{hosts['BALANCER']}:8080",
    )
    specs = compose.read(variables, FILE)
    if has_machines:
        specs = [_on_its_machine(spec) for spec in specs]
    return Plan(
        specs=specs,
        environ={**inherited, "PATH": os.pathsep.join([str(tools), str(POSTGRESQL), inherited["PATH"], _HAPROXY])},
        addresses=addresses,
        notes=_notes(addresses, state_dir),
        directory=Path(environ.get("CLUSTER_RELEASE", ROOT)),
    )


def _on_its_machine(spec: compose.ServiceSpec) -> compose.ServiceSpec:
    if spec.name not in NODES:
        return spec
    return spec.model_copy(update={"command": [*network.inside(spec.name), *spec.command]})


def _notes(addresses: Addresses, state_dir: Path) -> list[str]:
    """Return the addresses, and a line for each command line tool; the file for them is written."""
    settings = state_dir / "environment"
    lines = {**addresses.environ(), **addresses.tctl_environ()}
    settings.write_text("".join(f"export {name}={shlex.quote(value)}\n" for name, value in lines.items()))
    settings.chmod(0o600)
    return [
        f"Web UI {addresses.web_ui} · Temporal {addresses.temporal_address} · AMQP {addresses.amqp_uri}",
        f"temporal: . {settings}; .venv/bin/temporal schedule list",
        f"tctl:     . {settings}; {addresses.tctl} schedule list",
    ]


def _free_network(ports: Ports) -> str:
    """Return the first three numbers of addresses that nothing listens on."""
    for number in range(_LAST_NETWORK):
        first = f"127.0.{number}"
        if ports.claim_addresses(first, [(f"{first}.{last}", port) for last, port in HOSTS.values()]):
            return first
    raise StackError(f"All addresses from 127.0.0.10 to 127.0.{_LAST_NETWORK - 1}.31 are taken by other clusters.")


def _tuple(host: str) -> str:
    """Return an address as Erlang writes it."""
    return "{" + host.replace(".", ",") + "}"


def _as_other_user() -> list[str]:
    """Return a command that PostgreSQL is started by: it refuses to run as root.

    For root it makes a user namespace, in which root is an ordinary user to itself: its files stay root's own.
    """
    return ["unshare", "--user", "--map-user=1000", "--map-group=1000", "--"] if os.geteuid() == 0 else []


def _password(state_dir: Path) -> str:
    file = state_dir / "postgresql-password"
    if not file.exists():
        file.touch(mode=0o600)
        file.write_text(secrets.token_urlsafe(24))
    return file.read_text()


def _make_database(folder: Path, certificates: Path, password: str, as_other_user: list[str]) -> None:
    data = folder / "data"
    if not (data / "postgresql.conf").exists():
        shutil.rmtree(data, ignore_errors=True)
        folder.mkdir(exist_ok=True)
        with tempfile.NamedTemporaryFile("w") as file:
            file.write(password)
            file.flush()
            command = [*as_other_user, str(POSTGRESQL / "initdb"), "-D", str(data), "-U", "temporal"]
            options = ["--auth=scram-sha-256", f"--pwfile={file.name}", "--encoding=UTF8", "--locale=C.UTF-8"]
            try:
                subprocess.run([*command, *options], check=True, capture_output=True, text=True)
            except (OSError, subprocess.CalledProcessError) as error:
                said = getattr(error, "stderr", "") or ""
                raise StackError(f"PostgreSQL's initdb failed: {error}. {said}".rstrip()) from None
        (data / "pg_hba.conf").write_text(
            "hostssl all all all scram-sha-256\nhostssl replication all all scram-sha-256\n"
        )
    for name in ("ca.pem", "postgresql.pem", "postgresql.key"):
        shutil.copyfile(certificates / name, data / name)
        (data / name).chmod(0o600)


def _configure_rabbitmq(folder: Path, certificates: Path, hosts: Mapping[str, str]) -> None:
    """Write for each node what differs from deploy/rabbitmq/rabbitmq.conf: places of certificates, and addresses."""
    nodes = {number: hosts[f"BROKER{number}"] for number in (1, 2, 3)}
    cookie = secrets.token_urlsafe(24)
    for number, host in nodes.items():
        home = folder / str(number)
        (home / "conf.d").mkdir(parents=True, exist_ok=True)
        lines = [
            f"listeners.ssl.default = {host}:5671",
            f"ssl_options.cacertfile = {certificates}/ca.pem",
            f"ssl_options.certfile = {certificates}/rabbitmq.pem",
            f"ssl_options.keyfile = {certificates}/rabbitmq.key",
            "loopback_users = none",  # their addresses are no loopback addresses to RabbitMQ
            "cluster_formation.peer_discovery_backend = classic_config",
            *(f"cluster_formation.classic_config.nodes.{each} = rabbit{each}@{nodes[each]}" for each in nodes),
        ]
        (home / "conf.d/50-cluster.conf").write_text("\n".join(lines) + "\n")
        secret = home / ".erlang.cookie"
        secret.unlink(missing_ok=True)
        secret.touch(mode=0o600)
        secret.write_text(cookie)


def _make_tokens(folder: Path) -> dict[str, str]:
    """Make a key, if there is none, and a token for each client; return the variables of cluster.yml for rights."""
    folder.mkdir(exist_ok=True)
    key, keys = folder / "jwt.key", folder / "keys.json"
    if not key.exists():
        subprocess.run(["openssl", "genrsa", "-out", key, "3072"], check=True, capture_output=True)
    keys.write_text(subprocess.check_output([TOKENS, "keys", key], text=True))

    def token(name: str, *permissions: str) -> str:
        return subprocess.check_output([TOKENS, "token", key, name, "365", *permissions], text=True).strip()

    return {
        "TEMPORAL_JWT_KEYS": f"file://{keys}",
        "TEMPORAL_SERVICES": SERVICES_WITH_RIGHTS,
        "OPERATOR_TOKEN": token("operator", "default:admin", "temporal-system:admin"),
        "RPC_TOKEN": token("rpc", "default:write"),
        "WORKER_TOKEN": token("worker", "default:write"),
    }


def build(server: str = SERVER) -> dict[str, Path]:
    """Return the programs of the cluster by the names that they have in packages; build what is missing."""
    return {
        "temporal-server": programs(TOOLS / server) / "server",
        "temporal-sql-tool": programs(TOOLS / SERVER) / "sql",
        "temporal-ui": programs(TOOLS / "temporal-ui") / "server",
        "tctl": programs(TOOLS / "tctl") / "tctl",
    }


def _linked(found: Mapping[str, Path], folder: Path) -> Path:
    """Return a folder with these programs under these names."""
    folder.mkdir(exist_ok=True)
    for name, program in found.items():
        link = folder / name
        link.unlink(missing_ok=True)
        link.symlink_to(program)
    return folder
