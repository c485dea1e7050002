"""Checks of the system schedule: whether it makes its passes, and which engine of the server carries schedules out."""

from datetime import UTC, datetime, timedelta
from typing import Any, Final

from temporalio.api.workflowservice.v1 import DescribeScheduleResponse
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.service import RPCError

from backup_scheduler.jobs.names import SYSTEM_SCHEDULE
from backup_scheduler.temporal.client import reason
from backup_scheduler.temporal.schedule_engine import is_on_new_engine
from backup_scheduler.temporal.stored_jobs import describe_schedule
from rpc_service.gateway.faults import is_missing
from rpc_service.gateway.findings import SEE_TEMPORAL, Finding, State, span_of

PASSES: Final = "passes"
ENGINE: Final = "schedule engine"

_LONGEST_WITHOUT_PASS: Final = timedelta(minutes=90)
"""Passes come every hour."""


async def of_system_schedule(client: Client, now: datetime) -> list[Finding]:
    """Look at the passes and the engine. Raises RPCError."""
    try:
        described = await describe_schedule(client, SYSTEM_SCHEDULE)
    except RPCError as error:
        if not is_missing(error):
            raise
        unknown = "not known before a worker has made the system schedule"
        return [
            Finding(PASSES, State.FAULT, reason(error), SEE_TEMPORAL),
            Finding(ENGINE, State.WARNING, unknown, "start a worker"),
        ]
    return [await _passes(client, described, now), await _engine(client)]


async def _passes(client: Client, described: DescribeScheduleResponse, now: datetime) -> Finding:
    state, info = described.schedule.state, described.info
    if state.paused:
        todo = f"temporal schedule toggle --unpause --schedule-id {SYSTEM_SCHEDULE} --reason 'passes are needed'"
        return Finding(PASSES, State.FAULT, f"the system schedule is paused: {state.notes}", todo)
    if not info.recent_actions:
        return Finding(PASSES, State.WARNING, "none was made yet", "wait for the next full hour")
    last = info.recent_actions[-1]
    at = last.actual_time.ToDatetime(UTC)
    found = f"the last one began {span_of(now - at)} ago"
    if now - at > _LONGEST_WITHOUT_PASS:
        return Finding(PASSES, State.FAULT, found, "look whether a worker is running")
    handle = client.get_workflow_handle(last.start_workflow_result.workflow_id, result_type=dict[str, Any])
    status = (await handle.describe()).status
    if status is WorkflowExecutionStatus.RUNNING:
        return Finding(PASSES, State.OK, f"{found} and goes on")
    if status is not WorkflowExecutionStatus.COMPLETED:
        return Finding(PASSES, State.FAULT, f"{found} and failed", f"temporal workflow show -w {handle.id}")
    result = await handle.result()
    failures = result.get("failures") or {}
    if not failures:
        return Finding(PASSES, State.OK, f"{found}: {result.get('looked_at')} jobs, all well")
    named = "; ".join(f"{job}: {why}" for job, why in list(failures.items())[:3])
    return Finding(PASSES, State.WARNING, f"{found}: {len(failures)} jobs are not well: {named}", "get_job of each")


async def _engine(client: Client) -> Finding:
    if not await is_on_new_engine(client, SYSTEM_SCHEDULE):
        return Finding(ENGINE, State.OK, "the one that keeps all runs")
    todo = "switch history.enableCHASMSchedulerCreation off, then remove all jobs and add them anew"
    return Finding(ENGINE, State.FAULT, "the newer one, which loses runs of jobs with a duration", todo)
