"""Checks of the system schedule: whether it makes its passes, and which engine of the server carries schedules out."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Self

from temporalio.api.schedule.v1 import ScheduleActionResult
from temporalio.api.workflowservice.v1 import DescribeScheduleResponse
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.service import RPCError, RPCStatusCode

from backup_scheduler.jobs.names import SYSTEM_SCHEDULE
from backup_scheduler.temporal.schedule_engine import is_on_new_engine
from backup_scheduler.temporal.stored_jobs import describe_schedule
from rpc_service.gateway.faults import is_missing
from rpc_service.gateway.findings import Finding, State, span_of

PASSES: Final = "passes"
ENGINE: Final = "schedule engine"

_LONGEST_WITHOUT_PASS: Final = timedelta(minutes=90)
"""Passes come every hour."""

_MOST_NAMED: Final = 3

_SWITCH_OFF: Final = "switch history.enableCHASMSchedulerCreation off"

Result = Mapping[str, Any]
"""The result of a pass, as its history keeps it; one of an older release lacks some keys."""


async def of_system_schedule(client: Client, now: datetime) -> list[Finding]:
    """Look at the passes and the engine. Raises RPCError."""
    try:
        described = await describe_schedule(client, SYSTEM_SCHEDULE)
    except RPCError as error:
        if is_missing(error):
            found = "there is no system schedule, so no passes are made"
        elif error.status == RPCStatusCode.FAILED_PRECONDITION:  # docs/temporal-facts.md#a-cancel-ends-a-schedule
            found = "the system schedule cannot go on, as after a cancel of its own workflow"
        else:
            raise
        todo = "start a worker; a worker that runs makes it anew within ten minutes, or when it is restarted"
        unknown = "not known before a worker has made the system schedule"
        return [Finding(PASSES, State.FAULT, found, todo), Finding(ENGINE, State.WARNING, unknown, todo)]
    actions = described.info.recent_actions
    looked_at = [*actions[:1], *actions[1:][-2:]]  # the first one tells what was lost since; the last one may go on
    made = await asyncio.gather(*(Pass.read(client, each) for each in looked_at))
    is_new = await is_on_new_engine(client, SYSTEM_SCHEDULE)
    latest = next((each.result for each in reversed(made) if each.result), {})
    return [_passes(described, made, now), engine_of(latest, is_new=is_new)]


@dataclass(frozen=True)
class Pass:
    """A pass that the system schedule remembers."""

    workflow_id: str
    began: datetime
    status: WorkflowExecutionStatus | None
    """None if somebody has deleted it."""
    result: Result | None
    """None unless it has completed."""

    @classmethod
    async def read(cls, client: Client, action: ScheduleActionResult) -> Self:
        """Read a pass. Raises RPCError."""
        workflow_id, began = action.start_workflow_result.workflow_id, action.actual_time.ToDatetime(UTC)
        handle = client.get_workflow_handle(workflow_id, result_type=dict[str, Any])
        try:
            status = (await handle.describe()).status
        except RPCError as error:
            if not is_missing(error):
                raise
            return cls(workflow_id, began, None, None)
        is_complete = status is WorkflowExecutionStatus.COMPLETED
        return cls(workflow_id, began, status, await handle.result() if is_complete else None)


def _passes(described: DescribeScheduleResponse, made: Sequence[Pass], now: datetime) -> Finding:
    state = described.schedule.state
    if state.paused:
        todo = f"temporal schedule toggle --unpause --schedule-id {SYSTEM_SCHEDULE} --reason 'passes are needed'"
        return Finding(PASSES, State.FAULT, f"the system schedule is paused: {state.notes}", todo)
    if not made:
        return Finding(PASSES, State.WARNING, "none was made yet", "wait for the next full hour")
    last = made[-1]
    found = f"the last one began {span_of(now - last.began)} ago"
    if now - last.began > _LONGEST_WITHOUT_PASS:
        return Finding(PASSES, State.FAULT, found, "look whether a worker is running")
    if last.status is WorkflowExecutionStatus.RUNNING:
        return Finding(PASSES, State.OK, f"{found} and goes on")
    if last.result is None:
        became = "failed" if last.status else "was deleted"
        return Finding(PASSES, State.FAULT, f"{found} and {became}", f"temporal workflow show -w {last.workflow_id}")
    earlier = next((each.result for each in made[:-1] if each.result), {})
    return what_a_pass_found(found, last.result, earlier)


def what_a_pass_found(found: str, result: Result, earlier: Result) -> Finding:
    """Look at the result of a pass; the losses in it are sums, of which the earlier pass had a part already."""
    lately, before, todo = [], [], []
    if failures := result.get("failures"):
        named = "; ".join(f"{job}: {why}" for job, why in list(failures.items())[:_MOST_NAMED])
        lately.append(f"{result.get('failed', len(failures))} jobs are not well: {named}")
        todo.append("get_job of each")
    dropped = f"runs were dropped, as 1,000 of their job waited already ({_named(result.get('losers') or ())})"
    for key, what, what_to_do in (
        ("runs_dropped", dropped, "get_run of the run that goes on tells why the others wait"),
        ("runs_missed_catchup", "occurrences were too old to be made up for", "list_jobs with overdue=True names jobs"),
    ):
        number = result.get(key, 0)
        if number > earlier.get(key, 0):
            lately.append(f"lately {number - earlier.get(key, 0)} {what}")
            todo.append(what_to_do)
        elif number:
            before.append(f"{number} {what}")
    found = f"{found}: {result.get('looked_at')} jobs"
    if lately:
        return Finding(PASSES, State.WARNING, f"{found}; {'; '.join(lately)}", "; ".join(todo))
    if before:  # nothing can be done any more, and the sums stay
        return Finding(PASSES, State.OK, f"{found}; since their jobs were made, {'; '.join(before)}")
    return Finding(PASSES, State.OK, f"{found}, all well")


def engine_of(result: Result, *, is_new: bool) -> Finding:
    """Tell which engine has the jobs, by the result of a pass, and whether the newer one has the system schedule.

    The system schedule alone tells only what the server did when it was made.
    """
    if jobs := result.get("new_engine_jobs"):
        number = result.get("on_new_engine", len(jobs))
        found = f"the newer one, which loses runs of jobs with a duration, has {number} jobs: {_named(jobs)}"
        todo = f"{_SWITCH_OFF}, then remove these jobs and add them anew; the next pass tells whether it has any left"
        return Finding(ENGINE, State.FAULT, found, todo)
    if is_new:
        found = "the newer one, which loses runs of jobs with a duration, has the system schedule: it may get jobs, too"
        todo = (
            f"{_SWITCH_OFF}, then temporal schedule delete --schedule-id {SYSTEM_SCHEDULE}: a worker makes it anew "
            "within ten minutes, and then this check names the jobs that are to be removed and added anew"
        )
        return Finding(ENGINE, State.FAULT, found, todo)
    return Finding(ENGINE, State.OK, "the one that keeps all runs")


def _named(jobs: Sequence[str]) -> str:
    return ", ".join([*jobs[:_MOST_NAMED], *(["..."] if len(jobs) > _MOST_NAMED else [])])
