"""The audit of a whole soak, step by step."""

from dataclasses import dataclass, field

from temporalio.client import Client

from backup_scheduler.contract.methods import GET_ALL
from backup_scheduler.jobs.names import schedule_id
from lab.soak import audit
from lab.soak.figures import Tally
from lab.soak.job import Job
from lab.soak.repository import Repository
from lab.soak.rpc import Rpc
from lab.soak.target import Target
from lab.soak.timed import TimedSchedule

_DRAIN = 240
"""Seconds for the runs that are under way at the end: a lost worker is noticed after 30 s, and tries are seconds apart.
"""


@dataclass(frozen=True)
class Evidence:
    """Everything that the audit of a soak looks at."""

    client: Client
    rpc: Rpc
    target: Target
    repository: Repository
    timed: list[TimedSchedule]
    jobs: list[Job]
    restic_jobs: list[Job]
    """Those of the jobs that make backups with restic."""


@dataclass
class Findings:
    """The result of the audit."""

    jobs: Tally
    timed_runs: Tally
    triggered_runs: Tally
    restic_snapshots: Tally
    snapshots_restored: int
    repeated_requests: int
    """Backups that the target made again under the same Idempotency-Key."""
    latest_run: float
    """Seconds from the time at which a run came due to its end, of the slowest one."""
    stale_locks: int
    complaints: list[str] = field(default_factory=list)


async def audited(evidence: Evidence) -> Findings:
    """Wait for the runs that are under way and compare everything."""
    client, repository = evidence.client, evidence.repository
    runs = await audit.all_runs(client, evidence.timed, evidence.jobs, _DRAIN)
    complaints = [*runs.at_once(evidence.jobs), *await runs.check_histories(client)]
    jobs = await audit.jobs(client, evidence.jobs, {schedule_id(each.scheduler_id) for each in evidence.timed})
    timed_runs = audit.timed_runs(runs, evidence.timed)
    triggered_runs = audit.triggered_runs(runs, evidence.jobs)
    due = _due(evidence.timed)
    repeated = audit.at_target(
        runs,
        evidence.target,
        lambda workflow_id: timed_runs if workflow_id in due else triggered_runs,
        set(runs.by_id) - _of(evidence.restic_jobs, runs),
    )
    snapshots = await audit.snapshots(runs, evidence.restic_jobs, repository)
    restored, faults_of_repository = await _restored(repository)
    complaints += [*faults_of_repository, *await _faults_of_list(evidence.rpc, jobs.names)]
    return Findings(
        jobs=jobs,
        timed_runs=timed_runs,
        triggered_runs=triggered_runs,
        restic_snapshots=snapshots,
        snapshots_restored=restored,
        repeated_requests=repeated,
        latest_run=runs.latest(due),
        stale_locks=await repository.locks(),
        complaints=complaints,
    )


def _due(timed: list[TimedSchedule]) -> set[str]:
    """Return the workflow ids of all runs that had to come due, or may have."""
    return {workflow_id for each in timed for workflow_id in (*each.due(), *each.open())}


def _of(jobs: list[Job], runs: audit.Runs) -> set[str]:
    """Return the workflow ids of the runs of these jobs."""
    return {workflow_id for job in jobs for workflow_id in runs.by_schedule[schedule_id(job.scheduler_id)]}


async def _restored(repository: Repository) -> tuple[int, list[str]]:
    """Check the repository and restore its latest snapshots; return their number, and all that is wrong."""
    broken = await repository.check()
    restored, differences = await repository.restore_latest()
    return restored, [*([broken] if broken else []), *differences]


async def _faults_of_list(rpc: Rpc, there: list[str]) -> list[str]:
    """Compare get_jobs with the jobs that are there."""
    reply = await rpc.call(GET_ALL, {})
    await rpc.close()
    listed = [job["job_id"] for job in reply["description"]] if reply and reply["code"] == 200 else reply
    return [] if listed == sorted(there) else [f"get_jobs does not list the jobs that are there: {listed}"]
