"""The requests for runs of a schedule, read from the history of the schedule's workflow."""

from datetime import UTC, datetime
from typing import Final

from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.history.v1 import HistoryEvent
from temporalio.api.workflowservice.v1 import GetWorkflowExecutionHistoryReverseRequest
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from backup_scheduler.jobs.to_schedule import LONGEST_RUN
from backup_scheduler.runs.asked import Asked, Request, StartedBy, requests
from backup_scheduler.temporal.schedule_engine import SCHEDULER_WORKFLOW

_PAGE: Final = 250
"""Events of one answer: the server gives 256 at most, and logs a warning if it is asked for more."""

_MOST_PAGES: Final = 40


async def requests_for_runs(client: Client, schedule_id: str, since: datetime | None = None) -> list[Request]:
    """Return the requests for runs of a schedule, the last one first: those since a moment, and perhaps earlier ones.

    There is an end to looking, after the pages of a few years. Raises RPCError.
    """
    events: list[HistoryEvent] = []
    asking = GetWorkflowExecutionHistoryReverseRequest(
        namespace=client.namespace,
        execution=WorkflowExecution(workflow_id=f"{SCHEDULER_WORKFLOW}{schedule_id}"),
        maximum_page_size=_PAGE,
    )
    for _ in range(_MOST_PAGES):
        try:
            page = await client.workflow_service.get_workflow_execution_history_reverse(asking, retry=True)
        except RPCError as error:
            if error.status == RPCStatusCode.NOT_FOUND and asking.execution.run_id:
                break  # the namespace does not keep it any more
            raise
        events += page.history.events
        if not events or (since and events[-1].event_time.ToDatetime(UTC) < since):
            break
        asking.next_page_token = page.next_page_token
        if not page.next_page_token:
            # A schedule's workflow continues as new, with a history of its own each time.
            before = events[-1].workflow_execution_started_event_attributes.continued_execution_run_id
            if not before:
                break
            asking.execution.run_id = before
    return list(requests(events))


async def who_asked(client: Client, schedule_id: str, nominal: datetime, started: datetime) -> Asked:
    """Return who asked for a run; a run that nobody is found to have asked for came due. Raises RPCError."""
    found = await requests_for_runs(client, schedule_id, since=started - LONGEST_RUN)
    mine = (each.asked for each in found if each.taken and each.asks_for(nominal))
    return next(mine, Asked(by=StartedBy.SCHEDULE))
