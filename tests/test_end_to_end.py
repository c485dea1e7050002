"""From an RPC call to a backup that was made: service, Temporal, worker and backup target together."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from temporalio.client import Client, ScheduleActionExecutionStartWorkflow, ScheduleHandle

from backup_scheduler.contract.methods import ADD, GET
from backup_scheduler.jobs.names import OUTCOME, SCHEDULER_ID
from backup_scheduler.runs.results import BackupResult, Outcome
from lab.parts.backup_service import BackupService
from tests.support.calls import Caller, job
from tests.support.rpc_processes import ZONE


async def only_run(temporal: Client, schedule: ScheduleHandle, patience: float) -> Any:
    """Wait for the schedule's one run; return a handle that knows the result's type."""
    async with asyncio.timeout(patience):
        while not (actions := (await schedule.describe()).info.recent_actions):
            await asyncio.sleep(0.1)
    [run] = actions
    assert isinstance(run.action, ScheduleActionExecutionStartWorkflow)
    return temporal.get_workflow_handle(run.action.workflow_id, result_type=BackupResult)


async def test_a_job_whose_start_time_is_the_next_full_minute_backs_up_then(
    call: Caller, temporal: Client, schedule: ScheduleHandle, scheduler_id: str, backup_endpoint: BackupService
) -> None:
    start = (datetime.now(UTC) + timedelta(seconds=65)).replace(second=0, microsecond=0)
    at = start.astimezone(ZoneInfo(ZONE))
    added = job(call(ADD, scheduler_id, "unlisted", 1, f"{at:%H:%M}", 0, 60, path="/srv", job=scheduler_id))
    assert added["next_run_time"] == f"{at:%Y-%m-%d %H:%M}:00"

    run = await only_run(temporal, schedule, patience=120)
    async with asyncio.timeout(60):
        result: BackupResult = await run.result()

    assert result.outcome is Outcome.COMPLETED
    assert result.scheduled_time == start
    assert start <= result.started_at < start + timedelta(seconds=30)
    assert result.answer is not None
    assert (result.answer.status, result.answer.body) == (202, {"accepted": True})
    forms = [form for each in backup_endpoint.received if (form := dict(each.form)).get("job") == scheduler_id]
    assert forms == [{"policy_name": "unlisted", "path": "/srv", "job": scheduler_id}]
    attributes = (await run.describe()).typed_search_attributes
    assert (attributes[SCHEDULER_ID], attributes[OUTCOME]) == (scheduler_id, "completed")
    tomorrow = at + timedelta(days=1)
    assert job(call(GET, scheduler_id))["next_run_time"][:10] == f"{tomorrow:%Y-%m-%d}"
