"""What became of runs, many in one request."""

from collections.abc import Collection

from temporalio.api.workflowservice.v1 import ListWorkflowExecutionsRequest
from temporalio.client import Client

from backup_scheduler.jobs.from_schedule import decoded
from backup_scheduler.jobs.names import OUTCOME
from backup_scheduler.jobs.recent_runs import outcome_of


async def outcomes_of(client: Client, run_ids: Collection[str]) -> dict[str, str]:
    """Return what became of each run, by its run id, as Temporal's index has it; it lags, and forgets after retention.

    At most 1,000 ids, as many as an answer has entries. Raises RPCError.
    """
    if not run_ids:
        return {}
    quoted = ", ".join(f"'{run_id}'" for run_id in run_ids)  # UUIDs
    request = ListWorkflowExecutionsRequest(
        namespace=client.namespace, query=f"RunId IN ({quoted})", page_size=len(run_ids)
    )
    found = await client.workflow_service.list_workflow_executions(request, retry=True)
    outcomes = {}
    for info in found.executions:
        published = decoded(info.search_attributes.indexed_fields.get(OUTCOME.name), str)
        if outcome := outcome_of(info.status, published):
            outcomes[info.execution.run_id] = outcome
    return outcomes
