"""Commands of an operator: a job to try them on, and what each has to do to it."""

import asyncio
import os
import shlex
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from google.protobuf.duration_pb2 import Duration
from temporalio.api.operatorservice.v1 import ListSearchAttributesRequest
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest, RegisterNamespaceRequest
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.service import RPCError

from backup_scheduler.contract.methods import GET, PAUSE
from backup_scheduler.jobs.names import SEARCH_ATTRIBUTES
from backup_scheduler.jobs.terms import BackupJob
from backup_scheduler.jobs.to_schedule import Alignment, memo_for, schedule_for, search_attributes
from backup_scheduler.runs.results import Outcome
from backup_scheduler.temporal.schedule_engine import SCHEDULER_WORKFLOW
from devstack.running import StackInfo
from lab.parts.backup_service import BackupService
from lab.parts.go_tools import programs
from lab.parts.places import ROOT
from lab.parts.waiting import eventually_async
from tests.support.calls import Caller, job
from tests.support.programs import binary
from tests.support.slow_backups import requests_for, slow
from tests.support.workflow_runs import Handle, run_of

QUEUE = "backups"
"""The task queue of the stack's worker."""

TCTL = ROOT / "lab/cluster/tools/tctl"
"""Module of tctl, which is built from it where it is missing."""

YEARS = 315_360_000


@dataclass
class Job:
    """A job of a test's own, due daily since 2026-01-01, and all around it."""

    scheduler_id: str
    temporal: Client
    call: Caller
    endpoint: BackupService

    @property
    def alignment(self) -> Alignment:
        terms = {"policy_name": "documents", "days": 1, "start_time": "02:01", "duration": 1}
        named = BackupJob(scheduler_id=self.scheduler_id, misfire_grace_time=YEARS, **terms)  # type: ignore[arg-type]  # checked at run time
        return Alignment.at(datetime(2026, 1, 1, tzinfo=UTC), named, "UTC")

    @property
    def system(self) -> str:
        """Workflow id of its schedule."""
        return f"{SCHEDULER_WORKFLOW}{self.scheduler_id}"

    async def make(self) -> None:
        """Make its schedule, as an add of that day would have made it."""
        request = self.alignment.request
        await self.temporal.create_schedule(
            self.scheduler_id,
            schedule_for(self.alignment, QUEUE),
            memo=memo_for(request, "call"),
            search_attributes=search_attributes(request),
        )

    async def run(self, number: int = 1) -> tuple[str, Outcome]:
        """Wait for the end of a run, counted from 1; return its workflow id and how it ended."""
        handle = await run_of(self.temporal, self.scheduler_id, number)
        return handle.id, (await handle.result()).outcome

    async def trigger(self) -> None:
        await self.temporal.get_schedule_handle(self.scheduler_id).trigger()

    @property
    def next_run(self) -> str | None:
        shown: str | None = job(self.call(GET, self.scheduler_id))["next_run_time"]
        return shown


async def ran(stack: StackInfo, command: str) -> tuple[int | None, str]:
    """Run a command line of `temporal` or tctl on the stack; return its exit code and its output."""
    program, *words = shlex.split(command)
    path = str(programs(TCTL) / "tctl") if program == "tctl" else binary("temporal")
    process = await asyncio.create_subprocess_exec(
        *(path, *words),
        env={**os.environ, **stack.environ(), **stack.tctl_environ()},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(60):
        output, _ = await process.communicate()
    return process.returncode, output.decode()


async def runs_once(own: Job, command: Callable[[], Awaitable[None]]) -> None:
    await command()
    assert (await own.run())[1] is Outcome.COMPLETED


async def pauses(own: Job, command: Callable[[], Awaitable[None]]) -> None:
    assert own.next_run is not None
    await command()
    await eventually_async(lambda: asyncio.sleep(0, own.next_run is None))


async def resumes(own: Job, command: Callable[[], Awaitable[None]]) -> None:
    job(own.call(PAUSE, own.scheduler_id))
    await asyncio.sleep(1)  # as the page says: commands that come close together can get lost
    await command()
    await eventually_async(lambda: asyncio.sleep(0, own.next_run is not None))


async def runs_that_of_the_day(own: Job, command: Callable[[], Awaitable[None]]) -> None:
    await command()
    workflow_id, outcome = await own.run()
    assert workflow_id.startswith(f"backup-{own.scheduler_id}-2026-01-30T02:")
    assert outcome is Outcome.COMPLETED


@asynccontextmanager
async def under_way(own: Job, start: Callable[[], Awaitable[object]] | None = None) -> AsyncIterator[Handle]:
    """Let the first run of a job go on during the block; `start` starts it, by default a trigger."""
    with slow(own.endpoint, own.scheduler_id):
        asked = requests_for(own.endpoint, own.scheduler_id)
        await (start or own.trigger)()
        run = await run_of(own.temporal, own.scheduler_id, 1)
        query = f"WorkflowId = '{run.id}' AND ExecutionStatus = 'Running'"

        async def is_under_way() -> bool:
            began = requests_for(own.endpoint, own.scheduler_id) > asked
            return began and (await own.temporal.count_workflows(query)).count == 1

        await eventually_async(is_under_way)
        yield run


async def stops_the_run(own: Job, command: Callable[[], Awaitable[None]]) -> None:
    async with under_way(own) as run:
        await command()

        async def is_stopped() -> bool:
            return (await run.describe()).status is WorkflowExecutionStatus.CANCELED

        await eventually_async(is_stopped)


async def removes(own: Job, command: Callable[[], Awaitable[None]]) -> None:
    await command()
    await eventually_async(lambda: asyncio.sleep(0, own.call(GET, own.scheduler_id)["code"] == 404))


async def makes_a_namespace(own: Job, command: Callable[[], Awaitable[None]]) -> None:
    await command()
    service = own.temporal.workflow_service
    made = await service.describe_namespace(DescribeNamespaceRequest(namespace=own.scheduler_id))
    assert made.config.workflow_execution_retention_ttl.ToTimedelta() == timedelta(days=90)


async def makes_search_attributes(own: Job, command: Callable[[], Awaitable[None]]) -> None:
    retention = Duration(seconds=86400)
    await own.temporal.workflow_service.register_namespace(
        RegisterNamespaceRequest(namespace=own.scheduler_id, workflow_execution_retention_period=retention)
    )

    async def listed() -> set[str] | None:
        request = ListSearchAttributesRequest(namespace=own.scheduler_id)
        try:
            return {*(await own.temporal.operator_service.list_search_attributes(request)).custom_attributes}
        except RPCError:  # the server hears of a new namespace a moment later
            return None

    async def is_known() -> bool:
        return await listed() is not None

    async def are_there() -> bool:
        return await listed() == {key.name for key in SEARCH_ATTRIBUTES}

    await eventually_async(is_known)
    assert not await are_there()
    await command()
    await eventually_async(are_there)


async def brings_it_back(own: Job, command: Callable[[], Awaitable[None]]) -> None:
    shown = own.next_run
    await own.temporal.get_workflow_handle(own.system).cancel()
    await eventually_async(lambda: asyncio.sleep(0, own.call(GET, own.scheduler_id)["code"] == 500))
    await command()
    await eventually_async(lambda: asyncio.sleep(0, own.call(GET, own.scheduler_id)["code"] == 200))
    assert own.next_run == shown
    await runs_once(own, own.trigger)


DONE = {
    "operator namespace create": makes_a_namespace,
    "operator search-attribute create": makes_search_attributes,
    "schedule trigger": runs_once,
    "--pause": pauses,
    "--unpause": resumes,
    "schedule backfill": runs_that_of_the_day,
    "workflow cancel": stops_the_run,
    "schedule delete": removes,
    "workflow reset": brings_it_back,
}
"""What a command does, by a part of the command."""
