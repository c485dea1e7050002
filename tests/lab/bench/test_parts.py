"""The parts of the benchmarks that run programs: what fails, or is not complete, is not measured."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from threading import Barrier

import pytest
import requests

from devstack.running import StackInfo
from lab.bench import backups
from lab.bench.callers import RpcCallers, rpc_callers
from lab.bench.growth import list_all
from lab.bench.peer.scheduler import make_scheduler
from lab.bench.plan import Plan
from lab.bench.supply import Supply
from lab.bench.target import target
from lab.parts.waiting import eventually

THREADS = 12
MET: list[str] = []
TOGETHER = Barrier(THREADS, action=lambda: MET.append("all"))


def meet() -> None:
    """A job that ends when as many others as there are threads have begun."""
    TOGETHER.wait(timeout=60)


@pytest.fixture
def callers(stack: StackInfo) -> Iterator[RpcCallers]:
    with rpc_callers(stack.amqp_uri, 1) as connected:
        yield connected


def test_a_call_that_fails_is_not_measured(callers: RpcCallers, scheduler_id: str) -> None:
    with pytest.raises(RuntimeError, match="404"):
        callers.call("scheduler", "get", scheduler_id)
    with pytest.raises(RuntimeError, match="404"):
        callers.carry_out("scheduler", "remove", Supply([scheduler_id]), 1)


def test_a_list_that_lacks_jobs_is_not_measured(callers: RpcCallers) -> None:
    with pytest.raises(AssertionError):
        list_all(callers, "scheduler", expected=1_000_000, patience=0.1)
    _, listed = callers.get_jobs("scheduler")
    assert list_all(callers, "scheduler", listed) > 0


def test_the_peer_makes_as_many_backups_at_once_as_it_is_told(tmp_path: Path) -> None:
    scheduler = make_scheduler(tmp_path / "jobs.db", THREADS)
    scheduler.start()
    for number in range(THREADS):
        scheduler.add_job(f"{__name__}:meet", "date", run_date=datetime.now(UTC), id=str(number), misfire_grace_time=60)
    eventually(lambda: MET == ["all"])
    eventually(lambda: not scheduler.get_jobs())  # else its thread may fail as it is shut down
    scheduler.shutdown()


@pytest.mark.programs
def test_a_backup_that_lacks_files_is_not_measured(tmp_path: Path) -> None:
    places = backups.Places(tmp_path)
    places.make_data(Plan(tiny=True))
    [data, *_] = backups.DATA
    for policy, options in (("whole", ()), ("empty", ("--exclude=*.bin",))):
        repository, cache = places.repository(policy), places.cache(policy)
        places.restic("backup", *options, str(places.data(data)), repository=repository, cache=cache)
    assert backups.measured(places, data, "ours", 0, "whole", 0).seconds > 0
    with pytest.raises(RuntimeError, match="saved 0 bytes"):
        backups.measured(places, data, "ours", 0, "empty", 0)


@pytest.mark.programs
def test_the_target_counts_the_backups_of_each_batch_for_itself() -> None:
    with target(0) as goal:
        for job in ("a-0", "a-0", "a-1", "b-0"):
            requests.post(goal.url, data={"job": job}, timeout=60).raise_for_status()
        assert (goal.count("a"), goal.count("b"), goal.count("c")) == (3, 1, 0)
        assert {job: len(times) for job, times in goal.seen("a").items()} == {"a-0": 2, "a-1": 1}
        assert goal.seen("c") == {}
