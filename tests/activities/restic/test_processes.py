"""Processes of restic, seen by another attempt: alive, gone, or out of sight; here they are sleeping ones."""

import asyncio
import os
import shutil
import signal
import socket
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil
import pytest

from activities.restic.processes import (
    Fate,
    StartedRestic,
    _pids,
    fate,
    identify,
    pid_is_unambiguous,
    stop,
    wait_until_ended,
)

SINCE = datetime(2026, 1, 1, tzinfo=UTC)
MACHINES_OWN = str(Path("/proc/self/ns/pid").readlink()) == "pid:[4026531836]"


def ourselves() -> StartedRestic:
    found = identify(os.getpid(), SINCE)
    assert found
    return found


def test_a_process_is_identified_by_machine_boot_namespace_pid_user_and_start() -> None:
    process = psutil.Process()
    found = ourselves()
    ticks = os.sysconf("SC_CLK_TCK")
    assert found.host == socket.gethostname()
    assert found.boot == Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    assert found.pid_namespace == str(Path("/proc/self/ns/pid").readlink())
    assert (found.pid, found.uid, found.since) == (process.pid, os.getuid(), SINCE)
    assert abs(psutil.boot_time() + found.started / ticks - process.create_time()) < 2


def test_a_process_that_is_not_there_has_no_identity() -> None:
    assert identify(2**22 + 1, SINCE) is None  # above the highest pid of Linux


def test_a_process_that_ends_while_it_is_looked_at_has_no_pids() -> None:
    assert _pids(Path(f"/proc/{2**22 + 1}")) == []
    assert os.getpid() in _pids(Path("/proc/self"))


def test_a_process_is_alive_while_this_very_one_runs_and_gone_else() -> None:
    found = ourselves()
    assert fate(found) is Fate.ALIVE
    assert fate(found.model_copy(update={"started": found.started - 1})) is Fate.GONE, "its pid is another's now"
    assert fate(found.model_copy(update={"pid": 2**22 + 1})) is Fate.GONE


@pytest.mark.parametrize("elsewhere", [{"boot": "another"}, {"pid_namespace": "pid:[1]"}])
def test_a_process_of_another_boot_or_namespace_is_out_of_sight(elsewhere: dict[str, str]) -> None:
    found = ourselves().model_copy(update=elsewhere)
    assert fate(found) is Fate.UNKNOWN
    assert not pid_is_unambiguous(found)


def test_a_pid_that_a_process_has_now_is_ambiguous() -> None:
    assert not pid_is_unambiguous(ourselves())


@pytest.mark.skipif(
    not MACHINES_OWN, reason="only the machine's initial PID namespace sees the processes of all others"
)
def test_a_pid_that_no_process_has_is_unambiguous_where_all_are_seen() -> None:
    assert pid_is_unambiguous(ourselves().model_copy(update={"pid": 2**22 + 1}))


@pytest.fixture
async def child() -> AsyncIterator[asyncio.subprocess.Process]:
    """A process that outlives SIGINT, and says when it has got one."""
    script = "trap 'echo interrupted' INT; echo ready; while true; do sleep 0.1; done"
    process = await asyncio.create_subprocess_exec("bash", "-c", script, stdout=asyncio.subprocess.PIPE)
    assert process.stdout
    assert await process.stdout.readline() == b"ready\n"
    yield process
    if process.returncode is None:
        process.kill()
    await process.communicate()  # to the end of its output, which a child may hold open for a moment


@pytest.mark.programs
def test_a_process_is_identified_whatever_its_program_is_called(tmp_path: Path) -> None:
    program = os.fsencode(tmp_path) + b"/a) Z 1 (\xff"
    shutil.copy(b"/bin/sleep", program)
    pid = os.posix_spawn(program, ["sleep", "60"], {})
    try:
        found = identify(pid, SINCE)
        assert found
        assert (
            abs(psutil.boot_time() + found.started / os.sysconf("SC_CLK_TCK") - psutil.Process(pid).create_time()) < 2
        )
        assert fate(found) is Fate.ALIVE
        assert not pid_is_unambiguous(found)
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


@pytest.mark.programs
async def test_a_process_that_ends_on_sigint_is_not_killed() -> None:
    process = await asyncio.create_subprocess_exec("sleep", "60")
    found = identify(process.pid, SINCE)
    assert found
    await asyncio.wait_for(stop(found, 30), 20)
    assert await process.wait() == -signal.SIGINT
    assert fate(found) is Fate.GONE
    await asyncio.wait_for(stop(found, 30), 20)  # nothing is left to do


@pytest.mark.programs
async def test_a_process_that_goes_on_after_sigint_is_killed(child: asyncio.subprocess.Process) -> None:
    found = identify(child.pid, SINCE)
    assert found
    assert child.stdout
    await asyncio.wait_for(stop(found, 1), 20)
    assert await child.stdout.readline() == b"interrupted\n"
    assert await child.wait() == -signal.SIGKILL


@pytest.mark.programs
async def test_another_process_that_has_the_pid_now_is_neither_ended_nor_waited_for(
    child: asyncio.subprocess.Process,
) -> None:
    found = identify(child.pid, SINCE)
    assert found
    earlier = found.model_copy(update={"started": found.started - 1})
    await asyncio.wait_for(stop(earlier, 30), 20)
    assert await asyncio.wait_for(wait_until_ended(earlier, 30), 20) is True
    assert child.returncode is None
    assert fate(found) is Fate.ALIVE


@pytest.mark.programs
async def test_the_end_of_a_process_is_waited_for_as_long_as_asked(child: asyncio.subprocess.Process) -> None:
    found = identify(child.pid, SINCE)
    assert found
    assert await wait_until_ended(found, 0.2) is False
    waiting = asyncio.create_task(wait_until_ended(found, 60))
    await asyncio.sleep(0)
    child.kill()
    assert await asyncio.wait_for(waiting, 20) is True


@pytest.mark.programs
def test_a_process_that_has_ended_but_is_not_reaped_is_gone() -> None:
    pid = os.posix_spawn("/bin/true", ["true"], {})
    found = identify(pid, SINCE - timedelta(days=1))
    try:
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        assert identify(pid, SINCE) is None
        assert found is None or fate(found) is Fate.GONE
        own = ourselves().model_copy(update={"pid": pid})
        assert pid_is_unambiguous(own) is MACHINES_OWN, "a zombie writes no locks"
    finally:
        os.waitpid(pid, 0)
