"""What a worker makes in its namespace before it works: search attributes, and the schedule of the passes."""

import structlog
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from backup_scheduler.jobs.names import SEARCH_ATTRIBUTES, SYSTEM_SCHEDULE
from backup_scheduler.temporal.client import is_refusal
from backup_scheduler.temporal.namespace import command_for, missing_search_attributes, register_search_attributes
from backup_scheduler.temporal.schedule_engine import is_on_new_engine
from backup_scheduler.temporal.system_schedule import put_system_schedule

_log = structlog.stdlib.get_logger("worker")


async def prepare(client: Client, task_queue: str) -> None:
    """Make search attributes and the system schedule in the namespace; log what an administrator has to make.

    Raises RPCError if Temporal is away.
    """
    refusal: RPCError | None = None
    try:
        await register_search_attributes(client)
    except RPCError as error:
        if error.status == RPCStatusCode.UNAVAILABLE:
            raise
        refusal = error
    await _log_missing_search_attributes(client, refusal)
    try:
        await put_system_schedule(client, task_queue)
    except RPCError as error:
        if error.status == RPCStatusCode.UNAVAILABLE:
            raise
        _log.warning("system schedule not made", needed=SYSTEM_SCHEDULE, error=error.message)
        return
    await _log_new_engine(client)


async def _log_new_engine(client: Client) -> None:
    """Log if the server makes schedules with its newer engine; passes look at each job."""
    try:
        found = await is_on_new_engine(client, SYSTEM_SCHEDULE)
    except RPCError as error:
        if error.status == RPCStatusCode.UNAVAILABLE:
            raise
        return
    if found:
        _log.error(
            "this server's schedules are on its newer engine, which loses runs of jobs with a duration: switch it off",
            namespace=client.namespace,
            setting="history.enableCHASMSchedulerCreation",
        )


async def _log_missing_search_attributes(client: Client, refusal: RPCError | None) -> None:
    """Log the missing search attributes, without which no job can be added, and the command that makes them."""
    try:
        missing = await missing_search_attributes(client)
    except RPCError as error:
        if error.status == RPCStatusCode.UNAVAILABLE:
            raise
        if refusal:  # neither made nor looked at
            missing = dict.fromkeys((key.name for key in SEARCH_ATTRIBUTES), "Keyword")
            _log.warning(
                "search attributes perhaps missing", needed=missing, error=refusal.message, namespace=client.namespace
            )
        return
    if not missing:
        return
    _log.error(
        "search attributes missing: no job can be added until an administrator has made them",
        needed=missing,
        namespace=client.namespace,
        command=command_for(client.namespace, missing),
        permission=f"{client.namespace}:admin" if refusal and is_refusal(refusal) else None,
        error=refusal.message if refusal else None,
    )
