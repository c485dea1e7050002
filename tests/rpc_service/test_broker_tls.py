"""A broker that speaks TLS and asks for certificates: calls come in, and answers go out, on one connection."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from backup_scheduler.contract.methods import ADD, GET, PAUSE, REMOVE
from lab.cluster import certificates
from lab.parts.places import ROOT
from lab.parts.waiting import eventually
from tests.support.calls import TERMS, calling, job, listens
from tests.support.ports import unused_port
from tests.support.rpc_processes import RpcProcess, serving
from tests.support.servers import Servers

pytestmark = pytest.mark.programs


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("keys")
    certificates.make(folder, {"rabbitmq": ["localhost"]})
    both = folder / "rpc-both.pem"
    both.write_bytes((folder / "rpc.pem").read_bytes() + (folder / "rpc.key").read_bytes())
    return folder


@pytest.fixture(scope="module")
def port() -> int:
    return unused_port()


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory, keys: Path, port: int) -> Iterator[Servers]:
    state = tmp_path_factory.mktemp("state")
    settings = {
        "listeners.ssl.default": f"127.0.0.1:{port}",
        "ssl_options.cacertfile": keys / "ca.pem",
        "ssl_options.certfile": keys / "rabbitmq.pem",
        "ssl_options.keyfile": keys / "rabbitmq.key",
        "ssl_options.verify": "verify_peer",
        "ssl_options.fail_if_no_peer_cert": "true",
    }
    (state / "rabbitmq").mkdir()
    lines = [f"{name} = {value}\n" for name, value in settings.items()]
    (state / "rabbitmq/rabbitmq.conf").write_text("".join(lines))
    with Servers(state) as running:
        yield running


@pytest.fixture
def trusted(keys: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(keys / "ca.pem"))
    monkeypatch.setenv("SCHEDULER_AMQP_CERTIFICATE", str(keys / "rpc-both.pem"))


def backupctl(uri: str) -> str:
    """Return the fault that a command names which asks for a job that is not there."""
    command = [str(Path(sys.executable).with_name("backupctl")), "get", "nobody"]
    ended = subprocess.run(
        command, cwd=ROOT, env={**os.environ, "AMQP_URI": uri}, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 1, ended
    return ended.stderr


@pytest.mark.usefixtures("trusted")
def test_calls_are_answered_over_tls(servers: Servers, keys: Path, port: int, scheduler_id: str) -> None:
    uri = f"amqps://guest:guest@localhost:{port}/"
    own = {"certfile": str(keys / "operator.pem"), "keyfile": str(keys / "operator.key")}
    with RpcProcess(servers, amqp_uri=uri) as rpc, calling(uri, AMQP_SSL=own) as call:
        eventually(lambda: listens(call))
        for method, arguments in ((ADD, TERMS), (GET, ()), (PAUSE, ()), (REMOVE, ())):
            assert job(call(method, scheduler_id, *arguments))["job_id"] == scheduler_id
        health = [sys.executable, "-m", "devstack", "health", "rpc"]
        checked = subprocess.run(
            health, cwd=ROOT, env={**os.environ, "AMQP_URI": uri}, capture_output=True, check=False
        )
        assert checked.returncode == 0, checked.stderr
        assert "no job has the scheduler_id" in backupctl(f"amqp://127.0.0.1:{unused_port()}/;{uri}")
        assert "certificate is not valid for '127.0.0.1'" in backupctl(uri.replace("localhost", "127.0.0.1"))
        assert rpc.leave() == 0
    assert "dropped" not in rpc.said


@pytest.mark.usefixtures("trusted")
def test_a_service_without_a_certificate_says_that_the_broker_asks_for_one(
    servers: Servers, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SCHEDULER_AMQP_CERTIFICATE")
    with RpcProcess(servers, amqp_uri=f"amqps://guest:guest@localhost:{port}/") as rpc:
        eventually(lambda: "certificate required" in rpc.said.lower().replace("_", " "))
        assert rpc.leave() == 0


@pytest.mark.usefixtures("trusted")
def test_it_connects_anew_over_tls(servers: Servers, port: int) -> None:
    uri = f"amqps://guest:guest@localhost:{port}/"
    with RpcProcess(servers, amqp_uri=uri) as rpc:
        serving(servers, 1)
        servers.rabbitmq.kill()
        servers.rabbitmq.start_again()
        serving(servers, 1)
        assert rpc.leave() == 0


@pytest.mark.usefixtures("trusted")
def test_it_connects_once_its_certificate_can_be_read_again(
    servers: Servers, keys: Path, port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = tmp_path / "own.pem"
    own.write_bytes((keys / "rpc-both.pem").read_bytes())
    monkeypatch.setenv("SCHEDULER_AMQP_CERTIFICATE", str(own))
    with RpcProcess(servers, amqp_uri=f"amqps://guest:guest@localhost:{port}/") as rpc:
        serving(servers, 1)
        servers.rabbitmq.kill()
        aside = own.rename(tmp_path / "aside.pem")
        servers.rabbitmq.start_again()
        eventually(lambda: f"{str(own)!r} must be a PEM file with a certificate and its key" in rpc.said)
        aside.rename(own)
        serving(servers, 1)
        assert rpc.leave() == 0


@pytest.mark.parametrize(
    ("host", "ca", "fault"),
    [
        ("127.0.0.1", "ca.pem", "certificate is not valid for '127.0.0.1'"),
        ("localhost", "rabbitmq.pem", "verify failed"),
    ],
    ids=["another host's", "of a CA that is not known"],
)
def test_a_broker_with_a_wrong_certificate_gets_no_password(
    servers: Servers, keys: Path, port: int, host: str, ca: str, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(keys / ca))
    with RpcProcess(servers, amqp_uri=f"amqps://guest:guest@{host}:{port}/") as rpc:
        eventually(lambda: fault in rpc.said)
        assert servers.consumers() == 0
        assert rpc.leave() == 0
