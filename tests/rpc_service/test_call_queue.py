"""The queue of calls is of the type that the setting names, unless it is there already."""

import uuid

import pytest
from kombu import Connection, Exchange, Queue

from backup_scheduler.contract.methods import ADD, REMOVE
from devstack.running import StackInfo
from tests.support.brokers import rabbitmqctl
from tests.support.calls import TERMS, calling, job
from tests.support.rpc_processes import rpc_process

WARNING = "the queue of calls has another type"


def queue_types(stack: StackInfo, broker: str) -> str:
    vhost = broker.rpartition("/")[2]
    listed = rabbitmqctl(stack, "list_queues", "--no-table-headers", "-p", vhost, "name", "type").splitlines()
    return dict(line.split("\t") for line in listed)["rpc-scheduler"]


def work_with(stack: StackInfo, broker: str) -> str:
    """Run a service, let it carry out calls, end it, and return what it said."""
    scheduler_id = f"queue-{uuid.uuid4().hex[:8]}"
    with rpc_process(broker, stack.temporal_address) as process:
        with calling(broker) as call:
            job(call(ADD, scheduler_id, *TERMS))
            job(call(REMOVE, scheduler_id))
        process.terminate()
        said, _ = process.communicate(timeout=30)
        assert process.returncode == 0
    return str(said)


@pytest.mark.parametrize("wanted", ["classic", "quorum"])
def test_a_new_queue_has_the_wanted_type(
    stack: StackInfo, private_broker: str, wanted: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SCHEDULER_QUEUE_TYPE", wanted)
    assert WARNING not in work_with(stack, private_broker)
    assert queue_types(stack, private_broker) == wanted


@pytest.mark.parametrize(("there", "wanted"), [("classic", "quorum"), ("quorum", "classic")])
def test_a_queue_that_is_there_keeps_its_type_and_its_calls(
    stack: StackInfo, private_broker: str, there: str, wanted: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = {"x-queue-type": "quorum"} if there == "quorum" else None
    with Connection(private_broker) as connection:
        exchange = Exchange("nameko-rpc", type="topic", durable=True)
        Queue(
            "rpc-scheduler", exchange, "scheduler.*", durable=True, queue_arguments=arguments, channel=connection
        ).declare()
    monkeypatch.setenv("SCHEDULER_QUEUE_TYPE", wanted)
    assert WARNING in work_with(stack, private_broker)
    assert queue_types(stack, private_broker) == there
