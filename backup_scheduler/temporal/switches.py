"""Pauses and resumptions that hold only for a job as it was seen: nothing that came between is undone."""

from collections.abc import Callable

from backup_scheduler.contract.errors import BrokenJob, JobNotFound
from backup_scheduler.jobs.from_schedule import ScheduledJob
from backup_scheduler.jobs.notes import SwitchNote
from backup_scheduler.temporal.stored_jobs import StoredJob


async def switch_if(
    stored: StoredJob,
    note: SwitchNote,
    request_id: str,
    is_wanted: Callable[[ScheduledJob], bool],
    *,
    is_retry: bool = False,
) -> ScheduledJob | None:
    """Pause or resume a job, as the note says, and repeat that until Temporal has it; None if the job is not wanted.

    A retry does not do again what this request did before. Raises JobNotFound, BrokenJob and RPCError.
    """
    while True:
        job = await stored.read()
        if job is None:
            raise JobNotFound(stored.scheduler_id)
        if not is_retry:
            request_id, is_retry = job.unused(request_id), True
        if job.was_changed_by(request_id) or (not job.paused and note.has_resumed(job.note)):
            return job
        if job.broken:
            raise BrokenJob(stored.scheduler_id, job.broken)
        if not is_wanted(job):
            return None
        await stored.switch(job, note, request_id)
