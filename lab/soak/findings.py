"""The audit of a whole soak, step by step: what is there is read, and handed to the judges."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from temporalio.client import Client

from backup_scheduler.contract.methods import GET_ALL, LIST
from backup_scheduler.jobs.names import SYSTEM_SCHEDULE
from lab.parts.answers import Reply
from lab.parts.schedules import StoredJob, UnfitSchedule
from lab.parts.stored_states import read_job
from lab.soak import audit, audit_jobs
from lab.soak.figures import Tally
from lab.soak.job import Job
from lab.soak.looks import Ends
from lab.soak.repository import Repository, sampled
from lab.soak.rpc import Rpc
from lab.soak.runs import Run, Wanted, read_runs, wanted_due, wanted_triggered, wrong_histories
from lab.soak.target import Target
from lab.soak.timed import TimedSchedule

_PAUSE = 1.0

_AT_ONCE = 10
"""Questions to Temporal in flight."""

_PAGE = 50

_MOST_RESTORED = 24
"""Snapshots that are restored at most, at half a second each; more are a sample."""


@dataclass(frozen=True)
class Evidence:
    """Everything that the audit of a soak looks at."""

    client: Client
    rpc: Rpc
    target: Target
    repository: Repository
    task_queue: str
    patience: float
    """Seconds for the runs that are under way at the end."""
    timed: list[TimedSchedule]
    jobs: list[Job]
    restic_jobs: list[Job]
    """Those of the jobs that make backups with restic."""
    ends: Ends
    """What was done to end runs; a run that is under way may be ended yet."""
    outages: list[tuple[float, float]]
    """Beginnings and ends (of the epoch) of the outages in which Temporal was killed, or its nodes split."""
    splits: list[tuple[float, float]]
    """Those of the outages in which nodes of Temporal could not reach each other, but all the database."""


@dataclass
class Findings:
    """The result of the audit."""

    jobs: Tally
    timed_runs: Tally
    triggered_runs: Tally
    http_backups: Tally
    restic_snapshots: Tally
    snapshots_restored: int
    repeated_requests: int
    """Backups that the target made again under the same Idempotency-Key."""
    slowest_run: float
    """Seconds from the time at which a run came due, or was triggered, to its end, of the slowest one."""
    stale_locks: int
    at_once_by_server: list[str] = field(default_factory=list)
    """Pairs of runs that went on at once, and of which Temporal forgot the first one in a split."""
    complaints: list[str] = field(default_factory=list)


async def audited(evidence: Evidence) -> Findings:
    """Wait for the runs that are under way and compare everything."""
    client, repository = evidence.client, evidence.repository
    due, triggered = wanted_due(evidence.timed), wanted_triggered(evidence.jobs, {})
    runs = await settled_runs(lambda: read_runs(client), {**due, **triggered}, evidence.patience)
    triggered = wanted_triggered(evidence.jobs, evidence.ends)
    wanted = {**due, **triggered}
    of_timed, of_jobs = ({each.scheduler_id for each in known} for known in (evidence.timed, evidence.jobs))
    of_restic = {job.scheduler_id for job in evidence.restic_jobs}
    by_restic = [run for run in runs if run.schedule in of_restic]
    by_http = [run for run in runs if run.schedule in (of_timed | of_jobs) - of_restic]
    stored = await _stored(client, evidence.jobs)
    snapshots = await repository.snapshots()
    chosen = sampled(snapshots, _MOST_RESTORED)
    removals = {job.scheduler_id: job.removals for job in evidence.jobs}
    listed = await _listed(evidence.rpc)
    await evidence.rpc.close()
    broken = await repository.check()
    return Findings(
        jobs=audit_jobs.jobs_tally(evidence.jobs, stored, evidence.task_queue),
        timed_runs=audit.runs_tally([run for run in runs if run.schedule in of_timed], due, evidence.outages),
        triggered_runs=audit.runs_tally([run for run in runs if run.schedule in of_jobs], triggered, evidence.outages),
        http_backups=audit.requests_tally(by_http, wanted, evidence.target.requests),
        restic_snapshots=audit.snapshots_tally(by_restic, snapshots),
        snapshots_restored=len(chosen),
        repeated_requests=audit.repeated(evidence.target.requests),
        slowest_run=audit.slowest(runs),
        stale_locks=await repository.locks(),
        at_once_by_server=audit.forgotten(runs, removals, evidence.splits),
        complaints=[
            *audit.strays(runs, of_timed | of_jobs),
            *audit.at_once(runs, removals, evidence.splits),
            *await wrong_histories(client, runs),
            *audit_jobs.schedules_nobody_asked_for(
                [entry.id async for entry in await client.list_schedules()], of_timed | of_jobs | {SYSTEM_SCHEDULE}
            ),
            *(fault for name, reply in listed for fault in audit_jobs.list_faults(name, reply, evidence.jobs, stored)),
            *([broken] if broken else []),
            *await repository.differences(chosen),
        ],
    )


async def settled_runs(
    read: Callable[[], Awaitable[list[Run]]], wanted: Mapping[str, Wanted], patience: float, pause: float = _PAUSE
) -> list[Run]:
    """Return all runs as soon as none is open and none is missing, at the latest after `patience` seconds."""
    deadline = time.monotonic() + patience
    while audit.unsettled(runs := await read(), wanted) and time.monotonic() <= deadline:
        await asyncio.sleep(pause)
    return runs


async def _listed(rpc: Rpc) -> list[tuple[str, Reply | None]]:
    """Return the answer of get_jobs, and one like it that is put together of the pages of list_jobs."""
    described: list[Any] = []
    place = None
    while True:
        page = await rpc.call(LIST, {"limit": _PAGE, "after": place})
        if page is None or page["code"] != 200:
            break
        described += page["description"]["jobs"]
        place = page["description"]["next"]
        if place is None:
            page = {"code": 200, "description": sorted(described, key=lambda job: str(job["job_id"]))}
            break
    return [(GET_ALL, await rpc.call(GET_ALL, {})), (LIST, page)]


async def _stored(client: Client, jobs: list[Job]) -> dict[str, StoredJob | UnfitSchedule]:
    """Read what is stored under the ids of the jobs; those without a schedule are left out."""
    places = asyncio.Semaphore(_AT_ONCE)

    async def look(scheduler_id: str) -> tuple[str, StoredJob | UnfitSchedule | None]:
        async with places:
            try:
                return scheduler_id, await read_job(client, scheduler_id)
            except UnfitSchedule as fault:
                return scheduler_id, fault

    found = await asyncio.gather(*(look(job.scheduler_id) for job in jobs))
    return {scheduler_id: stored for scheduler_id, stored in found if stored is not None}
