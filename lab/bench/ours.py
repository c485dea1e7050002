"""The services of temporal-dev.yml with the shipped settings: our side of each comparison."""

import asyncio
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from temporalio.client import Client

from backup_scheduler.jobs.names import schedule_id
from backup_scheduler.temporal.client import connect
from devstack.running import StackInfo, running_stack
from lab.bench.processes import family

_FOREIGN = ("SCHEDULER_", "AMQP_", "TEMPORAL_", "RABBITMQ_")
_BROKER = "rabbitmq"


@contextmanager
def ours(
    state: Path,
    backup_url: str = "",
    policies: Path | None = None,
    *,
    keep_alive: float | None = None,
    program: str = "devstack",
) -> Iterator[StackInfo]:
    """Run all services around the block, on free ports of the loopback interface; `program` lab.cluster: a cluster."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN)}
    environ |= {"SCHEDULER_TIMEZONE": "UTC", "SCHEDULER_BACKUP_URL": backup_url, "SCHEDULER_LOG_FORMAT": "json"}
    environ.pop("PYTHONDONTWRITEBYTECODE", None)  # each run of a workflow would compile the workflow's module again
    if policies:
        environ["SCHEDULER_POLICIES"] = str(policies)
    with running_stack(state, environ, keep_alive=keep_alive, program=program) as stack:
        yield stack


def processes(stack: StackInfo) -> set[int]:
    """Return the processes of a stack but those of the broker, which the peer uses too."""
    return family(stack.pid) - family(stack.pids[_BROKER])


async def connected(stack: StackInfo) -> Client:
    """Return a client of the stack's Temporal, made as the RPC service makes its own."""
    os.environ |= stack.environ()
    os.environ["TOKIO_WORKER_THREADS"] = "1"  # as temporal-dev.yml says it to our services
    return await connect()


async def all_closed(client: Client, patience: float = 60) -> None:
    """Wait until no run is open."""
    async with asyncio.timeout(patience):
        while (await client.count_workflows("WorkflowType='BackupWorkflow' AND ExecutionStatus='Running'")).count:
            await asyncio.sleep(1)


async def runs_of(client: Client, prefix: str, expected: int, patience: float = 15) -> int:
    """Count the runs of all jobs whose ids begin so.

    The index of runs lags, so it is asked again for a while as long as it has fewer than are expected.
    """
    query = f"WorkflowType='BackupWorkflow' AND BackupSchedulerId STARTS_WITH '{prefix}'"
    loop = asyncio.get_running_loop()
    deadline = loop.time() + patience
    while (found := (await client.count_workflows(query)).count) < expected and loop.time() < deadline:
        await asyncio.sleep(0.5)
    return found


async def known_of(client: Client, scheduler_id: str) -> str:
    """Say what Temporal knows of a job: what is left of one that was lost."""
    info = (await client.get_schedule_handle(schedule_id(scheduler_id)).describe()).info
    runs = [run async for run in client.list_workflows(f"BackupSchedulerId = '{scheduler_id}'")]
    ended = ", ".join(f"{run.workflow_type} {run.status.name if run.status else 'unknown'}" for run in runs)
    return (
        f"{scheduler_id}: made {info.created_at:%H:%M:%S.%f}, {info.num_actions} started, "
        f"{info.num_actions_missed_catchup_window} missed, {len(info.running_actions)} open; runs: {ended or 'none'}"
    )
