"""One running stack for the whole session, and what tests use to talk to its parts."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, TypeVar
from urllib.parse import parse_qs

import psutil
import pytest
import pytest_asyncio
from nameko.exceptions import UnknownService
from nameko.standalone.rpc import ClusterRpcProxy
from temporalio.client import Client, ScheduleHandle
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.testing import WorkflowEnvironment
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from backup_scheduler.jobs import names
from devstack.running import StackInfo, running_stack
from tests.support.worker_parts import Restic, Target, backup_service, binary

ROOT = Path(__file__).parent.parent
FAULTS = "tests/faults/"
ZONE = "Europe/Berlin"

T = TypeVar("T")
Reply = dict[str, Any]
Caller = Callable[..., Reply]


class InFewProcesses(LoadScopeScheduling):  # type: ignore[misc]  # xdist has no type information
    """Keeps the tests of a file together in one process of `pytest -n 3`, and all of tests/faults.

    Those share servers, and what they kill and how much they ask for is enough for one process.
    """

    def _split_scope(self, nodeid: str) -> str:
        path = nodeid.partition("::")[0]
        return FAULTS if path.startswith(FAULTS) else path


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> InFewProcesses:
    config.option.loadscopereorder = False
    return InFewProcesses(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    # They take half of the time, so they come first.
    items.sort(key=lambda item: not item.nodeid.startswith(FAULTS))


class BackupEndpoint:
    """A backup service that takes every POST and remembers it."""

    def __init__(self) -> None:
        self.forms: list[dict[str, list[str]]] = []
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:  # the base class's name
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                endpoint.forms.append(parse_qs(body))
                answer = json.dumps({"accepted": True}).encode()
                self.send_response(202)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/backup"

    def __enter__(self) -> "BackupEndpoint":
        Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture(scope="session", autouse=True)
def _interruptible() -> None:
    # A shell that starts the tests in the background ignores SIGINT for them, and so for what they start.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def backup_endpoint() -> Iterator[BackupEndpoint]:
    with BackupEndpoint() as endpoint:
        yield endpoint


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory, backup_endpoint: BackupEndpoint) -> Iterator[StackInfo]:
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("SCHEDULER_", "AMQP_"))}
    environ |= {
        "SCHEDULER_TIMEZONE": ZONE,
        "SCHEDULER_BACKUP_URL": backup_endpoint.url,
        "SCHEDULER_LOG_FORMAT": "json",
    }
    with running_stack(tmp_path_factory.mktemp("stack"), environ) as info:
        yield info


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def temporal(stack: StackInfo) -> Client:
    return await Client.connect(stack.temporal_address, data_converter=pydantic_data_converter)


@contextmanager
def calling(amqp_uri: str) -> Iterator[Caller]:
    """Call methods of the service `scheduler` as any nameko client does."""
    with ClusterRpcProxy({"AMQP_URI": amqp_uri}, timeout=60) as cluster:
        yield lambda method, *args, **kwargs: getattr(cluster.scheduler, method)(*args, **kwargs)


@pytest.fixture(scope="session")
def call(stack: StackInfo) -> Iterator[Caller]:
    with calling(stack.amqp_uri) as caller:
        yield caller


@pytest.fixture
def scheduler_id(request: pytest.FixtureRequest) -> str:
    return f"{request.node.name[:100]}-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def schedule(temporal: Client, scheduler_id: str) -> ScheduleHandle:
    return temporal.get_schedule_handle(scheduler_id)


@pytest.fixture(scope="session")
async def temporal_server() -> AsyncIterator[WorkflowEnvironment]:
    async with await WorkflowEnvironment.start_local(
        dev_server_existing_path=binary("temporal"),
        data_converter=pydantic_data_converter,
        search_attributes=list(names.SEARCH_ATTRIBUTES),
    ) as environment:
        yield environment


@pytest.fixture
def new_restic(tmp_path: Path) -> Restic:
    return Restic(tmp_path)


@pytest.fixture(scope="session")
async def made_repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    restic = Restic(tmp_path_factory.mktemp("template"))
    await restic("init")
    return restic.repository


@pytest.fixture
def restic(new_restic: Restic, made_repository: Path) -> Restic:
    """An empty repository; a copy, because restic takes seconds on purpose to make one."""
    shutil.copytree(made_repository, new_restic.repository)
    return new_restic


@pytest.fixture
async def target() -> AsyncIterator[Target]:
    async with backup_service() as target:
        yield target


@pytest.fixture
def private_broker(stack: StackInfo) -> Iterator[str]:
    """The AMQP URI of a virtual host in which no service runs yet."""
    vhost = uuid.uuid4().hex
    environ = psutil.Process(stack.pids["rabbitmq"]).environ()

    def rabbitmqctl(*args: str) -> None:
        subprocess.run(["rabbitmqctl", "-q", *args], env=environ, check=True, capture_output=True, timeout=60)

    rabbitmqctl("add_vhost", vhost)
    rabbitmqctl("set_permissions", "-p", vhost, "guest", ".*", ".*", ".*")
    yield stack.amqp_uri.rstrip("/") + f"/{vhost}"
    rabbitmqctl("delete_vhost", vhost)


def listens(call: Caller) -> bool:
    try:
        call("get_job")
    except UnknownService:
        return False
    return True


def heeds_sigterm(pid: int) -> bool:
    """Tell whether a process has a handler for SIGTERM; before, the signal just ends it."""
    status = Path(f"/proc/{pid}/status").read_text()
    [caught] = [int(line.split()[1], 16) for line in status.splitlines() if line.startswith("SigCgt:")]
    return bool(caught & 1 << signal.SIGTERM - 1)


@contextmanager
def rpc_process(amqp_uri: str, temporal_address: str, *command: str) -> Iterator[subprocess.Popen[str]]:
    """Run an RPC service process of its own from its first reply on; ended hard if it still runs then."""
    process = subprocess.Popen(
        command or [sys.executable, "-m", "rpc_service"],
        cwd=ROOT,
        env={
            **os.environ,
            "AMQP_URI": amqp_uri,
            "TEMPORAL_ADDRESS": temporal_address,
            "SCHEDULER_TIMEZONE": ZONE,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        with calling(amqp_uri) as call:
            eventually(lambda: listens(call))
        eventually(lambda: heeds_sigterm(process.pid))
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def eventually(ask: Callable[[], T], patience: float = 60) -> T:
    """Ask until the answer is true; returns it."""
    deadline = time.monotonic() + patience
    while not (answer := ask()):
        assert time.monotonic() < deadline, f"still not true after {patience} s"
        time.sleep(0.05)
    return answer
