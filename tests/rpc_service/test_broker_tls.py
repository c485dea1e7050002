"""A broker that speaks TLS: calls come in, and answers go out, on one connection."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from backup_scheduler.contract.methods import ADD, GET, PAUSE, REMOVE
from lab.cluster import certificates
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
    }
    (state / "rabbitmq").mkdir()
    lines = [f"{name} = {value}\n" for name, value in settings.items()]
    (state / "rabbitmq/rabbitmq.conf").write_text("".join(lines))
    with Servers(state) as running:
        yield running


@pytest.fixture
def trusted(keys: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(keys / "ca.pem"))


@pytest.mark.usefixtures("trusted")
def test_calls_are_answered_over_tls(servers: Servers, port: int, scheduler_id: str) -> None:
    uri = f"amqps://guest:guest@localhost:{port}/"
    with RpcProcess(servers, amqp_uri=uri) as rpc, calling(uri) as call:
        eventually(lambda: listens(call))
        for method, arguments in ((ADD, TERMS), (GET, ()), (PAUSE, ()), (REMOVE, ())):
            assert job(call(method, scheduler_id, *arguments))["job_id"] == scheduler_id
        assert rpc.leave() == 0
    assert "dropped" not in rpc.said


@pytest.mark.usefixtures("trusted")
def test_it_connects_anew_over_tls(servers: Servers, port: int) -> None:
    uri = f"amqps://guest:guest@localhost:{port}/"
    with RpcProcess(servers, amqp_uri=uri) as rpc:
        serving(servers, 1)
        servers.rabbitmq.kill()
        servers.rabbitmq.start_again()
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
