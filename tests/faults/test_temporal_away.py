"""Temporal is away for longer than the heartbeat time-out amid backups: no restic runs beside another one."""

import asyncio
import json
import shutil
import uuid
from datetime import UTC, datetime
from pathlib import Path

import psutil
from temporalio.client import Client, WorkflowHandle

from backup_scheduler.runs.results import BackupResult, Outcome
from lab.parts.restic_processes import backing_up, watching
from lab.parts.waiting import eventually_async
from tests.support.backup_requests import a_request
from tests.support.counts import NONE, counted_backups
from tests.support.figures import print_runs_row
from tests.support.policy_files import write_policies
from tests.support.restic_repository import Restic
from tests.support.servers import Servers
from tests.support.workers import Runs, WorkerProcess
from workflows.engines import HEARTBEAT_TIMEOUT

AWAY = HEARTBEAT_TIMEOUT.total_seconds() + 2

WRAPPER = """#!/bin/sh
PATH="${PATH#*:}"
case "$*" in
*snapshots*job-late*) while [ -e "$HOLD" ]; do sleep 0.1; done; exec restic "$@";;
*backup*) [ ! -e "$SLOW" ] || set -- --limit-upload 200 --pack-size 4 "$@"; exec restic "$@";;
*) exec restic "$@";;
esac
"""
"""A restic that needs minutes to upload 30 MB while the file SLOW is there, and does not look for the snapshot of the
job `late`, its first step, while the file HOLD is there.
"""


async def test_no_restic_runs_beside_that_of_a_lost_attempt(
    servers: Servers, temporal: Client, restic: Restic, tmp_path: Path
) -> None:
    restic.fill(30)
    other = Restic(_made(tmp_path / "other"))
    shutil.copytree(restic.repository, other.repository)
    shutil.copy(restic.password_file, other.password_file)
    hold, slow = tmp_path / "hold", tmp_path / "slow"
    hold.touch()
    slow.touch()
    environment = {"PATH": restic.path_with(WRAPPER), "HOLD": str(hold), "SLOW": str(slow)}
    file = write_policies(tmp_path / "policies.toml", {"files": restic.terms(), "others": other.terms()})
    queue = f"queue-{uuid.uuid4()}"
    with WorkerProcess(servers.temporal_address, file, queue, **environment) as worker:
        await worker.ready()
        runs = Runs(temporal, queue)
        async with watching() as seen:
            under_way = await runs.start(a_request(scheduler_id="known", policy_name="files"))
            late = await runs.start(
                a_request(scheduler_id="late", policy_name="others"), id=f"backup-job-late-{uuid.uuid4()}"
            )
            await eventually_async(lambda: _is_known(under_way))
            await eventually_async(lambda: asyncio.sleep(0, _is_looking(worker)))
            servers.temporal.kill()
            hold.unlink()
            await asyncio.sleep(AWAY)
            assert _occurrence(under_way) in backing_up()
            assert _occurrence(late) not in seen.processes  # Temporal cannot know of it
            worker.process.suspend()  # a server takes a heartbeat that is late, if it comes before its own timer
            await asyncio.to_thread(servers.temporal.start_again)
            await eventually_async(lambda: _is_given_up(under_way))
            worker.process.resume()
            back = datetime.now(UTC)
            slow.unlink()
            async with asyncio.timeout(120):
                results = [await under_way.result(), await late.result()]
    assert [result.outcome for result in results] == [Outcome.COMPLETED] * 2
    ours = {_occurrence(each) for each in (under_way, late)}
    assert ours.isdisjoint(seen.at_once)  # other tests run restic on this machine, too
    assert [len(seen.processes[_occurrence(each)]) for each in (under_way, late)] == [2, 1]
    found = [json.loads(await each("snapshots", "--json", "--no-lock")) for each in (restic, other)]
    assert [[one["short_id"] for one in each] for each in found] == [[result.snapshot_id] for result in results]
    assert restic.locks() == other.locks() == []
    counted = counted_backups(found)
    recovery = max(result.finished_at for result in results) - back
    fault = f"Temporal away for {AWAY:.0f} s amid restic backups"
    print_runs_row(fault, 1, len(found), counted, recovery, "test_temporal_away.py")
    assert counted == NONE


async def _is_known(run: WorkflowHandle[object, BackupResult]) -> bool:
    """Return whether Temporal has the record of the run's restic, behind the progress of its attempt."""
    pending = (await run.describe()).raw_description.pending_activities
    return any(len(each.heartbeat_details.payloads) == 2 for each in pending)


async def _is_given_up(run: WorkflowHandle[object, BackupResult]) -> bool:
    """Return whether Temporal has given the first attempt up."""
    pending = (await run.describe()).raw_description.pending_activities
    return any(each.attempt > 1 for each in pending)


def _is_looking(worker: WorkerProcess) -> bool:
    """Return whether the attempt of `late` looks for a snapshot of an attempt before."""
    children = worker.process.children(recursive=True)
    return any("snapshots" in command and "job-late" in command for command in map(_command, children))


def _command(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.NoSuchProcess:
        return ""


def _occurrence(run: WorkflowHandle[object, BackupResult]) -> str:
    return f"{run.id}~{run.first_execution_run_id}"


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder
