"""Jobs at intervals of seconds, and their runs by Temporal's own histories."""

import asyncio
import json
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from temporalio.api.enums.v1 import EventType
from temporalio.client import (
    Client,
    ScheduleIntervalSpec,
    ScheduleUpdate,
    ScheduleUpdateInput,
    WorkflowExecutionStatus,
)
from temporalio.common import SearchAttributeKey
from temporalio.service import RPCError

from backup_scheduler.jobs.names import OUTCOME
from backup_scheduler.jobs.terms import BackupJob
from backup_scheduler.jobs.timing import phase
from backup_scheduler.jobs.to_schedule import Alignment, schedule_for, search_attributes
from backup_scheduler.runs.results import BackupResult

_NOMINAL = SearchAttributeKey.for_datetime("TemporalScheduledStartTime")


@dataclass(frozen=True)
class Job:
    """A job as the RPC service would make it, but at an interval of seconds and with an end."""

    scheduler_id: str
    first: datetime
    every: timedelta
    times: tuple[datetime, ...]
    """Moments at which its runs are due, with their places in the window."""

    def until(self, last: datetime) -> "Job":
        """Return the job as if the run due then were its last."""
        return replace(self, times=tuple(moment for moment in self.times if moment <= last))


async def make_job(
    temporal: Client,
    scheduler_id: str,
    task_queue: str,
    *,
    runs: int,
    every: int = 1,
    jitter: int = 0,
    grace: int = 10,
    window_hours: int = 0,
    policy: str = "http",
    paused: bool = False,
    findable: bool = False,
) -> Job:
    """Map terms to a schedule as the RPC service does, and change nothing but its pace: runs come seconds apart.

    Passes over all jobs find only a `findable` one; they count its runs, and report it as changed by other means.
    """
    step = timedelta(seconds=every)
    job = BackupJob(
        scheduler_id=scheduler_id,
        policy_name=policy,
        days=1,
        start_time="02:00",
        duration=window_hours,
        misfire_grace_time=grace,
    )
    for lead in (2, 8, 32):
        now = datetime.now(UTC)
        alignment = replace(
            Alignment.at(now, job, "UTC"), first_run=now.replace(microsecond=0) + timedelta(seconds=lead)
        )
        schedule = schedule_for(alignment, task_queue)
        schedule.spec = replace(
            schedule.spec,
            intervals=[ScheduleIntervalSpec(every=step, offset=phase(alignment.first_run, step))],
            jitter=timedelta(seconds=jitter),
            end_at=alignment.first_run + step * (runs - 1),
        )
        schedule.state.paused = paused
        attributes = search_attributes(alignment.request) if findable else None
        handle = await temporal.create_schedule(scheduler_id, schedule, search_attributes=attributes)
        listed = (await handle.describe()).info.next_action_times
        if datetime.now(UTC) < alignment.first_run:
            break
        await handle.delete()  # it was made after its first run was due, so that run is not made
    else:
        raise AssertionError("making a schedule takes longer than half a minute")
    if jitter:  # only the server knows the places in the window; it lists ten
        assert runs <= 10
        return Job(scheduler_id, alignment.first_run, step, tuple(listed))
    return Job(
        scheduler_id, alignment.first_run, step, tuple(alignment.first_run + step * number for number in range(runs))
    )


async def end(temporal: Client, job: Job) -> None:
    """Let no run of the job come due after the next second; its runs show which was the last one."""
    handle = temporal.get_schedule_handle(job.scheduler_id)
    end_at = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=1)

    def sooner(current: ScheduleUpdateInput) -> ScheduleUpdate:
        current.description.schedule.spec.end_at = end_at
        return ScheduleUpdate(current.description.schedule)

    await handle.update(sooner)
    while (await handle.describe()).schedule.spec.end_at != end_at:  # it is only on its way
        await asyncio.sleep(0.1)


@dataclass(frozen=True)
class Run:
    """One run of a job, by Temporal's history."""

    workflow_id: str
    run_id: str
    nominal: datetime
    started: datetime
    picked_up: datetime | None
    """Moment at which a worker first had it."""
    closed: datetime | None
    status: WorkflowExecutionStatus
    outcome: str | None
    text: str
    """The message of its result or failure."""

    @property
    def key(self) -> str:
        return f"{self.workflow_id}~{self.run_id}"


async def runs_of(temporal: Client, scheduler_id: str) -> list[Run]:
    """Return a job's runs by their nominal times."""
    found = [
        await _run(temporal, listed.id, listed.run_id)
        async for listed in temporal.list_workflows(f"TemporalScheduledById = '{scheduler_id}'")
    ]
    return sorted(found, key=lambda run: (run.nominal, run.started))


async def _run(temporal: Client, workflow_id: str, run_id: str) -> Run:
    handle = temporal.get_workflow_handle(workflow_id, run_id=run_id, result_type=BackupResult)
    shown = await handle.describe()
    picked_up, text = None, ""
    async for event in handle.fetch_history_events():
        if event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_STARTED and picked_up is None:
            picked_up = event.event_time.ToDatetime(UTC)
        elif event.event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_FAILED:
            text = event.workflow_execution_failed_event_attributes.failure.message
        elif event.event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED:
            [payload] = event.workflow_execution_completed_event_attributes.result.payloads
            text = json.loads(payload.data)["message"]
    return Run(
        workflow_id,
        run_id,
        shown.typed_search_attributes[_NOMINAL],
        shown.start_time,
        picked_up,
        shown.close_time,
        shown.status or WorkflowExecutionStatus.RUNNING,
        shown.typed_search_attributes.get(OUTCOME),
        text,
    )


async def all_closed(temporal: Client, jobs: Iterable[Job], patience: float = 120) -> None:
    """Wait until no run of the jobs is to come, waits or goes on."""
    deadline = time.monotonic() + patience
    for job in jobs:
        handle = temporal.get_schedule_handle(job.scheduler_id)
        while True:
            info = (await handle.describe()).raw_description.info
            coming = [moment.ToDatetime(UTC) for moment in info.future_action_times]
            idle = not info.running_workflows and not info.buffer_size
            if idle and not [moment for moment in coming if moment > datetime.now(UTC) - timedelta(seconds=1)]:
                break
            assert time.monotonic() < deadline, f"after {patience} s: {info}"
            await asyncio.sleep(0.1)
        query = f"TemporalScheduledById = '{job.scheduler_id}' AND ExecutionStatus = 'Running'"
        while (await temporal.count_workflows(query)).count:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.1)


@dataclass(frozen=True)
class Outage:
    """An outage of Temporal, from kill -9 to the start of the next server."""

    killed: datetime
    restarted: datetime

    def hid(self, runs: Sequence[Run]) -> Run | None:
        """Return the run that the restarted scheduler may not know of, though it was open.

        It was started within a second before the kill, and its start was not recorded yet. After an outage longer than
        the catch-up window the scheduler takes its occurrence for too old, and starts the next run beside it.
        """
        before = [run for run in runs if run.started < self.restarted]
        last = max(before, key=lambda run: run.started, default=None)
        return last if last and last.started >= self.killed - timedelta(seconds=1) else None


def assert_none_doubled(runs: Sequence[Run], outage: Outage | None = None) -> None:
    """No occurrence has two runs, and no two runs went on at once, but for one that an outage hid and the next one."""
    assert [nominal for nominal, times in Counter(run.nominal for run in runs).items() if times > 1] == []
    in_order = sorted(runs, key=lambda run: run.started)
    hidden = outage.hid(runs) if outage else None
    for place, one in enumerate(in_order):
        assert one.closed is not None
        for following in in_order[place + (2 if one is hidden else 1) :]:
            assert one.closed <= following.started, (one, following)


async def answers_again(temporal: Client) -> None:
    """Wait until the server answers this client."""
    async with asyncio.timeout(90):
        while True:
            try:
                await temporal.count_workflows("WorkflowType = 'none'")
            except RPCError:
                await asyncio.sleep(0.1)
            else:
                return
