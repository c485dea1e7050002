"""Many jobs on a cluster: calls, the list of all, the pass over all, memory, and what PostgreSQL keeps of a job."""

import asyncio
import tempfile
import time
import uuid
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from temporalio.client import Client, ScheduleActionExecutionStartWorkflow

from backup_scheduler.contract.methods import LIST
from backup_scheduler.jobs.names import SYSTEM_SCHEDULE
from backup_scheduler.temporal.lists import pages_of_jobs
from devstack.running import StackInfo
from lab.bench import jobs, ours
from lab.bench.callers import RpcCallers, rpc_callers
from lab.bench.cluster import parts
from lab.bench.cluster.parts import Stored
from lab.bench.figures import NOT_SHOWN, percentile
from lab.bench.growth import list_all
from lab.bench.lists import SIZES
from lab.bench.plan import Plan
from lab.bench.results import Table
from lab.bench.supply import Supply
from lab.parts.waiting import eventually_async

LEVELS = (1_000, 10_000, 30_000)
_CALLS = 50
"""Calls of each kind that a latency is the median of."""
_IDLE = 20.0
"""Seconds over which the cluster is watched while it has nothing to do."""
_PATIENCE = 90


class Level(BaseModel):
    """A cluster with so many jobs."""

    jobs: int
    made_per_second: float
    """Jobs made through the SDK, each described, twenty at once."""
    add: float
    get: float
    """Latencies by RPC in ms with one caller, medians."""
    page: float
    """Latency of the first page of a hundred jobs by list_jobs, in ms with one caller, the median."""
    get_jobs: float | None
    """Seconds; None if the answer was too large for the broker."""
    list_seconds: float
    """Of the list alone, read page by page through the SDK."""
    pass_seconds: float
    idle_cores: float
    """Cores that are busy while no call is made and no run is due."""
    rows: float
    kib: float
    """Rows and KiB in PostgreSQL for each job that was made since the level before."""
    memory_mib: dict[str, float]


class Measured(BaseModel):
    """All levels."""

    levels: list[Level]


def measure(plan: Plan) -> Measured:
    """Let one cluster grow."""
    levels = [5, 10] if plan.tiny else plan.up_to_most_jobs(LEVELS)
    with (
        tempfile.TemporaryDirectory(prefix="bench-cluster-") as name,
        asyncio.Runner() as runner,
        ours.ours(Path(name), program="lab.cluster") as stack,
    ):
        client, made = runner.run(ours.connected(stack)), 0
        found = []
        for level in levels:
            found.append(
                _level(runner, client, stack, Path(name), range(made, level), idle=0.5 if plan.tiny else _IDLE)
            )
            made = level
        return Measured(levels=found)


def _level(runner: asyncio.Runner, client: Client, stack: StackInfo, state: Path, new: range, *, idle: float) -> Level:
    stored, began = Stored.now(stack, state), time.monotonic()
    runner.run(jobs.create_all(client, [jobs.alignment(f"job-{number:06}") for number in new]))
    pace = len(new) / (time.monotonic() - began)
    runner.run(eventually_async(lambda: _lists(client, new.stop), 120))
    rows, size = Stored.now(stack, state).since(stored, len(new))
    before = parts.cpu_seconds(stack.pids)
    time.sleep(idle)
    busy = sum(parts.cpu_seconds(stack.pids).values()) - sum(before.values())
    with rpc_callers(stack.amqp_uri, 1, _PATIENCE) as callers:
        add, get, page = _latencies(callers)
        listed = _get_jobs(callers, new.stop)
    began = time.monotonic()
    runner.run(_lists(client, new.stop))
    list_seconds = time.monotonic() - began
    return Level(
        jobs=new.stop,
        made_per_second=round(pace, 1),
        add=add,
        get=get,
        page=page,
        get_jobs=listed,
        list_seconds=round(list_seconds, 2),
        pass_seconds=round(runner.run(_pass_over_all(client)), 1),
        idle_cores=round(busy / idle, 3),
        rows=round(rows, 1),
        kib=round(size / 1024, 1),
        memory_mib=parts.memory_mib(stack.pids),
    )


async def _lists(client: Client, expected: int) -> bool:
    return sum([len(page) async for page in pages_of_jobs(client)]) >= expected


def _latencies(callers: RpcCallers) -> tuple[float, float, float]:
    # Before there are changes: a list describes the jobs that were changed within the last seconds.
    pages = [callers.answer("scheduler", LIST, limit=SIZES.jobs)[0] for _ in range(_CALLS)]
    ids = [f"growth-{uuid.uuid4().hex}" for _ in range(_CALLS)]
    for operation in ("add", "get", "remove"):  # the first calls of a connection are slow
        callers.call("scheduler", operation, "warm-up")
    add, get, _ = (
        callers.carry_out("scheduler", operation, Supply(ids), 1).latencies for operation in ("add", "get", "remove")
    )
    of_add, of_get, of_page = (round(percentile(each, 0.5) * 1000, 1) for each in (add, get, pages))
    return of_add, of_get, of_page


def _get_jobs(callers: RpcCallers, expected: int) -> float | None:
    try:
        return list_all(callers, "scheduler", expected)
    except RuntimeError as error:
        if "too large" not in str(error):
            raise
        return None


async def _pass_over_all(client: Client) -> float:
    """Start a pass and return the seconds that it took."""
    handle = client.get_schedule_handle(SYSTEM_SCHEDULE)
    before = (await handle.describe()).info.num_actions

    async def started() -> str | None:
        info = (await handle.describe()).info
        if info.num_actions == before or not info.recent_actions:
            return None
        action = info.recent_actions[-1].action
        return action.workflow_id if isinstance(action, ScheduleActionExecutionStartWorkflow) else None

    await handle.trigger()
    of_pass = client.get_workflow_handle(await eventually_async(started))
    await of_pass.result()
    described = await of_pass.describe()
    closed = described.close_time or described.start_time
    return (closed - described.start_time).total_seconds()


def tables(measured: Measured) -> list[Table]:
    """One row for each level."""
    calls, sizes = [], []
    for level in measured.levels:
        get_jobs = NOT_SHOWN if level.get_jobs is None else f"{level.get_jobs:.1f}"
        calls.append(
            [
                f"{level.jobs:,}",
                *(f"{each:.1f}" for each in (level.made_per_second, level.add, level.get, level.page)),
                get_jobs,
                *(f"{each:.1f}" for each in (level.list_seconds, level.pass_seconds)),
            ]
        )
        memory = [f"{level.memory_mib[part]:,.0f}" for part in ("temporal", "postgresql", "rpc", "worker")]
        sizes.append([f"{level.jobs:,}", f"{level.rows:.1f}", f"{level.kib:.1f}", f"{level.idle_cores:.2f}", *memory])
    return [
        Table(
            name="cluster-growth",
            title="Many jobs on a cluster: jobs made in a second, latencies in ms, seconds of what concerns all jobs",
            columns=[
                *("jobs", "made per second", "add", "get", "a page of 100 by RPC"),
                *("all by RPC", "list through the SDK", "pass over all"),
            ],
            rows=calls,
        ),
        Table(
            name="cluster-size",
            title="What PostgreSQL keeps of a job, busy cores with nothing to do, and memory in MiB",
            columns=[
                "jobs",
                "rows for a job",
                "KiB for a job",
                "busy cores",
                *("three Temporal nodes", "PostgreSQL", "two RPC processes", "two workers"),
            ],
            rows=sizes,
        ),
    ]


def draw(_: Measured) -> dict[str, Any]:
    """Draw nothing."""
    return {}
