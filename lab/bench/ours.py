"""The services of temporal-dev.yml with the shipped settings: our side of each comparison."""

import asyncio
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from temporalio.client import Client

from backup_scheduler.temporal.client import connect
from devstack.running import StackInfo, running_stack

_FOREIGN = ("SCHEDULER_", "AMQP_", "TEMPORAL_", "RABBITMQ_")


@contextmanager
def ours(
    state: Path, backup_url: str = "", policies: Path | None = None, *, keep_alive: float | None = None
) -> Iterator[StackInfo]:
    """Run all services around the block, on free ports of the loopback interface."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN)}
    environ |= {"SCHEDULER_TIMEZONE": "UTC", "SCHEDULER_BACKUP_URL": backup_url, "SCHEDULER_LOG_FORMAT": "json"}
    environ.pop("PYTHONDONTWRITEBYTECODE", None)  # each run of a workflow would compile the workflow's module again
    if policies:
        environ["SCHEDULER_POLICIES"] = str(policies)
    with running_stack(state, environ, keep_alive=keep_alive) as stack:
        yield stack


async def connected(stack: StackInfo) -> Client:
    """Return a client of the stack's Temporal, made as the RPC service makes its own."""
    os.environ["TEMPORAL_ADDRESS"] = stack.temporal_address
    os.environ["TEMPORAL_NAMESPACE"] = stack.temporal_namespace
    os.environ["TEMPORAL_CONFIG_FILE"] = os.devnull
    return await connect()


async def all_closed(client: Client, patience: float = 60) -> None:
    """Wait until no run is open."""
    async with asyncio.timeout(patience):
        while (await client.count_workflows("WorkflowType='BackupWorkflow' AND ExecutionStatus='Running'")).count:
            await asyncio.sleep(1)
