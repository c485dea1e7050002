"""Fixtures of all tests: one running stack for the whole session, and clients of its parts."""

import os
import shutil
import signal
import sys
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import hypothesis
import pytest
import pytest_asyncio
from aiohttp import web
from temporalio.client import Client, ScheduleHandle
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.testing import WorkflowEnvironment
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from backup_scheduler.jobs import names
from devstack.running import StackInfo, running_stack
from lab.parts.backup_service import BackupService, backup_service, backup_service_in_thread
from lab.parts.clients import client_of
from tests.support.brokers import rabbitmqctl
from tests.support.calls import Caller, calling
from tests.support.programs import binary
from tests.support.restic_repository import Restic
from tests.support.rpc_processes import ZONE

FAULTS = "tests/faults/"
_MIDDLE_OF_FAULTS = f"{FAULTS}test_r"
"""Files before it take about as long as those behind it."""

hypothesis.settings.register_profile("any machine", deadline=None)  # a slow machine is no fault
hypothesis.settings.register_profile("check", max_examples=10, deadline=None)

PROGRAMS = frozenset({"stack", "servers", "temporal_server", "made_repository", "new_restic"})
"""Fixtures that start servers or restic; a test that starts a program without them carries the marker `programs`."""


class InFewProcesses(LoadScopeScheduling):  # type: ignore[misc]  # xdist has no type information
    """Keeps the tests of a file together in one process of `pytest -n 4`, and those of tests/faults in two.

    They share servers, which they kill and load enough for a process; in one process they would take as long as all.
    """

    def _split_scope(self, nodeid: str) -> str:
        path = nodeid.partition("::")[0]
        return f"{FAULTS}{path < _MIDDLE_OF_FAULTS}" if path.startswith(FAULTS) else path


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> InFewProcesses:
    config.option.loadscopereorder = False
    return InFewProcesses(config, log)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--cluster", action="store_true", help="on a cluster, not the development server")
    parser.addoption("--tctl", action="store_true", help="also the tests of tctl, on the development server")
    parser.addoption("--screenshots", type=Path, help="folder for pictures of the Web UI that tests/web_ui makes")
    parser.addoption("--no-programs", action="store_true", help="only the tests that start no program: make check")
    parser.addoption("--only-programs", action="store_true", help="only the others: make mutants")


def pytest_configure(config: pytest.Config) -> None:
    hypothesis.settings.load_profile("any machine")
    if config.getoption("--no-programs"):
        hypothesis.settings.load_profile("check")
        sys.addaudithook(refuse_programs)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    # pytest-randomly has shuffled the files, and the tests in each, before this.
    # The tests of faults take half of the time, so they come first.
    items.sort(key=lambda item: not item.nodeid.startswith(FAULTS))
    left_out = {
        item
        for item in items
        if (item.get_closest_marker("cluster") and not config.getoption("--cluster"))
        or (item.get_closest_marker("tctl") and not (config.getoption("--cluster") or config.getoption("--tctl")))
        or (config.getoption("--no-programs") and starts_programs(item))
        or (config.getoption("--only-programs") and not starts_programs(item))
    }
    config.hook.pytest_deselected(items=list(left_out))
    items[:] = [item for item in items if item not in left_out]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    # The header, which `make check` leaves out, says it too; a failure is read from its end.
    seed = config.getoption("randomly_seed", None)
    if seed is not None and (terminalreporter.stats.get("failed") or terminalreporter.stats.get("error")):
        terminalreporter.write_line(f"The tests in this order again: --randomly-seed={seed}")


def starts_programs(item: pytest.Item) -> bool:
    fixtures: set[str] = set(getattr(item, "fixturenames", ()))  # those of its fixtures, too
    return not PROGRAMS.isdisjoint(fixtures) or item.get_closest_marker("programs") is not None


def refuse_programs(event: str, args: tuple[object, ...]) -> None:
    """Find the tests that lack the marker; collecting them may start programs, as libraries do."""
    if event == "subprocess.Popen" and "PYTEST_CURRENT_TEST" in os.environ:
        raise AssertionError(f"this test starts {args[0]!r}: give it @pytest.mark.programs")


@pytest.fixture(scope="session", autouse=True)
def _interruptible() -> None:
    # A shell that starts the tests in the background ignores SIGINT for them, and so for what they start.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def backup_endpoint() -> Iterator[BackupService]:
    """The backup service of the stack: it takes every request."""

    async def accept(_: web.Request) -> web.StreamResponse:
        return web.json_response({"accepted": True}, status=202)

    with backup_service_in_thread(accept) as endpoint:
        yield endpoint


@pytest.fixture(scope="session")
def stack(
    tmp_path_factory: pytest.TempPathFactory, backup_endpoint: BackupService, pytestconfig: pytest.Config
) -> Iterator[StackInfo]:
    """A running stack; with --cluster a cluster, whose TLS this process and those that it starts know by variables."""
    program = "lab.cluster" if pytestconfig.getoption("--cluster") else "devstack"
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("SCHEDULER_", "AMQP_"))}
    environ |= {
        "SCHEDULER_TIMEZONE": ZONE,
        "SCHEDULER_BACKUP_URL": f"{backup_endpoint.url}/backup",
        "SCHEDULER_LOG_FORMAT": "json",
    }
    with (
        running_stack(tmp_path_factory.mktemp("stack"), environ, program=program) as info,
        pytest.MonkeyPatch.context() as patch,
    ):
        for name, value in info.tls_environ().items():
            patch.setenv(name, value)
        yield info


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def temporal(stack: StackInfo) -> Client:
    return await client_of(stack)


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
async def target() -> AsyncIterator[BackupService]:
    async with backup_service() as target:
        yield target


@pytest.fixture
def private_broker(stack: StackInfo) -> Iterator[str]:
    """The AMQP URI of a virtual host in which no service runs yet."""
    vhost = uuid.uuid4().hex
    rabbitmqctl(stack, "add_vhost", vhost)
    rabbitmqctl(stack, "set_permissions", "-p", vhost, "guest", ".*", ".*", ".*")
    yield ";".join(f"{node.rstrip('/')}/{vhost}" for node in stack.amqp_uri.split(";"))
    rabbitmqctl(stack, "delete_vhost", vhost)
