"""The users of docs/operations.md on a broker: the least that the service and its callers need."""

import json
import re
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import psutil
import pytest
from amqp.exceptions import AccessRefused
from kombu import Connection, Exchange, Queue
from nameko.exceptions import RpcTimeout, UnknownService
from nameko.standalone.rpc import ClusterRpcProxy

from backup_scheduler.contract.methods import ADD, GET, GET_ALL, REMOVE
from lab.parts.waiting import eventually
from tests.support.calls import TERMS, calling, job
from tests.support.pages import blocks
from tests.support.rpc_processes import RpcProcess
from tests.support.servers import Servers

pytestmark = pytest.mark.programs

EXCHANGE = Exchange("nameko-rpc", type="topic", durable=True)
[COMMANDS] = [block for language, block in blocks("docs/operations.md") if language == "bash" and "add_vhost" in block]
[SERVICE] = re.findall(r"^service='(.*)'$", COMMANDS, re.MULTILINE)


@dataclass
class Users:
    """A virtual host with the two users of the page."""

    servers: Servers
    host: str
    service: str
    caller: str

    def ctl(self, *words: str) -> None:
        environ = psutil.Process(self.servers.rabbitmq.process.pid).environ()
        subprocess.run(["rabbitmqctl", "-q", *words], env=environ, check=True, capture_output=True, timeout=60)

    def allow(self, configure: str = SERVICE, write: str = "^(nameko-rpc|rpc-scheduler)$", read: str = SERVICE) -> None:
        self.ctl("set_permissions", "-p", self.host, "backup-rpc", configure, write, read)


@pytest.fixture(scope="module")
def users(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Users]:
    folder = tmp_path_factory.mktemp("broker")
    for name in ("rpc.password", "caller.password"):
        (folder / name).write_text("password1\n")
    with Servers(folder) as servers:
        environ = psutil.Process(servers.rabbitmq.process.pid).environ()
        subprocess.run(["bash", "-e", "-c", COMMANDS], cwd=folder, env=environ, check=True, capture_output=True)
        address = servers.amqp_uri.rpartition("@")[2].rstrip("/")
        uris = (f"amqp://{name}:password1@{address}/backups" for name in ("backup-rpc", "backup-caller"))
        yield Users(servers, "backups", *uris)


@pytest.fixture
def service(users: Users) -> Iterator[RpcProcess]:
    with RpcProcess(users.servers, amqp_uri=users.service) as running:
        eventually(lambda: "Connected to" in running.said)
        yield running


def test_calls_need_no_more_permissions_than_the_page_gives(
    users: Users, service: RpcProcess, scheduler_id: str
) -> None:
    with calling(users.caller) as call:
        for method, arguments in ((ADD, TERMS), (GET, ()), (REMOVE, ())):
            assert job(call(method, scheduler_id, *arguments))["job_id"] == scheduler_id
        assert call(GET_ALL)["code"] == 200
    assert service.leave() == 0
    assert not re.search("refuse|cannot look|Traceback", service.said)


DEEDS: dict[str, Callable[[object], object]] = {
    "consume": lambda channel: Queue("rpc-scheduler")(channel).consume(),
    "delete": lambda channel: Queue("rpc-scheduler")(channel).delete(),
    "purge": lambda channel: Queue("rpc-scheduler")(channel).purge(),
    "pose as a process": lambda channel: Queue("rpc-scheduler.processes")(channel).consume(),
    "make a queue": lambda channel: Queue("mine", EXCHANGE, "scheduler.*")(channel).declare(),
    "listen to a method": lambda channel: reply_queue("scheduler.get_job")(channel).declare(),
    "listen to all": lambda channel: reply_queue("#")(channel).declare(),
}


def reply_queue(routing_key: str) -> Queue:
    return Queue("rpc.reply-mine", EXCHANGE, routing_key, auto_delete=True)


def may(users: Users, deed: Callable[[object], object]) -> bool:
    with Connection(users.caller) as connection:
        try:
            deed(connection.channel())
        except AccessRefused:
            return False
        return True


@pytest.mark.usefixtures("service")
def test_a_caller_may_do_nothing_else(users: Users) -> None:
    assert [name for name, deed in DEEDS.items() if may(users, deed)] == []


@pytest.mark.parametrize(
    ("less", "missing"),
    [
        ({"configure": "^nameko-rpc$"}, "configure of queue 'rpc-scheduler'"),
        ({"write": "^nameko-rpc$"}, "write of queue 'rpc-scheduler'"),
        ({"read": "^nameko-rpc$"}, "read of queue 'rpc-scheduler"),
        ({"write": "^rpc-scheduler$"}, "write of exchange 'nameko-rpc'"),
    ],
    ids=["configure queue", "write queue", "read queue", "write exchange"],
)
def test_a_permission_that_the_service_lacks_is_named_and_may_be_given_later(
    users: Users, less: dict[str, str], missing: str
) -> None:
    users.allow(**less)
    try:
        with RpcProcess(users.servers, amqp_uri=users.service) as service:
            if missing.startswith("write of exchange"):  # it takes calls, and may not answer them
                eventually(lambda: called(users) is RpcTimeout)
            eventually(lambda: missing in service.said)
            users.allow()
            eventually(lambda: called(users) == 404)
            assert service.leave() == 0
        lines = [json.loads(line) for line in service.said.splitlines() if "refuses a permission" in line]
        assert all(line["level"] == "error" for line in lines)
    finally:
        users.allow()


def called(users: Users) -> object:
    """Return the code of a call's reply, or the error that nameko raises."""
    with ClusterRpcProxy({"AMQP_URI": users.caller}, timeout=3) as cluster:
        try:
            return cluster.scheduler.get_job("nobody")["code"]
        except (UnknownService, RpcTimeout) as error:
            return type(error)
