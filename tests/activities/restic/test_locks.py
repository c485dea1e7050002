"""Locks of others stay, whatever they are; a restic of ours neither outlives its worker nor leaves its lock."""

import asyncio
import os
import shutil
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest
from pydantic import BaseModel
from temporalio.testing import ActivityEnvironment

from activities.attempts import Progress
from activities.restic import aftermath
from activities.restic.processes import StartedRestic, identify
from backup_scheduler.runs.results import BackupReport, Outcome
from lab.parts.places import ROOT
from lab.parts.waiting import eventually_async
from tests.support.attempts import attempt_of
from tests.support.backup_requests import a_task
from tests.support.restic_attempts import made, refused, snapshots
from tests.support.restic_repository import Restic

AS_NOBODY = '#!/bin/sh\nPATH="${PATH#*:}" exec setpriv --reuid=65534 --regid=65534 --clear-groups restic "$@"\n'
OTHER_NAMESPACE = (
    *("unshare", "--pid", "--fork", "--mount-proc", "sh", "-c"),
    'for n in 1 2 3; do true & done; wait; "$@" & wait',
    "-",
)
"""Runs a command under a low pid of a PID namespace of its own, always the same one."""


@asynccontextmanager
async def backing_up(restic: Restic, *options: str, through: tuple[str, ...] = ()) -> AsyncIterator[int]:
    """Let a restic that is not ours back up for a minute, until it is killed; yields its pid."""
    more = restic.folder / "more"
    more.mkdir(exist_ok=True)
    (more / "more.bin").write_bytes(os.urandom(6_000_000))
    before = len(restic.locks())
    process = await asyncio.create_subprocess_exec(
        *through,
        *("restic", "--repo", str(restic.repository), "--password-file", str(restic.password_file), "--no-cache"),
        *("--limit-upload", "100", "backup", str(more), *options),
        stdout=asyncio.subprocess.DEVNULL,
        start_new_session=True,
    )

    async def locked() -> bool:
        return len(restic.locks()) > before

    await eventually_async(locked)
    yield process.pid
    os.killpg(process.pid, signal.SIGKILL)
    await process.wait()


def after(*earlier: StartedRestic) -> ActivityEnvironment:
    """Return the surroundings of a second attempt, with the heartbeats of the first one."""
    environment = attempt_of(2)
    details = [Progress(step="backing up").model_dump(), *(each.model_dump(mode="json") for each in earlier)]
    environment.info = replace(environment.info, heartbeat_details=details)
    return environment


def started(pid: int) -> StartedRestic:
    found = identify(pid, datetime.now(UTC) - timedelta(seconds=60))
    assert found
    return found


async def started_restic(beats: list[Any]) -> StartedRestic:
    """Wait for the heartbeat that names the restic of an attempt."""

    async def found() -> StartedRestic | None:
        return next((each for each in reversed(beats) if isinstance(each, StartedRestic)), None)

    restic: StartedRestic = await eventually_async(found)
    return restic


def innermost_pid(pid: int) -> int:
    """Return the pid of a process in its own PID namespace."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("NSpid:")).split()[-1])


def listening() -> tuple[ActivityEnvironment, list[BaseModel]]:
    environment = attempt_of()
    beats: list[BaseModel] = []
    environment.on_heartbeat = lambda *details: beats.extend(details)
    return environment, beats


async def locked(restic: Restic) -> None:
    async def lock() -> bool:
        return bool(restic.locks())

    await eventually_async(lock)


async def test_a_lock_of_another_user_stays_and_is_named(open_restic: Restic, monkeypatch: pytest.MonkeyPatch) -> None:
    restic = open_restic
    async with restic.locked_by_another() as another:  # as root
        cache = restic.folder / "cache-of-nobody"
        cache.mkdir()
        for path in (restic.repository, *restic.repository.rglob("*"), restic.password_file, restic.source, cache):
            os.chown(path, 65534, 65534)
        monkeypatch.setenv("PATH", restic.path_with(AS_NOBODY))
        locks_before = restic.locks()
        for number in (1, 2, 3):
            error = await refused(restic.policy(cache_dir=cache), environment=attempt_of(number))
            assert not error.non_retryable
            whose = f"exclusively by user root on host {os.uname().nodename}, pid {another.pid}, since 20"
            assert whose in error.message
            assert "if it is gone, `restic unlock` takes its lock away" in error.message
        assert restic.locks() == locks_before
        another.kill()
        await another.wait()


async def test_a_lock_of_another_pid_namespace_stays(restic: Restic) -> None:
    async with backing_up(restic, through=OTHER_NAMESPACE):
        locks_before = restic.locks()
        report = await made(restic.policy(), environment=attempt_of(2))
        assert report.outcome is Outcome.COMPLETED
        assert restic.locks() == locks_before


async def test_the_lock_of_a_process_that_is_gone_but_was_not_ours_stays(restic: Restic) -> None:
    async with restic.locked_by_another() as another:
        another.kill()
        await another.wait()
    locks_before = restic.locks()
    error = await refused(restic.policy(), environment=attempt_of(2))
    assert f"pid {another.pid}, since" in error.message
    assert restic.locks() == locks_before


async def test_the_lock_of_a_restic_of_ours_that_is_gone_is_removed_and_no_other(restic: Restic) -> None:
    async with backing_up(restic) as pid:
        pass
    others = restic.locks()
    async with backing_up(restic) as pid:
        ours = started(pid)
    assert len(restic.locks()) == 2
    report = await made(restic.policy(), environment=after(ours))
    assert report.outcome is Outcome.COMPLETED
    assert restic.locks() == others


async def test_a_restic_of_ours_that_is_still_at_work_is_ended_first(
    restic: Restic, monkeypatch: pytest.MonkeyPatch
) -> None:
    restic.fill(60)
    path = os.environ["PATH"]
    monkeypatch.setenv("PATH", restic.slow_path())
    environment, beats = listening()
    frozen = asyncio.create_task(refused(restic.policy(), environment=environment))
    ours = await started_restic(beats)
    await restic.uploads()
    monkeypatch.setenv("PATH", path)
    report = await made(restic.policy(), environment=after(ours))
    assert report.outcome is Outcome.COMPLETED
    ending = (await frozen).message
    assert "exit code 130" in ending or "signal interrupt received" in ending  # from 0.17 on
    (snapshot,) = await snapshots(restic)
    assert snapshot["short_id"] == report.snapshot_id
    assert restic.locks() == []


async def test_a_restic_that_runs_out_of_memory_leaves_no_lock(restic: Restic, monkeypatch: pytest.MonkeyPatch) -> None:
    restic.fill(60)
    monkeypatch.setenv("PATH", restic.slow_path())
    environment, beats = listening()
    failing = asyncio.create_task(refused(restic.policy(), environment=environment))
    ours = await started_restic(beats)
    await locked(restic)
    os.kill(ours.pid, signal.SIGKILL)
    assert "killed by signal 9, perhaps out of memory" in (await failing).message
    assert restic.locks() == []


async def test_a_restic_that_nobody_can_look_at_is_waited_for_until_it_is_silent(
    restic: Restic, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(aftermath, "_CHECK_INTERVAL", 0.1)
    monkeypatch.setattr(aftermath, "RENEWED_WITHIN", timedelta(seconds=1))
    async with backing_up(restic) as pid:
        elsewhere = started(pid).model_copy(update={"boot": "that of another machine"})
        report = await made(restic.policy(), environment=after(elsewhere))
        assert len(restic.locks()) == 1
    assert report.outcome is Outcome.COMPLETED_WITH_WARNINGS
    assert f"the repository has a lock of root, pid {pid} on {elsewhere.host}, since 20" in report.warnings[0]
    assert "`restic unlock` removes it" in report.message


async def test_no_second_backup_is_made_beside_a_restic_that_renews_its_lock(
    restic: Restic, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(aftermath, "_CHECK_INTERVAL", 0.1)
    async with backing_up(restic, through=OTHER_NAMESPACE) as shell:
        (process,) = [each for each in psutil.Process(shell).children(recursive=True) if each.name() == "restic"]
        inner = innermost_pid(process.pid)
        elsewhere = started(process.pid).model_copy(update={"pid": inner, "pid_namespace": "another"})
        waiting = asyncio.create_task(refused(restic.policy(), environment=after(elsewhere)))
        await asyncio.sleep(3)
        assert not waiting.done()
        # The same pid again: a lock that is renewed is another lock.
        async with backing_up(restic, through=OTHER_NAMESPACE):
            error = await waiting
    assert not error.non_retryable
    assert f"is still at work, as pid {inner} on {elsewhere.host}" in error.message
    assert await snapshots(restic) == []


async def test_two_snapshots_of_one_run_are_both_named(restic: Restic) -> None:
    task = a_task(occurrence="twice")
    for _ in range(2):
        await restic("backup", "--tag=run=twice", str(restic.source))
    report = await made(restic.policy(), task, attempt_of(2))
    assert report.outcome is Outcome.COMPLETED_WITH_WARNINGS
    ids = [snapshot["short_id"] for snapshot in await snapshots(restic)]
    assert len(ids) == 2
    assert f"this run has 2 snapshots, {ids[0]} and {ids[1]}" in report.message


WORKER = """
import asyncio, os, sys
from activities.restic.commands import Output, run
asyncio.run(run(sys.argv[1:], dict(os.environ), Output()))
"""
WITH_CAPABILITIES = (
    '#!/bin/sh\nexec setpriv --reuid=65534 --regid=65534 --clear-groups "$(dirname "$0")/capable" '
    '--limit-upload 4000 --pack-size 4 "$@"\n'
)
"""Gets a right that its user does not have: the kernel forgets then that it should end with its parent."""


async def test_a_restic_with_file_capabilities_ends_with_its_worker(
    open_restic: Restic, monkeypatch: pytest.MonkeyPatch
) -> None:
    restic = open_restic
    restic.fill(60)
    capable = restic.folder / "bin" / "capable"
    monkeypatch.setenv("PATH", restic.path_with(WITH_CAPABILITIES))
    shutil.copy(shutil.which("restic", path=os.environ["PATH"].partition(os.pathsep)[2]) or "", capable)
    setcap = await asyncio.create_subprocess_exec("/usr/sbin/setcap", "cap_dac_override=ep", str(capable))
    assert await setcap.wait() == 0
    worker = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", WORKER, "backup", "--no-cache", str(restic.source)),
        cwd=ROOT,
        env={
            **os.environ,
            "RESTIC_REPOSITORY": str(restic.repository),
            "RESTIC_PASSWORD_FILE": str(restic.password_file),
        },
    )
    await restic.uploads()
    processes = psutil.Process(worker.pid).children(recursive=True)
    assert "capable" in [process.name() for process in processes]
    worker.kill()
    await worker.wait()
    await eventually_async(lambda: asyncio.sleep(0, not any(process.is_running() for process in processes)))
    assert restic.locks() == []
    assert await snapshots(restic) == []


async def test_a_report_of_a_first_attempt_is_plain(restic: Restic) -> None:
    report: BackupReport = await made(restic.policy())
    assert (report.outcome, report.warnings) == (Outcome.COMPLETED, [])
