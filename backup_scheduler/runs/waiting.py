"""The runs that wait for another run of their job. Temporal tells only their number."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from backup_scheduler.jobs.from_schedule import ScheduledJob
from backup_scheduler.jobs.names import named_run, run_id
from backup_scheduler.runs.asked import Asked, Request, StartedBy

MOST_WAITING: Final = 1000
"""Runs of a job; Temporal drops more (docs/temporal-facts.md#a-thousand-runs-wait)."""

_LONG_AGO: Final = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True)
class WaitingRun:
    """A run that has not started."""

    run_id: str
    asked: Asked
    since: datetime
    """When it came due or was asked for."""


def waiting_runs(job: ScheduledJob, requests: Sequence[Request], now: datetime) -> list[WaitingRun]:
    """Return the runs of a job that wait, the last one first. The job must not be broken.

    They start in the order in which they came due or were asked for, so those that wait are the last ones. A run that
    was asked for surely waits; an occurrence may have come due during a pause, or before the terms were in force.
    """
    number = job.losses.waiting
    asked = _latest(asked_for(job, requests), number)
    known = {*job.started, *job.under_way, *(run.run_id for run in asked)}
    due = [run for run in _due(job, now, number) if run.run_id not in known]
    return _latest([*asked, *_latest(due, number - len(asked))], number)


def asked_for(job: ScheduledJob, requests: Sequence[Request]) -> list[WaitingRun]:
    """Return the runs that wait because they were asked for; also those that were dropped because 1,000 waited.

    Empty where none waits. The job must not be broken.
    """
    number = job.losses.waiting
    over = {*job.started, *job.under_way}
    turn = min((_asked_at(job, requests, each) for each in job.under_way), default=_LONG_AGO)
    asked = {
        run.run_id: run
        for request in requests
        if request.taken and request.buffered
        for run in _runs_of(job, request, number)
        if run.run_id not in over and run.since >= turn
    }
    return list(asked.values())


def _latest(runs: Iterable[WaitingRun], number: int) -> list[WaitingRun]:
    return sorted(runs, key=lambda run: (run.since, run.run_id), reverse=True)[:number]


def _asked_at(job: ScheduledJob, requests: Sequence[Request], under_way: str) -> datetime:
    """Return when a run that goes on was asked for or came due: what was asked for before has had its turn."""
    named = named_run(under_way)
    if named is None:
        return _LONG_AGO
    _, nominal = named
    asked = (each.asked.at for each in requests if each.taken and each.asks_for(nominal))
    return min((each for each in asked if each is not None), default=nominal)


def _due(job: ScheduledJob, now: datetime, number: int) -> Iterator[WaitingRun]:
    by_time = Asked(by=StartedBy.SCHEDULE)
    ahead = job.starts_ahead(now, ())
    for nominal in _back_from(job, now, job.created_at, number + 1):  # one may be due later in its window
        if nominal not in ahead:
            yield WaitingRun(run_id(job.schedule_id, nominal), by_time, nominal)


def _runs_of(job: ScheduledJob, request: Request, number: int) -> Iterator[WaitingRun]:
    is_backfill = request.asked.by is StartedBy.BACKFILL
    times = _back_from(job, request.last, request.first, number) if is_backfill else [request.first]
    for nominal in times if number else ():
        yield WaitingRun(run_id(job.schedule_id, nominal), request.asked, request.asked.at or nominal)


def _back_from(job: ScheduledJob, last: datetime, first: datetime, most: int) -> Iterator[datetime]:
    nominal = job.nominal(last)
    for _ in range(most):
        if nominal < first:
            return
        yield nominal
        nominal -= job.request.every
