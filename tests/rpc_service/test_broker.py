"""The service where the broker sets limits, and where another service takes its calls."""

import json
import subprocess
import sys
import textwrap
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from kombu import Connection, Queue

from backup_scheduler.contract.methods import ADD, GET, GET_ALL, REMOVE, SERVICE
from devstack.running import StackInfo
from lab.parts.answers import Reply
from lab.parts.waiting import eventually
from tests.support.brokers import rabbitmqctl
from tests.support.calls import TERMS, Caller, assert_fails, calling, job
from tests.support.rpc_processes import rpc_process
from tests.support.wire import Wire

FOREIGN = """
from nameko.rpc import rpc

class Old:
    name = "scheduler"

    @rpc
    def get_job(self, scheduler_id=None):
        return "old"
"""


@pytest.fixture
def broker_limit(stack: StackInfo) -> Iterator[Callable[[int], None]]:
    """Sets how many bytes a message may have on channels that are opened from now on."""
    before = rabbitmqctl(stack, "eval", "rabbit_misc:get_env(rabbit, max_message_size, 134217728).").strip()

    def limit(size: int | str) -> None:
        rabbitmqctl(stack, "eval", f"application:set_env(rabbit, max_message_size, {size}).")

    yield limit
    limit(before)


@pytest.fixture(scope="module")
def many_jobs(call: Caller) -> Iterator[list[str]]:
    """Jobs whose descriptions together have more than 8 MiB; Temporal's list has all of them."""
    ids = [f"large-{uuid.uuid4().hex}-{number}" for number in range(45)]
    for each in ids:
        job(call(ADD, each, *TERMS, blob="é" * 32_000))
    yield ids
    for each in ids:
        job(call(REMOVE, each))


class Output:
    """Lines of a process, as they come."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.lines: list[dict[str, Any]] = []
        self._stream = process.stdout
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self._stream is not None
        for line in self._stream:
            if line.startswith("{"):
                self.lines.append(json.loads(line))

    def of(self, text: str) -> list[dict[str, Any]]:
        return [line for line in self.lines if text in line["event"]]


@contextmanager
def a_service(broker: str, stack: StackInfo) -> Iterator[Output]:
    with rpc_process(broker, stack.temporal_address) as process:
        yield Output(process)


@contextmanager
def a_foreign_service(broker: str, folder: Path) -> Iterator[None]:
    (folder / "old_service.py").write_text(textwrap.dedent(FOREIGN))
    command = [str(Path(sys.executable).parent / "nameko"), "run", "--broker", broker, "old_service"]
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.kill()
        process.wait()


def messages(broker: str) -> int:
    with Connection(broker) as connection:
        return int(Queue(f"rpc-{SERVICE}")(connection.channel()).queue_declare(passive=True).message_count)


@pytest.mark.parametrize("limit", [None, 1_000_000], ids=["our own bound", "the broker's bound"])
def test_a_list_that_is_too_large_for_the_broker_is_answered_with_what_to_do(
    stack: StackInfo,
    private_broker: str,
    broker_limit: Callable[[int], None],
    many_jobs: list[str],
    limit: int | None,
) -> None:
    if limit:
        broker_limit(limit)
    with a_service(private_broker, stack) as output, calling(private_broker) as call:
        replies: list[Reply] = []

        def refused() -> bool:
            # Temporal's list of schedules lags behind.
            replies.append(call(GET_ALL))
            return bool(replies[-1]["code"] != 200)

        eventually(refused)
        assert_fails(replies[-1], 500, "too large for the message broker", "jobs in", "MB", "get_job ")
        assert call(GET, many_jobs[0])["code"] == 200
        assert messages(private_broker) == 0
        assert not output.of("reply not sent")
        [answered] = [line for line in output.of("call answered") if line["code"] == 500]
        assert answered["method"] == GET_ALL


def test_a_call_whose_answers_all_come_to_nothing_is_dropped(
    stack: StackInfo, private_broker: str, broker_limit: Callable[[int], None], scheduler_id: str, call: Caller
) -> None:
    job(call(ADD, scheduler_id, *TERMS, blob="x" * 10_000))
    broker_limit(5_000)
    with a_service(private_broker, stack) as output, Connection(private_broker) as connection:
        Wire(connection).send(GET, {"args": [scheduler_id], "kwargs": {}})
        [dropped] = eventually(lambda: output.of("message dropped"))
        assert "came again after 3 answers" in dropped["reason"]
        assert Wire(connection).is_answered()
        assert messages(private_broker) == 0


def test_another_service_that_takes_calls_is_reported_loudly_and_a_process_of_ours_is_not(
    stack: StackInfo, private_broker: str, tmp_path: Path
) -> None:
    with (
        a_foreign_service(private_broker, tmp_path),
        a_service(private_broker, stack) as one,
        a_service(private_broker, stack) as other,
    ):
        for output in (one, other):
            [found, *_] = eventually(lambda output=output: output.of("another service takes calls from our queue"))  # type: ignore[misc]  # mypy infers no lambda with a default
            assert (found["level"], found["queue"]) == ("error", "rpc-scheduler")
            assert found["consumers_not_of_this_service"] == 1  # and neither itself nor the other of ours
            assert not output.of("cannot look")
        with Connection(private_broker) as connection:
            for queue, consumers in (("rpc-scheduler", 3), ("rpc-scheduler.processes", 2)):
                declared = connection.default_channel.queue_declare(queue, passive=True)
                assert declared.consumer_count == consumers


def test_a_user_who_may_make_no_other_queue_can_run_the_service(stack: StackInfo, private_broker: str) -> None:
    vhost = private_broker.rpartition("/")[2]
    # Callers may make queues and exchanges of their own.
    rabbitmqctl(
        stack, "set_permissions", "-p", vhost, "guest", r"^(rpc-scheduler|nameko-rpc|rpc\.reply.*)$", ".*", ".*"
    )
    with a_service(private_broker, stack) as output, calling(private_broker) as call:
        eventually(lambda: output.of("cannot look for other services on our queue"))
        assert_fails(call(GET, "nobody"), 404)
        assert len(output.of("cannot look for other services on our queue")) == 1
