"""The service where the broker sets limits, and where another service takes its calls."""

import json
import signal
import subprocess
import sys
import textwrap
import uuid
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from kombu import Connection, Queue

from backup_scheduler.contract.methods import ADD, GET, GET_ALL, PAUSE, REMOVE, RESUME, SERVICE
from devstack.running import StackInfo
from lab.parts.answers import Reply
from lab.parts.waiting import eventually
from tests.support.brokers import rabbitmqctl
from tests.support.calls import TERMS, Caller, assert_fails, calling, job
from tests.support.command_line import backupctl
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
    """Lines of a process's log, as they come."""

    def __init__(self) -> None:
        self.lines: list[dict[str, Any]] = []

    def read(self, stream: Iterable[str]) -> None:
        for line in stream:
            if line.startswith("{"):
                self.lines.append(json.loads(line))

    def of(self, text: str) -> list[dict[str, Any]]:
        return [line for line in self.lines if text in line["event"]]


@contextmanager
def output_of(process: subprocess.Popen[str]) -> Iterator[Output]:
    """Read its log until the block ends, which kills the process."""
    output = Output()
    with ThreadPoolExecutor(1) as reader:
        assert process.stdout is not None
        reading = reader.submit(output.read, process.stdout)
        try:
            yield output
        finally:
            process.kill()
            reading.result()  # to its end, before anybody else reads that pipe


@contextmanager
def a_service(broker: str, stack: StackInfo) -> Iterator[Output]:
    with rpc_process(broker, stack.temporal_address) as process, output_of(process) as output:
        yield output


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


def told_by_doctor(broker: str) -> dict[str, Any]:
    """Return the fault of the queue once both services had a call, each with what it leads to; else {}."""
    answers = [backupctl(broker)("doctor", "--json") for _ in range(6)]
    assert {each.exit_code for each in answers} == {1}
    checks = [json.loads(line) for each in answers for line in each.stdout.splitlines()]
    faults = [each for each in checks if each["check"] == "queue" and "1 of its consumers" in each["found"]]
    from_the_other = any("or another service takes calls from its queue" in each["found"] for each in checks)
    return faults[0] if faults and from_the_other else {}


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

        told = eventually(lambda: told_by_doctor(private_broker))
        assert told["todo"].startswith("stop that service")
        with Connection(private_broker) as connection:
            for queue, consumers in (("rpc-scheduler", 3), ("rpc-scheduler.processes", 2)):
                declared = connection.default_channel.queue_declare(queue, passive=True)
                assert declared.consumer_count == consumers


def test_a_process_that_hung_carries_out_no_call_that_the_broker_gave_to_another_one(
    stack: StackInfo, private_broker: str, tmp_path: Path, scheduler_id: str
) -> None:
    """Its socket still has the calls: a pause would come after the resume that followed it."""
    config = tmp_path / "nameko.yml"
    config.write_text(f"AMQP_URI: {private_broker}\nHEARTBEAT: 4\n")  # the broker waits for twice as long
    command = ("nameko", "run", "--config", str(config), "rpc_service.service")
    with (
        rpc_process(private_broker, stack.temporal_address, *command) as process,
        output_of(process) as hung,
        calling(private_broker) as call,
    ):
        job(call(ADD, scheduler_id, *TERMS))
        process.send_signal(signal.SIGSTOP)
        with ThreadPoolExecutor(1) as other_caller, calling(private_broker) as call_meanwhile:
            pausing = other_caller.submit(call_meanwhile, PAUSE, scheduler_id)
            with a_service(private_broker, stack):
                assert job(pausing.result())["next_run_time"] is None
                assert job(call(RESUME, scheduler_id))["next_run_time"]
                answered = len(hung.of("call answered"))
                process.send_signal(signal.SIGCONT)
                eventually(lambda: hung.of("this process hung: connecting anew"))
                # It takes calls again, in turns with the other one.
                eventually(lambda: job(call(GET, scheduler_id)) and hung.of("call answered")[answered:])
                assert job(call(GET, scheduler_id))["next_run_time"]
                job(call(REMOVE, scheduler_id))


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
