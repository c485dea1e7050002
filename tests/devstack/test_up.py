"""`devstack up` as a developer meets it: real processes, started, killed and ended."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest
from kombu import Connection

from backup_scheduler.contract.methods import ADD, GET, GET_ALL
from devstack import processes
from devstack.running import StackInfo
from lab.parts.places import ROOT
from lab.parts.waiting import eventually
from tests.support.calls import calling

pytestmark = pytest.mark.programs


class Up:
    """A `devstack up` under way."""

    def __init__(self, state_dir: Path, **environ: str) -> None:
        self.state_dir = state_dir
        self.log = state_dir.with_suffix(".log")
        inherited = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("SCHEDULER_", "AMQP_", "TEMPORAL_"))
        }
        with self.log.open("w") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "devstack", "up"],
                cwd=ROOT,
                env={**inherited, "SCHEDULER_STATE_DIR": str(state_dir), **environ},
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def healthy(self) -> StackInfo:
        """Wait for all services."""

        def look() -> StackInfo | None:
            assert self.process.poll() is None, self.log.read_text()
            return StackInfo.read(self.state_dir)

        return eventually(look, patience=150)

    def end(self, number: signal.Signals) -> int:
        """Send a signal and return the exit code."""
        self.process.send_signal(number)
        return self.process.wait(timeout=60)

    @property
    def left_running(self) -> list[psutil.Process]:
        return processes.of_stack(str(self.state_dir))


def is_temporal(process: psutil.Process) -> bool:
    """Leave out processes that end by themselves, such as health checks."""
    with suppress(psutil.NoSuchProcess):
        return "start-dev" in process.cmdline()
    return False


@contextmanager
def up(state_dir: Path, **environ: str) -> Iterator[Up]:
    stack = Up(state_dir, **environ)
    try:
        yield stack
    finally:
        if stack.process.poll() is None:
            stack.end(signal.SIGTERM)


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Up, Up]]:
    """Two stacks, started in the same moment, that outlive every test."""
    folder = tmp_path_factory.mktemp("stacks")
    with up(folder / "first") as first, up(folder / "second") as second:
        first.healthy(), second.healthy()
        yield first, second


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Up]:
    """A stack that a test may end."""
    with up(tmp_path / "own") as stack:
        stack.healthy()
        yield stack


def test_two_stacks_run_at_once_and_keep_apart(pair: tuple[Up, Up]) -> None:
    one, other = (stack.healthy() for stack in pair)
    assert {one.amqp_uri, one.temporal_address, one.web_ui}.isdisjoint(
        {other.amqp_uri, other.temporal_address, other.web_ui}
    )
    with calling(one.amqp_uri) as call:
        added = call(ADD, "only-here", "documents", 1, "02:01", 1, 3600)
        assert added["code"] == 200
    with calling(other.amqp_uri) as call:
        assert call(GET, "only-here")["code"] == 404


def test_stack_json_names_each_service_with_its_running_process(pair: tuple[Up, Up]) -> None:
    info = pair[0].healthy()
    assert info.pid == pair[0].process.pid
    assert info.temporal_namespace == "default"
    commands = {name: " ".join(psutil.Process(pid).cmdline()) for name, pid in info.pids.items()}
    assert set(commands) == {"temporal", "rabbitmq", "rpc", "worker"}
    assert "start-dev" in commands["temporal"]
    assert "beam" in commands["rabbitmq"]
    assert "rpc_service" in commands["rpc"]
    assert "worker.py" in commands["worker"]


def test_a_stack_listens_on_the_loopback_interface_only(pair: tuple[Up, Up]) -> None:
    listening = {
        connection.laddr.ip
        for process in pair[0].left_running
        for connection in process.net_connections(kind="tcp")
        if connection.status == psutil.CONN_LISTEN
    }
    assert "127.0.0.1" in listening
    assert listening <= {"127.0.0.1", "::1"}


def test_a_second_up_on_the_same_state_folder_is_refused(pair: tuple[Up, Up], tmp_path: Path) -> None:
    refused = subprocess.run(
        [sys.executable, "-m", "devstack", "up"],
        cwd=ROOT,
        env={**os.environ, "SCHEDULER_STATE_DIR": str(pair[0].state_dir)},
        capture_output=True,
        text=True,
    )
    assert refused.returncode == 1
    assert f"already running in {pair[0].state_dir} (process {pair[0].process.pid})" in refused.stdout
    pair[0].healthy()


def test_a_killed_worker_is_started_again(pair: tuple[Up, Up]) -> None:
    before = pair[0].healthy().pids["worker"]
    os.kill(before, signal.SIGKILL)
    eventually(lambda: pair[0].healthy().pids["worker"] != before)
    assert "worker ended by itself (exit code -9): starting it again." in pair[0].log.read_text()


def test_a_killed_server_ends_its_stack_and_no_other(pair: tuple[Up, Up], stack: Up) -> None:
    os.kill(stack.healthy().pids["temporal"], signal.SIGKILL)
    assert stack.process.wait(timeout=60) == 1
    assert "temporal ended by itself (exit code -9)." in stack.log.read_text()
    assert not stack.left_running
    assert StackInfo.read(stack.state_dir) is None
    with calling(pair[0].healthy().amqp_uri) as call:
        assert call(GET_ALL)["code"] == 200


def test_signals_end_it_with_code_0_and_its_state_survives(stack: Up) -> None:
    with calling(stack.healthy().amqp_uri) as call:
        terms = ("survivor", "documents", 2, "02:01", 1, 3600)
        job = call(ADD, *terms)["description"]
    with Connection(stack.healthy().amqp_uri) as connection:
        connection.default_channel.queue_declare("survivor", durable=True, auto_delete=False)

    assert stack.end(signal.SIGTERM) == 0
    assert not stack.left_running
    assert StackInfo.read(stack.state_dir) is None

    with up(stack.state_dir) as restarted:
        with calling(restarted.healthy().amqp_uri) as call:
            assert call(GET, "survivor")["description"] == job
        with Connection(restarted.healthy().amqp_uri) as connection:
            connection.default_channel.queue_declare("survivor", passive=True)
        assert restarted.end(signal.SIGINT) == 0
        assert not restarted.left_running


def test_a_service_that_does_not_start_ends_the_stack_with_its_last_words(tmp_path: Path) -> None:
    with up(tmp_path / "state", SCHEDULER_MAX_BACKUPS="many") as stack:
        assert stack.process.wait(timeout=60) != 0
        said = stack.log.read_text()
        assert "before it was ready. Its last lines:" in said
        assert said.count("SCHEDULER_MAX_BACKUPS") >= 2
        assert not stack.left_running


def test_a_signal_while_it_starts_ends_it_with_code_0(tmp_path: Path) -> None:
    with up(tmp_path / "state") as stack:
        eventually(lambda: stack.left_running)
        assert stack.end(signal.SIGINT) == 0
        assert not stack.left_running


def test_processes_of_a_stack_that_was_killed_are_ended_by_the_next_one(tmp_path: Path) -> None:
    with up(tmp_path / "state") as killed:
        orphan = eventually(lambda: next(filter(is_temporal, killed.left_running), None))
        killed.end(signal.SIGKILL)
        assert orphan is not None
        assert orphan.is_running()
    with up(tmp_path / "state") as stack:
        eventually(lambda: not orphan.is_running() or orphan.status() == psutil.STATUS_ZOMBIE)
        assert stack.end(signal.SIGTERM) == 0
        assert "of an earlier stack that was killed" in stack.log.read_text()
        assert not stack.left_running


def test_a_port_that_was_asked_for_and_is_taken_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = str(listener.getsockname()[1])
        with up(tmp_path / "state", TEMPORAL_PORT=port) as stack:
            assert stack.process.wait(timeout=60) == 1
        assert f"Port {port} (TEMPORAL_PORT) is taken by another program." in stack.log.read_text()
        assert not stack.left_running
