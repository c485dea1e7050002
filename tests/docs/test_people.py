"""What operations.md says of commands that people try: what becomes of the job, who tells it, and what mends it."""

import re
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from temporalio.client import Client

from backup_scheduler.contract.methods import REMOVE
from devstack.running import StackInfo
from lab.parts.backup_service import BackupService
from tests.support import tried
from tests.support.calls import Caller
from tests.support.operator import Job, ran
from tests.support.pages import rows
from tests.support.tried import Tried

WITH_TERMS = (
    "temporal schedule update --schedule-id 'JOB' --type BackupWorkflow --workflow-id 'backup-JOB' "
    "--interval 24h/7260s --jitter 1h --overlap-policy BufferAll --catchup-window 315360000s "
    "--input INPUT --task-queue "
)
BY_TCTL = {
    "temporal": "tctl",
    "--schedule-id": "--schedule_id",
    "--workflow-id": "--workflow_id",
    "--type Bac": "--workflow_type Bac",
    "--type First": "--reset_type First",
    "--task-queue": "--taskqueue",
    "--overlap-policy": "--overlap_policy",
    "--catchup-window": "--catchup_window",
    "--start-time": "--start_time",
    "--end-time": "--end_time",
    "--pause-on-failure": "--pause_on_failure",
}
"""What is written in another way with tctl."""

SYSTEM = "--workflow-id 'temporal-sys-scheduler:JOB'"
RUN = "--workflow-id 'RUN'"
UPDATE = "temporal schedule update --schedule-id 'JOB'"
CREATE = "temporal schedule create --schedule-id"
SIGNAL = "temporal workflow signal"
PLAIN = "--type BackupWorkflow --task-queue backups --interval 24h"
TRIED: dict[str, tuple[str, Callable[[Tried], Awaitable[None]]]] = {
    "`schedule update` without the terms": (
        f"{UPDATE} {PLAIN}",
        tried.leaves_runs_without_terms,
    ),
    "`schedule update` with the terms": (
        f"{WITH_TERMS}backups --start-time 2400-01-01T00:00:00Z --pause-on-failure",
        tried.changes_the_schedule,
    ),
    "`schedule update` with a task queue of no worker": (f"{WITH_TERMS}typo", tried.leaves_no_worker),
    "`schedule create` with the id of a job": (
        f"{CREATE} 'JOB' {PLAIN}",
        tried.is_refused,
    ),
    "`schedule create` with a new id": (f"{CREATE} 'OTHER' {PLAIN}", tried.makes_no_job),
    "`schedule trigger` without": ("temporal schedule trigger --schedule-id 'JOB'", tried.is_dropped_by_temporal_alone),
    "`schedule toggle --pause` without": (
        "temporal schedule toggle --schedule-id 'JOB' --pause",
        tried.pauses_without_a_reason,
    ),
    "`schedule backfill` of years past": (
        "temporal schedule backfill --schedule-id 'JOB' --overlap-policy BufferAll "
        "--start-time 1990-01-01T00:00:00Z --end-time 2026-01-11T00:00:00Z",
        tried.starts_all_occurrences_since,
    ),
    "`workflow terminate` of a run": (f"temporal workflow terminate {RUN}", tried.ends_the_run),
    "`workflow delete` of a run": (f"temporal workflow delete {RUN} --yes", tried.ends_the_run),
    "`workflow reset` of a run": (
        f"temporal workflow reset {RUN} --type FirstWorkflowTask --reason test",
        tried.makes_the_backup_again,
    ),
    "`workflow signal` to a run": (
        f"{SIGNAL} {RUN} --name stop --input '{{}}'",
        tried.does_nothing_to_a_run,
    ),
    "`workflow terminate` of SYSTEM": (f"temporal workflow terminate {SYSTEM}", tried.removes_the_job),
    "`workflow delete` of SYSTEM": (f"temporal workflow delete {SYSTEM} --yes", tried.removes_the_job),
    "`workflow cancel` of SYSTEM": (f"temporal workflow cancel {SYSTEM}", tried.stops_the_schedule),
    "`workflow signal` to SYSTEM": (
        f"{SIGNAL} {SYSTEM} --name update --input '{{}}'",
        tried.leaves_no_terms,
    ),
    "`workflow reset` of SYSTEM": (
        f"temporal workflow reset {SYSTEM} --type FirstWorkflowTask --reason test",
        tried.changes_nothing,
    ),
}
"""A command and what it does, by the beginning of its row on the page."""

ELSEWHERE = "`schedule delete` of `system-look-after-jobs`"  # tests/worker/test_system_schedule.py
WRONG = (
    "schedule describe",
    "schedule delete",
    "schedule trigger",
    "schedule toggle --pause",
    "schedule backfill --start-time 2026-01-30T00:00:00Z --end-time 2026-01-31T00:00:00Z",
    f"schedule update {PLAIN}",
)
PROGRAMS = (pytest.param("temporal"), pytest.param("tctl", marks=pytest.mark.tctl))


def command_of(program: str, command: str) -> str:
    for here, there in BY_TCTL.items() if program == "tctl" else ():
        command = command.replace(here, there, 1)
    return command


@pytest.fixture
async def own(temporal: Client, call: Caller, backup_endpoint: BackupService) -> AsyncIterator[Job]:
    made = Job(f"people-{uuid.uuid4().hex[:8]} 每日", temporal, call, backup_endpoint)
    await made.make()
    yield made
    call(REMOVE, made.scheduler_id)


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize("row", TRIED)
async def test_a_command_does_to_a_job_what_the_page_says(row: str, program: str, stack: StackInfo, own: Job) -> None:
    command, check = TRIED[row]
    if program == "tctl" and "delete" in row:
        return  # tctl has no such command
    await check(Tried(stack, own, command_of(program, command)))


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize("command", WRONG)
async def test_a_wrong_id_is_told(command: str, program: str, stack: StackInfo, own: Job) -> None:
    wrong = f"{own.scheduler_id} wrong"
    code, said = await ran(stack, command_of(program, f"temporal {command} --schedule-id '{wrong}'"))
    assert code == 1
    assert f"workflow not found for ID: temporal-sys-scheduler:{wrong}" in re.sub(r"\s+", " ", said)


def test_every_command_of_the_page_is_tried() -> None:
    found = [first for first, *_ in rows("docs/operations.md", "What people try")]
    assert [key for first in found for key in (*TRIED, ELSEWHERE) if first.startswith(key)] == [*TRIED, ELSEWHERE]
    assert len(found) == len(TRIED) + 1
