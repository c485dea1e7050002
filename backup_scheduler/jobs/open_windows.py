"""The window of a job that is open at a moment."""

from datetime import datetime

from temporalio.api.schedule.v1 import ScheduleSpec

from backup_scheduler.jobs.notes import SwitchNote
from backup_scheduler.jobs.timing import latest


def opened(spec: ScheduleSpec, now: datetime) -> datetime | None:
    """Return the nominal time of the window that is open; None if none is. The spec must have one interval."""
    [interval] = spec.interval
    nominal = latest(now, interval.phase.ToTimedelta(), interval.interval.ToTimedelta())
    return nominal if now < nominal + spec.jitter.ToTimedelta() else None


def resumed_within(spec: ScheduleSpec, note: str, now: datetime) -> datetime | None:
    """Return the nominal time of the window that is open, if the note says that the job was resumed within it.

    Its run starts, if its time is ahead, though Temporal does not foresee it
    (docs/temporal-facts.md#an-update-of-a-pause-drops-a-run).
    """
    last, nominal = SwitchNote.read(note), opened(spec, now)
    return nominal if last and nominal and not last.paused and last.at >= nominal else None
