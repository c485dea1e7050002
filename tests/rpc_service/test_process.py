"""The service as a process: its start, its work without Temporal, its end."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
from kombu import Connection
from nameko.standalone.rpc import ClusterRpcProxy

from backup_scheduler.contract.methods import ADD, GET, GET_ALL, MODIFY, PAUSE
from devstack.running import StackInfo
from lab.parts.places import ROOT
from lab.parts.waiting import eventually
from tests.support.calls import TERMS, Caller, assert_fails, calling, job
from tests.support.doors import Door as HeldDoor
from tests.support.rpc_processes import rpc_process

STARTS = {
    "backup-scheduler-rpc": [str(Path(sys.executable).with_name("backup-scheduler-rpc"))],
    "nameko run": ["nameko", "run", "rpc_service.service"],
}


class Door:
    """An address that refuses connections until it is opened; then it passes them on to another."""

    def __init__(self, leads_to: str) -> None:
        self._host, _, port = leads_to.rpartition(":")
        self._port = int(port)
        self._socket = socket.socket()
        self._socket.bind(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._socket.getsockname()[1]}"

    def open(self) -> None:
        self._socket.listen()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):  # closed
            while True:
                inner, _ = self._socket.accept()
                outer = socket.create_connection((self._host, self._port))
                for source, target in ((inner, outer), (outer, inner)):
                    threading.Thread(target=self._pass_on, args=(source, target), daemon=True).start()

    def _pass_on(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError), source, target:
            while data := source.recv(65536):
                target.sendall(data)

    def close(self) -> None:
        self._socket.close()


@contextmanager
def frozen(pid: int) -> Iterator[None]:
    process = psutil.Process(pid)
    process.suspend()
    try:
        yield
    finally:
        process.resume()


@pytest.mark.parametrize("command", STARTS.values(), ids=STARTS)
@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGINT])
def test_it_serves_and_leaves_without_a_warning_or_a_traceback(
    stack: StackInfo, private_broker: str, command: list[str], ending: signal.Signals
) -> None:
    with rpc_process(private_broker, stack.temporal_address, *command) as process, calling(private_broker) as call:
        assert_fails(call(GET, "nobody"), 404)
        process.send_signal(ending)
        output, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "call answered" in output
    assert "Warning" not in output
    assert "Traceback" not in output


def test_calls_in_flight_are_answered_before_it_leaves(stack: StackInfo, private_broker: str) -> None:
    with (
        HeldDoor(stack.temporal_address) as door,
        rpc_process(private_broker, door.address) as process,
        calling(private_broker) as call,
    ):
        assert_fails(call(GET, "nobody"), 404)
        door.hold()
        with ThreadPoolExecutor(1) as pool:
            began = time.monotonic()
            waiting = pool.submit(call, GET, "nobody")
            eventually(lambda: door.held)
            process.send_signal(signal.SIGTERM)
            eventually(lambda: queue_of_calls(private_broker).consumer_count == 0)  # it is leaving
            time.sleep(1.5)  # one that does not wait for its calls would have closed its connection by now
            # On a busy machine the time for an answer may be up by now.
            assert process.poll() is None or time.monotonic() - began > 4.5
            door.let_through()
            reply = waiting.result(60)
        took = time.monotonic() - began
        assert process.wait(60) == 0
    timed_out = reply["code"] == 504
    assert_fails(reply, 504 if timed_out else 404)
    assert took > 4.5 or not timed_out


IN_TIME = 5.0
"""Seconds within which calls are answered."""

SLOW = 5.0
"""Further seconds that a call may take on a busy machine."""


def fail_in_time(amqp_uri: str, calls: Mapping[str, tuple[object, ...]], code: int, text: str) -> None:
    """Make calls at once that fail in time; on a busy machine they get another chance, but are not far too late."""
    seconds: list[float] = []
    with ClusterRpcProxy({"AMQP_URI": amqp_uri}, timeout=60) as cluster:
        while len(seconds) < 5:
            began = time.monotonic()
            asked = [getattr(cluster.scheduler, method).call_async(*arguments) for method, arguments in calls.items()]
            for each in asked:
                assert_fails(each.result(), code, text)
            seconds.append(time.monotonic() - began)
            assert seconds[-1] < IN_TIME + SLOW
            if seconds[-1] < IN_TIME:
                return
    raise AssertionError(f"in none of five tries were all calls answered within {IN_TIME} s: {seconds}")


def test_it_starts_without_temporal_answers_503_and_recovers_by_itself(stack: StackInfo, private_broker: str) -> None:
    door = Door(stack.temporal_address)
    with closing(door), rpc_process(private_broker, door.address), calling(private_broker) as call:
        calls = {GET: ("a",), ADD: ("a", *TERMS), GET_ALL: (), PAUSE: ("a",)}
        fail_in_time(private_broker, calls, 503, "Temporal cannot be reached")
        door.open()
        eventually(lambda: call(GET, "a")["code"] == 404)


def test_temporal_that_does_not_answer_is_a_504_within_five_seconds(call: Caller, stack: StackInfo) -> None:
    with frozen(stack.pids["temporal"]):
        fail_in_time(stack.amqp_uri, {GET: ("a",), GET_ALL: ()}, 504, "did not answer within 4.5 s")
    eventually(lambda: call(GET, "a")["code"] == 404)


WRONG = {
    "a zone": (
        {"SCHEDULER_TIMEZONE": "Mars/Olympus"},
        "SCHEDULER_TIMEZONE: 'Mars/Olympus' is not an IANA time zone such as 'Europe/Berlin'",
    ),
    "a broker": (
        {"AMQP_URI": "ampq://user:pa55word@127.0.0.1/"},
        "AMQP_URI: must begin with amqp:// or amqps://, not ampq://, such as "
        "'amqp://user:password@rabbitmq.example.org:5672/'",
    ),
    "Temporal": (
        {"TEMPORAL_ADDRESS": "127.0.0.1:99999"},
        "TEMPORAL_ADDRESS (or the address of a profile): must be a host and a port from 1 to 65535 without a scheme, "
        "such as 'localhost:7233'",
    ),
}


@pytest.mark.programs
@pytest.mark.parametrize("start", STARTS.values(), ids=STARTS)
def test_wrong_settings_end_it_with_one_sentence_and_code_2(start: list[str]) -> None:
    started = [
        subprocess.Popen(
            start,
            cwd=ROOT,
            env={**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}", **wrong},
            stderr=subprocess.PIPE,
            text=True,
        )
        for wrong, _ in WRONG.values()
    ]
    ended = [(process.communicate(timeout=60)[1], process.returncode) for process in started]
    assert ended == [(f"rpc_service: {sentence}\n", 2) for _, sentence in WRONG.values()]


@pytest.mark.programs
def test_a_wrong_broker_on_the_command_line_of_nameko_is_refused_in_one_sentence_without_its_password() -> None:
    ended = subprocess.run(
        [*STARTS["nameko run"], "--broker", "amqp://user:pa#55word@127.0.0.1:5672/"],
        cwd=ROOT,
        env={**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 2
    assert ended.stderr.startswith("rpc_service: AMQP_URI: cannot be read: user and password must be percent-encoded")
    assert "55word" not in ended.stdout + ended.stderr


def test_a_grace_time_that_callers_leave_out_is_the_settings(
    stack: StackInfo, private_broker: str, scheduler_id: str, call: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    without = TERMS[:-1]
    for method in (ADD, MODIFY):
        assert_fails(call(method, scheduler_id, *without), 400, "misfire_grace_time", "SCHEDULER_MISFIRE_GRACE_TIME")
    monkeypatch.setenv("SCHEDULER_MISFIRE_GRACE_TIME", "259200")
    with rpc_process(private_broker, stack.temporal_address), calling(private_broker) as lenient:
        assert job(lenient(ADD, scheduler_id, *without))["misfire_grace_time"] == 259_200
        for given in (None, 0):
            assert job(lenient(MODIFY, scheduler_id, *without, given))["misfire_grace_time"] == 259_200
        assert job(lenient(MODIFY, scheduler_id, *without, 60))["misfire_grace_time"] == 60


def test_a_process_carries_out_as_many_calls_at_once_as_its_setting_says(
    stack: StackInfo, private_broker: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SCHEDULER_RPC_WORKERS", "2")
    with (
        HeldDoor(stack.temporal_address) as door,
        rpc_process(private_broker, door.address),
        ClusterRpcProxy({"AMQP_URI": private_broker}, timeout=60) as cluster,
    ):
        assert_fails(cluster.scheduler.get_job("nobody"), 404)
        door.hold()
        asked = [cluster.scheduler.get_job.call_async("nobody") for _ in range(5)]
        eventually(lambda: queue_of_calls(private_broker).message_count == 3)
        door.let_through()
        replies = [each.result() for each in asked]
    # Two of them waited with the door, on a busy machine until their time was up.
    assert [reply["code"] for reply in replies].count(404) >= 3


def queue_of_calls(amqp_uri: str) -> Any:
    """Return what the broker says of the queue: how many calls no process has taken, how many processes there are."""
    with Connection(amqp_uri) as connection:
        return connection.default_channel.queue_declare("rpc-scheduler", passive=True)


def test_the_log_has_no_lines_below_the_level_of_the_setting(
    stack: StackInfo, private_broker: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SCHEDULER_LOG_LEVEL", "warning")
    with rpc_process(private_broker, stack.temporal_address) as process, calling(private_broker) as call:
        assert_fails(call(GET, "nobody"), 404)
        process.send_signal(signal.SIGTERM)
        output, _ = process.communicate(timeout=60)
    assert output == ""


def test_many_calls_at_once_are_all_answered(call: Caller, stack: StackInfo, scheduler_id: str) -> None:
    job(call(ADD, scheduler_id, *TERMS))
    answered: list[int] = []

    def calls() -> None:
        with calling(stack.amqp_uri) as caller:
            answered.extend(caller(GET, scheduler_id)["code"] for _ in range(5))

    threads = [threading.Thread(target=calls) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert answered == [200] * 100
