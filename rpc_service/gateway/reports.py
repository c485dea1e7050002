"""Reports on runs, for report_run: updates of the run's workflow, which says whether it takes a report."""

from typing import Any

from temporalio.client import (
    Client,
    WorkflowHandle,
    WorkflowUpdateFailedError,
    WorkflowUpdateRPCTimeoutOrCancelledError,
)
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError

from backup_scheduler.contract.errors import ReportRefused, ReportTimeout, RunNotFound
from backup_scheduler.jobs.names import BACKUP_WORKFLOW, REPORT_UPDATE
from backup_scheduler.masking import masked
from backup_scheduler.runs.reports import NOT_AWAITED, TOO_SOON, RunReport
from rpc_service.gateway.faults import DEADLINE, is_missing


async def give_report(client: Client, report: RunReport, request_id: str) -> dict[str, Any]:
    """Give a run a report; return the run, the outcome, and whether the report was taken.

    A report of the end is taken once, however often it comes, also after the run has closed: its digest is the id of
    the update, which Temporal keeps with the run. Progress that comes too soon after other progress is not taken, which
    is no error. Raises RunNotFound, ReportRefused, ReportTimeout and RPCError.
    """
    handle = client.get_workflow_handle(report.run_id)
    await _check_that_it_is_a_run(handle)  # another workflow could have an update of this name
    if report.message:
        report = report.model_copy(update={"message": masked(report.message)})
    update_id = report.digest() if report.is_final else f"{report.digest()} {request_id}"
    try:
        await handle.execute_update(REPORT_UPDATE, report, id=update_id)
    except WorkflowUpdateFailedError as error:
        refusal = error.cause
        if isinstance(refusal, ApplicationError) and refusal.type == TOO_SOON:
            return _described(report, taken=False)
        if isinstance(refusal, ApplicationError) and refusal.type == NOT_AWAITED:
            raise ReportRefused(report.run_id, refusal.message) from None
        raise ReportRefused(report.run_id, "its worker is of a release without reports") from error
    except WorkflowUpdateRPCTimeoutOrCancelledError:
        raise ReportTimeout(DEADLINE) from None
    except RPCError as error:
        if not is_missing(error):
            raise
        raise ReportRefused(report.run_id, "the run has ended") from None
    return _described(report, taken=True)


async def _check_that_it_is_a_run(handle: WorkflowHandle[Any, Any]) -> None:
    try:
        found = await handle.describe()
    except RPCError as error:
        if not is_missing(error):
            raise
        raise RunNotFound(handle.id) from None
    if found.workflow_type != BACKUP_WORKFLOW:
        raise RunNotFound(handle.id)


def _described(report: RunReport, *, taken: bool) -> dict[str, Any]:
    return {"run_id": report.run_id, "outcome": report.outcome, "taken": taken}
