"""Health checks of the services that have none of their own, for temporal-dev.yml.

Each check tries for a few seconds, because a new start of Python costs more than a new try.
"""

import asyncio
import socket
import time
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path

from backup_scheduler.contract.methods import SERVICE
from backup_scheduler.settings import load_settings
from backup_scheduler.temporal.client import connect

_PATIENCE = 5
_PAUSE = 0.1


def rpc() -> str | None:
    """Return the fault of the RPC service; any reply to a call will do, 503 too."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # nameko and eventlet warn about themselves
        from nameko.standalone.rpc import ClusterRpcProxy

        settings = load_settings()
        config: dict[str, object] = {"AMQP_URI": settings.amqp_uri.get_secret_value()}
        if certificate := settings.amqp_certificate:
            config["AMQP_SSL"] = {"certfile": str(certificate)}
        with ClusterRpcProxy(config, timeout=3) as cluster:
            cluster[SERVICE].get_job("devstack-health")
    return None


def worker() -> str | None:
    """Return the fault of the worker; it must wait for workflows and for activities."""
    return asyncio.run(_missing_pollers())


async def _missing_pollers() -> str | None:
    from temporalio.api.enums.v1 import TaskQueueType
    from temporalio.api.taskqueue.v1 import TaskQueue
    from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest

    client = await connect()
    queue = load_settings().task_queue
    for kind in (TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW, TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY):
        request = DescribeTaskQueueRequest(
            namespace=client.namespace, task_queue=TaskQueue(name=queue), task_queue_type=kind
        )
        pollers = (await client.workflow_service.describe_task_queue(request)).pollers
        if not any(_runs_here(poller.identity) for poller in pollers):
            return f"no worker of this machine waits for work on the task queue {queue!r}"
    return None


def _runs_here(identity: str) -> bool:
    """Return whether a worker lives, by its identity, which begins with `pid@host`: the server remembers dead ones."""
    pid, _, host = identity.split(" ")[0].partition("@")
    return host == socket.gethostname() and Path("/proc", pid).exists()


CHECKS: Mapping[str, Callable[[], str | None]] = {"rpc": rpc, "worker": worker}


def check(name: str) -> str | None:
    """Return the fault of a service; None if it is healthy."""
    deadline = time.monotonic() + _PATIENCE
    while (fault := _ask(name)) and time.monotonic() < deadline:
        time.sleep(_PAUSE)
    return fault


def _ask(name: str) -> str | None:
    try:
        return CHECKS[name]()
    except Exception as error:  # any error is the fault
        return f"{type(error).__name__}: {error}"
