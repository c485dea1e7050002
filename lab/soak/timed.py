"""Schedules that are due every few seconds; only their interval is not made by the real mapping, which takes days.

Their nominal times can be computed exactly, so the right runs are known.
"""

import dataclasses
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from temporalio.client import Client, Schedule, ScheduleIntervalSpec, ScheduleUpdate

from backup_scheduler.jobs.request import BackupRequest
from backup_scheduler.jobs.terms import BackupJob
from backup_scheduler.jobs.timing import phase
from backup_scheduler.jobs.to_schedule import Alignment, schedule_for
from lab.parts.answers import Terms
from lab.soak.job import run_id

TERMS: Final = Terms("soak", days=1, start_time="00:00", duration=0, misfire_grace_time=86400)
"""Terms of all these schedules."""

_LEAD = timedelta(seconds=3)


@dataclass
class TimedSchedule:
    """One schedule, from its first run to its end."""

    scheduler_id: str
    every: timedelta
    first_run: datetime
    end: datetime | None = None
    """No run is due after it; None until it is decided."""
    settled: datetime | None = None
    """Moment at which Temporal knew the end; a server that was just killed may know it only after the end."""

    def schedule(self, task_queue: str) -> Schedule:
        """Return the schedule of a job with these times."""
        job = BackupJob(scheduler_id=self.scheduler_id, **TERMS.arguments())
        alignment = Alignment(BackupRequest.of(job, "UTC", self.first_run.date()), self.first_run)
        made = schedule_for(alignment, task_queue)
        interval = ScheduleIntervalSpec(every=self.every, offset=phase(self.first_run, self.every))
        made.spec = dataclasses.replace(made.spec, intervals=[interval], end_at=self.end)
        return made

    def times(self) -> list[datetime]:
        """Return all times at which it was due."""
        assert self.end is not None  # noqa: S101  # decided by then
        count = int((self.end - self.first_run) / self.every) + 1
        return [self.first_run + number * self.every for number in range(max(count, 0))]

    def due(self) -> list[str]:
        """Return the workflow ids of all runs that have to be there."""
        return [run_id(self.scheduler_id, time) for time in self.times()]

    def open(self) -> list[str]:
        """Return the workflow ids of runs after the end that may be there: Temporal did not know the end yet."""
        time = (self.times() or [self.first_run - self.every])[-1] + self.every
        settled = self.settled or self.first_run
        ids = []
        while time <= settled:
            ids.append(run_id(self.scheduler_id, time))
            time += self.every
        return ids


class TimedSchedules:
    """Makes the schedules, and ends them at a moment that is confirmed."""

    def __init__(self, client: Client, task_queue: str) -> None:
        self.all: list[TimedSchedule] = []
        self._client = client
        self._task_queue = task_queue

    async def start(self, intervals: list[int]) -> None:
        """Make a schedule for each interval (in seconds).

        They have no search attributes of their own, so neither get_jobs nor the pass over all jobs takes them for jobs.
        """
        for number, seconds in enumerate(intervals, start=1):
            first = (datetime.now(UTC) + _LEAD).replace(microsecond=0)
            timed = TimedSchedule(f"soak-timed-{number}", timedelta(seconds=seconds), first)
            await self._client.create_schedule(timed.scheduler_id, timed.schedule(self._task_queue))
            self.all.append(timed)

    async def end(self) -> None:
        """Let no run be due after a moment that is 3 s ahead, half-way between two times; Temporal has to be up."""
        for timed in self.all:
            now = datetime.now(UTC) + _LEAD
            timed.end = timed.first_run + (int((now - timed.first_run) / timed.every) + 0.5) * timed.every
            wanted = timed.schedule(self._task_queue)
            handle = self._client.get_schedule_handle(timed.scheduler_id)
            while (await handle.describe()).schedule.spec.end_at != timed.end:
                await handle.update(lambda _, wanted=wanted: ScheduleUpdate(wanted))  # type: ignore[misc]  # mypy infers no lambda with a default
            timed.settled = datetime.now(UTC)
