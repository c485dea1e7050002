"""Comparisons of the expected with Temporal's own records, the target and the repository."""

import asyncio
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import pairwise

from temporalio.client import Client, WorkflowExecution, WorkflowExecutionStatus
from temporalio.common import SearchAttributeKey

from backup_scheduler.jobs.names import BACKUP_WORKFLOW, OUTCOME, SYSTEM_SCHEDULE, schedule_id
from backup_scheduler.runs.results import Outcome
from lab.parts.answers import State
from lab.parts.stored_states import UnfitSchedule, stored_state
from lab.soak.figures import Tally
from lab.soak.job import Job
from lab.soak.repository import Repository
from lab.soak.target import Target
from lab.soak.timed import TimedSchedule

_AT_ONCE = 10
"""Questions to Temporal in flight."""

_PAUSE = 1

_SCHEDULED_BY = SearchAttributeKey.for_keyword("TemporalScheduledById")
_SUCCESSES = (Outcome.COMPLETED.value, Outcome.COMPLETED_WITH_WARNINGS.value)


async def jobs(client: Client, expected: Iterable[Job], others: set[str]) -> Tally:
    """Look for every job; `others` are the schedules of no caller's job."""
    tally = Tally()
    places = asyncio.Semaphore(_AT_ONCE)

    async def look(job: Job) -> None:
        async with places:
            try:
                found = await stored_state(client, job.scheduler_id)
            except UnfitSchedule as fault:
                tally.wrong.append(str(fault))
                return
        if found is not None:
            tally.names.append(job.scheduler_id)
        _judge(tally, job, found)

    known = list(expected)
    await asyncio.gather(*map(look, known))
    ids = {schedule_id(job.scheduler_id) for job in known} | others | {SYSTEM_SCHEDULE}
    async for entry in await client.list_schedules():
        if entry.id not in ids:
            tally.doubled.append(f"{entry.id} is a schedule that nobody asked for")
    return tally


def _judge(tally: Tally, job: Job, found: State) -> None:
    tally.found += found is not None
    certain = job.certain
    tally.either += not certain
    # Where a job may be there or not, it is expected only if it is there.
    tally.expected += (found is not None and found in job.possible) if not certain else job.possible != {None}
    if found in job.possible:
        return
    if found is None:
        tally.lost.append(f"{job.scheduler_id}: has to be {_possible(job)}")
    elif job.possible == {None}:
        tally.doubled.append(f"{job.scheduler_id}: was removed, but there is {found}")
    else:
        tally.wrong.append(f"{job.scheduler_id}: {found}, has to be {_possible(job)}")


def _possible(job: Job) -> str:
    return " or ".join(str(state or "absent") for state in job.possible)


@dataclass
class Runs:
    """All runs in Temporal's records."""

    by_id: dict[str, list[WorkflowExecution]] = field(default_factory=lambda: defaultdict(list))
    """By workflow id: a job and the nominal time of an occurrence."""
    by_schedule: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    """Workflow ids by the schedule that started them."""

    @classmethod
    async def read(cls, client: Client) -> "Runs":
        """Read them."""
        runs = cls()
        async for run in client.list_workflows(f'WorkflowType="{BACKUP_WORKFLOW}"'):
            if run.status != WorkflowExecutionStatus.CONTINUED_AS_NEW:
                runs.by_id[run.id].append(run)
                runs.by_schedule[run.typed_search_attributes.get(_SCHEDULED_BY) or ""].append(run.id)
        return runs

    def fault(self, workflow_id: str) -> str | None:
        """Return the reason why a run made no backup; None if it made one."""
        run = self.by_id[workflow_id][0]
        result = run.typed_search_attributes.get(OUTCOME)
        if run.status == WorkflowExecutionStatus.COMPLETED and result in _SUCCESSES:
            return None
        return f"{workflow_id}: {run.status.name if run.status else 'unknown'}, {result}"

    def latest(self, due_by_themselves: Iterable[str]) -> float:
        """Return the longest time from a run's nominal time to its end, in seconds."""
        ends = [
            (run.close_time - datetime.fromisoformat(each[-20:])).total_seconds()
            for each in due_by_themselves
            for run in self.by_id.get(each, [])
            if run.close_time
        ]
        return max(ends, default=0.0)

    def at_once(self, triggered: Iterable[Job]) -> list[str]:
        """Return the pairs of runs of one job that went on at the same time.

        A job that was removed leaves its run to finish, and one that is added under its id is another job
        (docs/api.md#remove_job).
        """
        removals = {schedule_id(job.scheduler_id): job.removals for job in triggered}
        pairs = []
        for schedule, ids in self.by_schedule.items():
            ordered = sorted((run for id_ in set(ids) for run in self.by_id[id_]), key=lambda run: run.start_time)
            pairs += [
                f"{one.id} and {next_.id} went on at once"
                for one, next_ in pairwise(ordered)
                if one.close_time is None or one.close_time > next_.start_time
                if not any(
                    one.start_time.timestamp() <= removal <= next_.start_time.timestamp()
                    for removal in removals.get(schedule, [])
                )
            ]
        return pairs

    async def check_histories(self, client: Client) -> list[str]:
        """Compare the runs, which were read from the index, with their histories; return the differences."""
        places = asyncio.Semaphore(_AT_ONCE)

        async def look(run: WorkflowExecution) -> str | None:
            async with places:
                history = await client.get_workflow_handle(run.id, run_id=run.run_id).fetch_history()
            last = history.events[-1]
            closed = last.HasField("workflow_execution_completed_event_attributes")
            return None if closed == (run.status == WorkflowExecutionStatus.COMPLETED) else f"{run.id}: {last}"

        checked = await asyncio.gather(*(look(run) for runs in self.by_id.values() for run in runs))
        return [fault for fault in checked if fault]


async def all_runs(client: Client, timed: list[TimedSchedule], triggered: list[Job], patience: float) -> Runs:
    """Return all runs as soon as none is open and none is missing, at the latest after `patience` seconds.

    A run that was triggered just before a server is killed may start a minute later.
    """
    deadline = time.monotonic() + patience
    while True:
        runs = await Runs.read(client)
        is_open = any(run.status == WorkflowExecutionStatus.RUNNING for each in runs.by_id.values() for run in each)
        tallies = (timed_runs(runs, timed), triggered_runs(runs, triggered))
        missing = any(tally.lost for tally in tallies) or any(
            each.end > datetime.now(UTC) for each in timed if each.end
        )
        if not (is_open or missing) or time.monotonic() > deadline:
            return runs
        await asyncio.sleep(_PAUSE)


def timed_runs(runs: Runs, timed: Iterable[TimedSchedule]) -> Tally:
    """Every nominal time has exactly one run."""
    tally = Tally()
    for each in timed:
        there = Counter(runs.by_schedule[schedule_id(each.scheduler_id)])
        either = set(each.open()) & set(there)
        due = {*each.due(), *either}
        tally.expected += len(due)
        tally.found += there.total()
        tally.either += len(either)
        tally.lost += sorted(due - set(there))
        tally.doubled += sorted(set(there) - due) + [id_ for id_, number in there.items() if number > 1]
        tally.wrong += [fault for id_ in there if (fault := runs.fault(id_))]
    return tally


def triggered_runs(runs: Runs, triggered: Iterable[Job]) -> Tally:
    """Every trigger that Temporal confirmed made exactly one run."""
    tally = Tally()
    for job in triggered:
        there = Counter(runs.by_schedule[schedule_id(job.scheduler_id)])
        found = there.total()
        tally.expected += job.runs
        tally.found += found
        tally.either += job.unconfirmed
        if found < job.runs:
            tally.lost.append(f"{job.scheduler_id}: {job.runs - found} of {job.runs}")
        # Two runs of one workflow id are one occurrence twice; more runs than triggers are runs that nobody wanted.
        tally.doubled += [id_ for id_, number in there.items() if number > 1]
        if found > job.runs + job.unconfirmed:
            tally.doubled.append(f"{job.scheduler_id}: {found} runs, {job.runs} asked for")
        tally.wrong += [fault for id_ in there if (fault := runs.fault(id_))]
    return tally


def at_target(runs: Runs, target: Target, tally_of: Callable[[str], Tally], http: set[str]) -> int:
    """Every http run reached the target under one key; return the number of backups repeated under their key."""
    for id_ in http - set(target.successes):
        tally_of(id_).lost.append(f"{id_}: closed, but the target never made its backup")
    for id_, keys in target.successes.items():
        if len(keys) > 1 or id_ not in runs.by_id:
            tally_of(id_).doubled.append(f"{id_}: the target made backups for {len(keys)} keys: {', '.join(keys)}")
    return sum(number - 1 for keys in target.successes.values() for number in keys.values())


async def snapshots(runs: Runs, restic_jobs: Iterable[Job], repository: Repository) -> Tally:
    """Every run of a restic job left exactly one snapshot."""
    tally = Tally()
    found = await repository.snapshots()
    occurrences = {
        f"{run.id}~{run.run_id}"
        for job in restic_jobs
        for id_ in runs.by_schedule[schedule_id(job.scheduler_id)]
        for run in runs.by_id[id_]
    }
    tally.expected, tally.found = len(occurrences), found.total()
    tally.lost += sorted(occurrences - set(found))
    tally.doubled += sorted(set(found) - occurrences) + [each for each, number in found.items() if number > 1]
    return tally
