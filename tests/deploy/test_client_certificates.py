"""Client certificates for Temporal that are wrong, that expire, and that are renewed while the processes run."""

import json
import time
import uuid
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import pytest_asyncio
import trustme

from backup_scheduler.contract.methods import GET
from backup_scheduler.temporal.client import connect, reason
from lab.cluster import certificates
from lab.parts.waiting import eventually, eventually_async
from tests.support.calls import Caller, calling
from tests.support.passes import a_pass
from tests.support.rpc_processes import RpcProcess, serving
from tests.support.servers import Servers
from tests.support.temporal_nodes import NAMESPACE, TemporalNode
from tests.support.workers import line_with, worker_process

pytestmark = [pytest.mark.cluster, pytest.mark.programs]

EXPIRED = "the client certificate (TEMPORAL_TLS_CLIENT_CERT_PATH) has expired"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def node(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[TemporalNode]:
    with TemporalNode(tmp_path_factory.mktemp("node")) as running:
        await running.make_namespace(NAMESPACE)
        yield running


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Servers]:
    with Servers(tmp_path) as servers:
        yield servers


def issue(node: TemporalNode, name: str, *, seconds: float = 3600, ca: trustme.CA | None = None) -> None:
    """Write NAME.pem and NAME.key anew, good for so many seconds from now on."""
    now = datetime.now(UTC)
    made = (ca or certificates.authority(node.certificates)).issue_cert(
        f"{name}.cluster.test", not_before=now - timedelta(days=1), not_after=now + timedelta(seconds=seconds)
    )
    for suffix, content in (
        ("pem", b"".join(each.bytes() for each in made.cert_chain_pems)),
        ("key", made.private_key_pem.bytes()),
    ):
        new = node.certificates / f"{name}.{suffix}.new"
        new.write_bytes(content)
        new.replace(node.certificates / f"{name}.{suffix}")


def variables(node: TemporalNode, client: str, **changes: str) -> dict[str, str]:
    return node.environ(client=client) | {"SCHEDULER_TASK_QUEUE": uuid.uuid4().hex, **changes}


async def test_what_is_wrong_with_a_certificate_is_a_sentence(
    node: TemporalNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = trustme.CA()
    other.cert_pem.write_to_path(node.certificates / "other-ca.pem")
    issue(node, "foreign", ca=other)
    issue(node, "expired", seconds=-60)
    wrong = {
        "does not know the CA of the client certificate": node.environ(client="foreign"),
        EXPIRED: node.environ(client="expired"),
        "wants a client certificate": {"TEMPORAL_TLS_CLIENT_CERT_PATH": "", "TEMPORAL_TLS_CLIENT_KEY_PATH": ""},
        "is not that of the certificate": {"TEMPORAL_TLS_CLIENT_KEY_PATH": str(node.certificates / "rpc.key")},
        "does not have the name in TEMPORAL_TLS_SERVER_NAME": {"TEMPORAL_TLS_SERVER_NAME": "another.test"},
        "the CA of Temporal's server is not known": {
            "TEMPORAL_TLS_SERVER_CA_CERT_PATH": str(node.certificates / "other-ca.pem")
        },
    }
    for sentence, changes in wrong.items():
        for name, value in (node.environ(client="worker") | changes).items():
            monkeypatch.setenv(name, value)

        async def said() -> bool:  # the server may close the connection before its alert is read
            with pytest.raises(RuntimeError) as caught:
                await connect()
            return sentence in reason(caught.value)  # noqa: B023  # called before the next one

        await eventually_async(said)


async def test_a_worker_says_what_is_wrong_with_its_certificate_and_goes_on_with_a_renewed_one(
    node: TemporalNode,
) -> None:
    issue(node, "running", ca=trustme.CA())
    async with worker_process(**variables(node, "running")) as process:
        said = json.loads(await line_with(process, "does not know the CA of the client certificate"))
        assert (said["event"], said["level"]) == ("Temporal cannot be reached, trying again", "warning")
        (node.certificates / "running.pem").rename(node.certificates / "away.pem")
        await line_with(process, "settings cannot be read, trying again")
        issue(node, "running")
        await line_with(process, '"worker ready"')
        issue(node, "running", seconds=8)
        await line_with(process, "renewed settings of Temporal are in use")
        assert json.loads(await line_with(process, EXPIRED))["event"] == "Temporal cannot be reached"
        issue(node, "running")
        await line_with(process, "renewed settings of Temporal are in use")
        assert (await a_pass(await node.client()))["failures"] == {}


def test_calls_are_answered_with_503_while_the_certificate_is_wrong_and_well_once_it_is_renewed(
    node: TemporalNode, broker: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables(node, "service").items():
        monkeypatch.setenv(name, value)
    issue(node, "service", seconds=-60)
    codes: list[int] = []

    def answered(call: Caller, code: int) -> None:
        def asked() -> bool:
            began = time.monotonic()
            codes.append(call(GET, "nobody")["code"])
            assert time.monotonic() - began < 6
            time.sleep(0.3)
            return codes[-1] == code

        eventually(asked)

    with RpcProcess(broker, temporal_address=node.address) as rpc:
        serving(broker, 1)
        with calling(broker.amqp_uri) as call:
            answered(call, 503)
            eventually(lambda: EXPIRED in rpc.said)
            issue(node, "service")
            answered(call, 404)
            issue(node, "service", seconds=8)  # taken while the one before is good
            answered(call, 503)
            issue(node, "service")
            answered(call, 404)
        assert rpc.leave() == 0
    assert set(codes) == {404, 503}
    answers = [json.loads(line) for line in rpc.said.splitlines() if '"call answered"' in line]
    assert all(answer["cause"] for answer in answers if answer["code"] == 503)
