"""Copies of a run are listed and described as the run that the worker made."""

from collections.abc import Iterator
from typing import Any

import pytest
from temporalio.client import Client

from backup_scheduler.contract.methods import GET_RUN, GET_RUNS, SERVICE
from backup_scheduler.runs.asked import StartedBy
from devstack.running import StackInfo
from lab.bench.callers import RpcCallers, rpc_callers
from lab.bench.many_runs import ManyRuns

OF_EACH = ("run_id", "scheduled_at", "started_at", "closed_at")


@pytest.fixture
def callers(stack: StackInfo, scheduler_id: str) -> Iterator[RpcCallers]:
    with rpc_callers(stack.amqp_uri, 1) as connected:
        connected.call(SERVICE, "add", scheduler_id)
        yield connected
        connected.call(SERVICE, "remove", scheduler_id)


async def test_copies_are_listed_and_described_like_runs_of_the_worker(
    callers: RpcCallers, scheduler_id: str, temporal: Client
) -> None:
    def common(run: dict[str, Any]) -> dict[str, Any]:
        return {key: value for key, value in run.items() if key not in OF_EACH}

    runs = ManyRuns(temporal, scheduler_id)
    runs.run(callers, 2)
    await runs.all_ended()
    await runs.copy(5)
    _, listed = callers.answer(SERVICE, GET_RUNS, scheduler_id=scheduler_id)
    found = listed["runs"]
    assert [len({run[key] for run in found}) for key in ("run_id", "scheduled_at")] == [5, 5]
    assert [common(run) for run in found] == [common(found[-1])] * 5
    assert (found[0]["outcome"], found[0]["started_by"], found[0]["reason"]) == (
        "completed",
        StartedBy.RUN_JOB,
        "to be listed",
    )
    described = [callers.answer(SERVICE, GET_RUN, run_id=run["run_id"])[1] for run in found]
    assert [common(run) for run in described] == [common(described[-1])] * 5
    assert described[0]["answer"] == found[0]["answer"]


async def test_only_a_run_that_has_completed_is_copied(
    callers: RpcCallers, scheduler_id: str, temporal: Client
) -> None:
    with pytest.raises(RuntimeError, match="has no run that could be copied"):
        await ManyRuns(temporal, scheduler_id).copy(1)
