"""What a fault lost and doubled, counted in Temporal's histories and at the targets of backups."""

import asyncio
import uuid
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import quote

from temporalio.client import Client, Schedule, ScheduleActionStartWorkflow, ScheduleSpec

from backup_scheduler.contract.methods import ADD
from backup_scheduler.runs.results import Outcome
from lab.parts.answers import INDEFINITE, JobState, State
from lab.parts.stored_states import stored_states
from tests.support.call_order import explains, table
from tests.support.callers import Call
from tests.support.runs import Run

_SCHEDULER = "temporal-sys-scheduler:"
"""What the id of the server's own workflow has before the id of its schedule."""


@dataclass(frozen=True)
class Counted:
    """Numbers of what was lost and doubled; None: nobody counted it."""

    lost: int | None = None
    doubled: int | None = None


NONE = Counted(lost=0, doubled=0)


def counted_jobs(found: Mapping[str, JobState], expected: Mapping[str, JobState], made: Counter[str]) -> Counted:
    """Count the jobs that are not as their calls left them, and the schedules that were made in vain.

    `made` tells how many schedules were made for each job; each was asked for once.
    """
    lost = [each for each in found.keys() | expected.keys() if found.get(each) != expected.get(each)]
    return Counted(len(lost), sum(max(0, times - 1) for times in made.values()))


def counted_calls(calls: Iterable[Call], found: Mapping[str, State], made: Counter[str]) -> Counted:
    """Count the jobs whose answers or states no order of their calls explains, and the schedules that no add made.

    An add whose outcome is open may have made one.
    """
    by_job = calls_by_job(calls)
    lost = [each for each, its_calls in by_job.items() if not explains(its_calls, found.get(each))]
    adds = {each: [call for call in its_calls if call.method == ADD] for each, its_calls in by_job.items()}
    may = {
        each: sum(call.code == 200 or call.code in INDEFINITE for call in its_adds) for each, its_adds in adds.items()
    }
    return Counted(len(lost), sum(max(0, made[each] - may[each]) for each in by_job))


async def count_calls(temporal: Client, calls: Sequence[Call]) -> tuple[Counted, str]:
    """Count as `counted_calls` does, by the jobs in Temporal; add the calls that no order explains, to be read."""
    by_job = calls_by_job(calls)
    found = await stored_states(temporal, by_job)
    made = await times_made(temporal, {call.scheduler_id for call in calls if (call.method, call.code) == (ADD, 200)})
    unexplained = [each for each, its_calls in by_job.items() if not explains(its_calls, found.get(each))]
    texts = [f"nothing explains {found.get(each)} after\n{table(by_job[each])}" for each in unexplained]
    return counted_calls(calls, found, made), "\n\n".join(texts)


def calls_by_job(calls: Iterable[Call]) -> dict[str, list[Call]]:
    """Sort calls by their scheduler_id; calls without one are left out."""
    by_job: defaultdict[str, list[Call]] = defaultdict(list)
    for call in calls:
        if call.args:
            by_job[call.scheduler_id].append(call)
    return by_job


def counted_runs(due: Iterable[Iterable[datetime]], runs: Sequence[Sequence[Run]], asked: Counter[str]) -> Counted:
    """Count due times without a run and backups that nobody was asked for; then what there is once too often.

    `due` and `runs` have an item for each job. `asked` tells how often the target was asked for each occurrence, by its
    Idempotency-Key, which may come again: a run beyond the first of its time is doubled, and a key that no run has.
    """
    keys = {quote(run.key, safe=""): run for each in runs for run in each}
    lost = sum(len(set(times) - {run.nominal for run in each}) for times, each in zip(due, runs, strict=True))
    lost += sum(run.outcome == Outcome.COMPLETED and key not in asked for key, run in keys.items())
    doubled = sum(len(each) - len({run.nominal for run in each}) for each in runs)
    return Counted(lost, doubled + sum(key not in keys for key in asked))


def counted_backups(of_each_run: Iterable[Collection[object]]) -> Counted:
    """Count the runs without a backup, and the backups beyond one of each run."""
    numbers = [len(each) for each in of_each_run]
    return Counted(numbers.count(0), sum(max(0, number - 1) for number in numbers))


async def times_made(temporal: Client, surely: Iterable[str]) -> Counter[str]:
    """Count the schedules that were made of each id, once those that were `surely` made are listed.

    Temporal keeps the removed ones as closed workflows. Its list lags (docs/temporal-facts.md#lists-lag), so a schedule
    is made at last, and awaited, too.
    """
    last = f"last-{uuid.uuid4()}"
    action = ScheduleActionStartWorkflow("nobody's", id=last, task_queue="nobody's")
    await (await temporal.create_schedule(last, Schedule(action=action, spec=ScheduleSpec()))).delete()
    awaited = {last, *surely}
    async with asyncio.timeout(60):
        while True:
            firsts: defaultdict[str, set[str]] = defaultdict(set)
            async for run in temporal.list_workflows('TemporalNamespaceDivision = "TemporalScheduler"'):
                firsts[run.id.removeprefix(_SCHEDULER)].add(run.raw_info.first_run_id or run.run_id)
            if awaited <= firsts.keys():
                return Counter({scheduler_id: len(its) for scheduler_id, its in firsts.items() if scheduler_id != last})
            await asyncio.sleep(0.05)
