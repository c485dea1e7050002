"""A preview: the next windows of a job, and the starts in them as far as Temporal can tell."""

from datetime import datetime
from zoneinfo import ZoneInfoNotFoundError

from temporalio.service import RPCError

from backup_scheduler.contract.errors import BrokenJob
from backup_scheduler.jobs.description import Description, describe_preview
from backup_scheduler.jobs.from_schedule import ScheduledJob
from backup_scheduler.jobs.request import BackupRequest
from backup_scheduler.jobs.windows import next_windows
from backup_scheduler.temporal.stored_jobs import StoredJob
from rpc_service.gateway.changes import intact
from rpc_service.gateway.faults import is_missing


async def preview(stored: StoredJob, request: BackupRequest, number: int, now: datetime) -> Description:
    """Describe the next windows of a job with the terms of `request`.

    A job that has these terms keeps its first day and its zone; with other terms it would begin anew, as a new job
    does. Raises JobNotFound, BrokenJob and RPCError as `intact` does.
    """
    job = await _intact_if_there(stored)
    if job is None:
        return describe_preview(next_windows(request, now, number), request.zone)
    if job.request.job() == request.job():
        request = job.request
    starts = {}
    # Where a run starts depends on the length of its window and on its nominal time alone
    # (docs/temporal-facts.md#jitter-is-fixed), so windows that new terms keep keep their starts, too.
    if request.window and request.window == job.request.window and not job.paused:
        foreseen = await stored.starts_until(now, now + (number + 2) * request.every)
        starts = job.starts_ahead(now, foreseen)
    try:
        return describe_preview(next_windows(request, now, number, starts), request.zone, paused=job.paused)
    except ZoneInfoNotFoundError:
        fault = (
            f"the RPC service does not know its time zone {request.timezone!r}: bring the machine's tzdata up to date"
        )
        raise BrokenJob(stored.scheduler_id, fault) from None


async def _intact_if_there(stored: StoredJob) -> ScheduledJob | None:
    try:
        return await intact(stored)
    except RPCError as error:
        if is_missing(error):
            return None
        raise
