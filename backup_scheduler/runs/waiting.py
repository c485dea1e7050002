"""The runs that wait for another run of their job. Temporal tells only their number."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from backup_scheduler.jobs.from_schedule import ScheduledJob
from backup_scheduler.jobs.names import run_id
from backup_scheduler.runs.asked import Asked, Request, StartedBy


@dataclass(frozen=True)
class WaitingRun:
    """A run that has not started."""

    run_id: str
    asked: Asked
    since: datetime
    """When it came due or was asked for."""


def waiting_runs(job: ScheduledJob, requests: Sequence[Request], now: datetime) -> list[WaitingRun]:
    """Return the runs of a job that wait, the last one first. The job must not be broken.

    They start in the order in which they came due or were asked for, so those that wait are the last ones.
    """
    number = job.losses.waiting
    started = {*job.started, *job.under_way}
    candidates = {
        run.run_id: run
        for run in (*_due(job, now, number), *_asked_for(job, requests, number))
        if run.run_id not in started
    }
    return sorted(candidates.values(), key=lambda run: (run.since, run.run_id), reverse=True)[:number]


def _due(job: ScheduledJob, now: datetime, number: int) -> Iterator[WaitingRun]:
    by_time = Asked(by=StartedBy.SCHEDULE)
    ahead = job.starts_ahead(now, ())
    for nominal in _back_from(job, now, job.created_at, number + 1):  # one may be due later in its window
        if nominal not in ahead:
            yield WaitingRun(run_id(job.schedule_id, nominal), by_time, nominal)


def _asked_for(job: ScheduledJob, requests: Sequence[Request], number: int) -> Iterator[WaitingRun]:
    for request in (each for each in requests if each.taken):
        is_backfill = request.asked.by is StartedBy.BACKFILL
        times = _back_from(job, request.last, request.first, number) if is_backfill else [request.first]
        for nominal in times:
            yield WaitingRun(run_id(job.schedule_id, nominal), request.asked, request.asked.at or nominal)


def _back_from(job: ScheduledJob, last: datetime, first: datetime, most: int) -> Iterator[datetime]:
    nominal = job.nominal(last)
    for _ in range(most):
        if nominal < first:
            return
        yield nominal
        nominal -= job.request.every
