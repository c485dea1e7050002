"""What check_scheduler says of the passes over all jobs: lost runs and the schedule engine of jobs are not hidden."""

from datetime import UTC, datetime
from typing import Any

import pytest
from temporalio.api.schedule.v1 import ScheduleActionResult
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from backup_scheduler.jobs.names import SYSTEM_SCHEDULE
from backup_scheduler.temporal.stored_jobs import describe_schedule
from rpc_service.gateway import pass_checks
from rpc_service.gateway.findings import State
from rpc_service.gateway.pass_checks import engine_of, of_system_schedule, what_a_pass_found
from tests.support.passes import a_pass

WELL = {"looked_at": 12, "runs_dropped": 0, "runs_missed_catchup": 0, "failed": 0, "failures": {}}


@pytest.mark.parametrize(
    ("result", "earlier", "state", "texts"),
    [
        ({}, {}, "ok", ["12 jobs, all well"]),
        ({"failed": 1, "failures": {"a": "broken"}}, {}, "warning", ["1 jobs are not well: a: broken"]),
        ({"runs_dropped": 3, "losers": ["a"]}, {"runs_dropped": 1}, "warning", ["2 runs were dropped", "a"]),
        (
            {"runs_dropped": 3, "losers": ["a"]},
            {"runs_dropped": 3},
            "ok",
            ["since their jobs were made", "3 runs", "a"],
        ),
        ({"runs_missed_catchup": 2}, {}, "warning", ["2 occurrences were too old"]),
        ({"runs_missed_catchup": 2}, {"runs_missed_catchup": 2}, "ok", ["2 occurrences were too old"]),
    ],
)
def test_a_pass_that_found_lost_runs_does_not_say_that_all_is_well(
    result: dict[str, Any], earlier: dict[str, Any], state: str, texts: list[str]
) -> None:
    finding = what_a_pass_found("the last one", {**WELL, **result}, {**WELL, **earlier})
    assert finding.state == state
    assert all(text in finding.found for text in texts)
    assert ("all well" in finding.found) == (not result)
    assert bool(finding.todo) == (state != "ok")


def test_jobs_on_the_newer_engine_are_a_fault_that_names_them_though_the_system_schedule_is_not_there() -> None:
    finding = engine_of({**WELL, "on_new_engine": 5, "new_engine_jobs": ["a", "b", "c", "d", "e"]}, is_new=False)
    assert finding.state is State.FAULT
    assert "5 jobs: a, b, c" in finding.found
    assert "remove these jobs" in finding.todo


def test_a_system_schedule_on_the_newer_engine_is_no_reason_to_remove_jobs() -> None:
    finding = engine_of(WELL, is_new=True)
    assert finding.state is State.FAULT
    assert f"temporal schedule delete --schedule-id {SYSTEM_SCHEDULE}" in finding.todo
    assert "names the jobs" in finding.todo


async def test_the_passes_that_were_made_are_read(temporal: Client) -> None:
    result = await a_pass(temporal)
    passes, engine = await of_system_schedule(temporal, datetime.now(UTC))
    assert f"{result['looked_at']} jobs" in passes.found
    assert (engine.state, engine.found) == ("ok", "the one that keeps all runs")


@pytest.mark.parametrize(
    ("status", "text"),
    [(RPCStatusCode.NOT_FOUND, "there is no system schedule"), (RPCStatusCode.FAILED_PRECONDITION, "cannot go on")],
)
async def test_a_system_schedule_that_a_worker_makes_anew_is_no_fault_of_temporal(
    monkeypatch: pytest.MonkeyPatch, status: RPCStatusCode, text: str
) -> None:
    async def describe(client: Client, schedule_id: str) -> None:
        raise RPCError("schedule not found", status, b"")

    monkeypatch.setattr(pass_checks, "describe_schedule", describe)
    client = await Client.connect("127.0.0.1:1", lazy=True)
    passes, engine = await of_system_schedule(client, datetime.now(UTC))
    assert (passes.state, engine.state) == ("fault", "warning")
    assert text in passes.found
    assert "a worker that runs makes it anew within ten minutes" in passes.todo


async def test_a_pass_that_somebody_deleted_does_not_hide_the_others(temporal: Client) -> None:
    await a_pass(temporal)
    described = await describe_schedule(temporal, SYSTEM_SCHEDULE)
    gone = ScheduleActionResult()
    gone.CopyFrom(described.info.recent_actions[0])
    gone.start_workflow_result.workflow_id = "gone"
    assert (await pass_checks.Pass.read(temporal, gone)).result is None
