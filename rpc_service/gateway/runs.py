"""Runs of jobs: asked for, listed, described and cancelled."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from temporalio.api.workflow.v1 import WorkflowExecutionInfo
from temporalio.api.workflowservice.v1 import DescribeWorkflowExecutionResponse
from temporalio.client import Client
from temporalio.service import RPCError

from backup_scheduler.contract.errors import (
    BrokenJob,
    InvalidArguments,
    JobNotFound,
    RunNotFound,
    RunNotRunning,
    TooManyWait,
)
from backup_scheduler.contract.methods import CANCEL_RUN
from backup_scheduler.contract.moments import in_utc
from backup_scheduler.jobs.from_schedule import ScheduledJob
from backup_scheduler.jobs.names import bounded, named_run, run_id
from backup_scheduler.jobs.notes import UNKNOWN, By
from backup_scheduler.jobs.recent_runs import CANCELLED, RUNNING
from backup_scheduler.runs import description
from backup_scheduler.runs.arguments import CancelRun, JobRuns, RunId, RunJob
from backup_scheduler.runs.asked import Asked, Request, StartedBy, Why
from backup_scheduler.runs.description import RunDescription
from backup_scheduler.runs.waiting import MOST_WAITING, WaitingRun, asked_for, waiting_runs
from backup_scheduler.settings import Settings
from backup_scheduler.temporal import runs as stored
from backup_scheduler.temporal.asked_runs import requests_for_runs, who_asked
from backup_scheduler.temporal.own_times import STARTS_WITHIN, own_time
from backup_scheduler.temporal.stored_jobs import StoredJob, read_job
from rpc_service.gateway.changes import Changes, intact
from rpc_service.gateway.faults import answering, is_missing, lacks_search_attributes

_CLOCKS_DIFFER: Final = timedelta(seconds=60)
"""A moment that is ahead by less is taken for now."""

_LISTS_LAG: Final = timedelta(seconds=10)
"""Runs that started this lately are looked up in the schedule, too."""

_EVENTS_SINCE_A_REPORT: Final = 20
"""A report leaves five."""

ITS_TIME: Final = "its time in the window"
"""What a run waits for whose nominal time has come, and not yet its own time."""

_PAUSE: Final = 0.05
"""Seconds between two looks for a run that Temporal is about to start."""


class Runs:
    """Carries out the RPC methods about runs, as ScheduleGateway does those about jobs."""

    def __init__(
        self,
        client: Client,
        settings: Settings,
        clock: Callable[[], datetime],
        changes: Changes,
        stored_job: Callable[[Client, str], StoredJob],
    ) -> None:
        self._client = client
        self._zone = settings.zone
        self._clock = clock
        self._changes = changes
        self._stored_job = stored_job

    def use(self, client: Client) -> None:
        """Make all further requests with another client."""
        self._client = client

    async def start(self, wanted: RunJob, why: Why, *, redelivered: bool) -> RunDescription:
        """Start the run that `at` names, or find it: started, or waiting for the run before.

        Raises InvalidArguments, JobNotFound, BrokenJob and TooManyWait.
        """
        now = self._clock()
        at = (in_utc(wanted.at, self._zone) if wanted.at else now).replace(microsecond=0)
        if at > now + _CLOCKS_DIFFER:
            raise InvalidArguments(["at must not be ahead: it names a run that is to start now"])
        async with self._changes.alone(wanted.scheduler_id) as job:
            if redelivered and not wanted.at and (before := await self._asked_before(job, why.call)):
                at = before
            return await self._started(job, at, why)

    async def _asked_before(self, job: StoredJob, call: str) -> datetime | None:
        found = await requests_for_runs(self._client, job.schedule_id)
        return next((each.first for each in found if each.call == call), None)

    async def _started(self, stored_job: StoredJob, at: datetime, why: Why) -> RunDescription:
        wanted = run_id(stored_job.schedule_id, at)
        while True:
            # Read after a request: only then is it surely carried out or dropped.
            job = await intact(stored_job)
            if run := await stored.describe_run(self._client, wanted):
                return await self._described(run)
            its_time = await own_time(self._client, job, at, self._clock())
            if its_time and its_time > self._clock():
                came_due = WaitingRun(wanted, Asked(by=StartedBy.SCHEDULE), at)
                return self._waiting(job, came_due, ITS_TIME)
            if its_time:  # Temporal may be about to start it
                await asyncio.sleep(_PAUSE)
                continue
            requests = await requests_for_runs(self._client, stored_job.schedule_id)
            # More may have been asked for than wait; a request that may wait must not be repeated.
            waiting = (*waiting_runs(job, requests, self._clock()), *asked_for(job, requests))
            if found := next((each for each in waiting if each.run_id == wanted), None):
                return self._waiting(job, found)
            is_occurrence = job.nominal(at) == at  # a backfill asks for these alone
            mine = [r for r in requests if r.asks_for(at) and (is_occurrence or r.asked.by is not StartedBy.BACKFILL)]
            if any(each.taken and self._is_recent(each) for each in mine):
                await asyncio.sleep(_PAUSE)
            else:  # there was none, or it was dropped; each has an id of its own
                if job.losses.waiting >= MOST_WAITING:
                    raise TooManyWait(stored_job.scheduler_id, job.losses.waiting)
                request_id = f"{wanted} {len(mine)}"
                await stored.ask_for_run(self._client, stored_job.schedule_id, at, request_id, why.identity())

    def _is_recent(self, request: Request) -> bool:
        """Return whether Temporal may be about to start the run of a request, or has just started it."""
        return request.asked.at is not None and request.asked.at > self._clock() - STARTS_WITHIN

    async def page(self, wanted: JobRuns) -> dict[str, Any]:
        """List runs of a job, the last one first. Raises JobNotFound if there is neither a job nor a run."""
        async with answering(self._client, wanted.scheduler_id):
            before = wanted.before and in_utc(wanted.before, self._zone)
            found = await _unless_missing(intact(self._stored_job(self._client, wanted.scheduler_id)))
            job = found if isinstance(found, ScheduledJob) else None
            runs = await self._listed(wanted, before)
            if found is None and not runs and not await stored.has_run(self._client, bounded(wanted.scheduler_id)):
                raise JobNotFound(wanted.scheduler_id)
            waiting: list[RunDescription] = []
            if job and before is None and wanted.outcome in (None, description.WAITING):
                waiting = await self._all_waiting(job)
            if job:
                runs = await self._with_the_last(job, runs, wanted.outcome, before)
            names = (wanted.scheduler_id, *((job.request.scheduler_id, job.request.policy_name) if job else ()))
            read = [await self._of_list(run, names) for run in runs[: wanted.limit]]
            # The index lags: what is open there may have come to another outcome.
            described = [each for each in read if wanted.outcome in (None, each["outcome"])]
            started = {each["run_id"] for each in described}
            waiting = [each for each in waiting if each["run_id"] not in started]  # it may have started just now
            has_next = len(runs) > wanted.limit
            return {"runs": [*waiting, *described], "next": _token(runs[wanted.limit - 1]) if has_next else None}

    async def _listed(self, wanted: JobRuns, before: datetime | None) -> list[WorkflowExecutionInfo]:
        started = [f"StartTime < '{before.isoformat()}'"] if before else []
        if wanted.outcome == description.WAITING:
            return []
        if wanted.outcome is None:
            return await self._read(wanted, started)
        try:
            return await self._read(wanted, [*started, description.condition_for(wanted.outcome)])
        except RPCError as error:
            if not lacks_search_attributes(error):
                raise
        by_status = description.condition_by_status(wanted.outcome)
        return await self._read(wanted, [*started, by_status]) if by_status else []

    async def _read(self, wanted: JobRuns, conditions: list[str]) -> list[WorkflowExecutionInfo]:
        """Read the runs of a page, and one more if there is a next one."""
        count = wanted.limit + 1
        listed = stored.runs_of(self._client, bounded(wanted.scheduler_id), conditions, count + 1)
        return await stored.last_started(listed, count)

    async def _with_the_last(
        self, job: ScheduledJob, runs: list[WorkflowExecutionInfo], outcome: str | None, before: datetime | None
    ) -> list[WorkflowExecutionInfo]:
        """Add runs that started so lately that the list lacks them (docs/temporal-facts.md#lists-lag)."""
        known = {run.execution.workflow_id for run in runs}
        lately = self._clock() - _LISTS_LAG
        missing = [run for run, started in job.started.items() if run not in known and started > lately]
        found = [await stored.describe_run(self._client, each) for each in missing]
        infos = [each.workflow_execution_info for each in found if each]
        earlier = [each for each in infos if before is None or _moment(each) < before]
        fitting = [each for each in earlier if outcome in (None, description.outcome_of(each))]
        return sorted([*fitting, *runs], key=lambda run: run.start_time.ToNanoseconds(), reverse=True)

    async def _of_list(self, run: WorkflowExecutionInfo, names: Sequence[str]) -> RunDescription:
        is_open = run.status == description.OPEN
        if is_open and (found := await stored.describe_run(self._client, run.execution.workflow_id)):
            return await self._described(found)
        return description.describe_run(run, self._zone, names=names)

    async def _all_waiting(self, job: ScheduledJob) -> list[RunDescription]:
        now = self._clock()
        by_time = Asked(by=StartedBy.SCHEDULE)
        open_windows = [each for each in job.starts_ahead(now, ()) if each <= now + _CLOCKS_DIFFER]
        came_due = {run_id(job.schedule_id, each): each for each in open_windows}
        waiting = [self._waiting(job, WaitingRun(name, by_time, at), ITS_TIME) for name, at in came_due.items()]
        if job.losses.waiting:
            requests = await requests_for_runs(self._client, job.schedule_id)
            behind = [each for each in waiting_runs(job, requests, now) if each.run_id not in came_due]
            waiting += [self._waiting(job, each) for each in behind]
        return waiting

    async def get(self, wanted: RunId) -> RunDescription:
        """Describe a run. Raises RunNotFound."""
        async with answering(self._client):
            run, waiting = await self._find(wanted.run_id)
            return await self._described(run) if run else waiting

    async def _find(self, run_id: str) -> tuple[DescribeWorkflowExecutionResponse | None, RunDescription]:
        """Return a run that has started, or the description of one that waits. Raises RunNotFound."""
        if run := await stored.describe_run(self._client, run_id):
            return run, {}
        job = await self._job_of(run_id)
        waiting = await self._all_waiting(job) if job else []
        if found := next((each for each in waiting if each["run_id"] == run_id), None):
            return None, found
        if run := await stored.describe_run(self._client, run_id):  # it waited a moment ago
            return run, {}
        raise RunNotFound(run_id)

    async def _job_of(self, run_id: str) -> ScheduledJob | None:
        """Return the job of a run, whose id has that of the schedule; None if there is none, or if it is broken."""
        named = named_run(run_id)
        job = named and await _unless_missing(read_job(self._client, named[0]))
        return job if isinstance(job, ScheduledJob) and not job.broken else None

    async def cancel(self, wanted: CancelRun, by: By = UNKNOWN) -> RunDescription:
        """Ask a run to end without its backup; it ends once its backup has stopped.

        One that was cancelled before stays so. Raises RunNotFound, and RunNotRunning for a run that has ended or waits.
        """
        async with answering(self._client):
            run, waiting = await self._find(wanted.run_id)
            if run is None:
                other = ITS_TIME if waiting["waits_for"] == ITS_TIME else "another one"
                raise RunNotRunning(wanted.run_id, f"waits for {other}: cancel it once it has started")
            outcome = description.outcome_of(run.workflow_execution_info)
            if outcome == CANCELLED:
                return await self._described(run)
            if outcome != RUNNING:
                raise RunNotRunning(wanted.run_id, f"has ended ({outcome}): there is nothing to cancel")
            why = by.because(wanted.reason).reason or CANCEL_RUN
            await stored.cancel_run(self._client, run.workflow_execution_info.execution, why, by.caller or "")
            cancelled = await stored.describe_run(self._client, wanted.run_id)
            return await self._described(cancelled or run)

    async def _described(self, run: DescribeWorkflowExecutionResponse) -> RunDescription:
        info = run.workflow_execution_info
        asked = None
        named = named_run(info.execution.workflow_id)
        if named and not description.has_memo(info):
            with suppress(RPCError):  # the schedule is gone
                asked = await who_asked(self._client, *named, _moment(info))
        if info.status == description.OPEN:
            is_cancelling = run.workflow_extended_info.cancel_requested
            now = description.state_now(run.pending_activities, self._clock(), is_cancelling=is_cancelling)
            if not run.pending_activities:
                events = await stored.last_events(self._client, info.execution, _EVENTS_SINCE_A_REPORT)
                told = description.state_by_reports(events)
                left = description.is_left_to_workers(run.pending_workflow_task, self._clock())
                waits_for = told.waits_for or (description.A_WORKER if left else None)
                now = replace(now, waits_for=waits_for, progress=told.progress)
        else:
            now = description.state_at_end(await stored.last_events(self._client, info.execution, 1))
        names = await stored.whole_names(self._client, info)
        return description.describe_run(info, self._zone, now, asked, names)

    def _waiting(self, job: ScheduledJob, run: WaitingRun, waits_for: str | None = None) -> RunDescription:
        request = job.request
        waits_for = waits_for or next(iter(job.under_way), None)
        return description.describe_waiting_run(
            run.run_id, request.scheduler_id, request.policy_name, run.asked, waits_for, self._zone
        )


async def _unless_missing(reading: Coroutine[Any, Any, ScheduledJob | None]) -> ScheduledJob | BrokenJob | None:
    """Return the job that is read, or how it is broken; None if there is none. Raises RPCError."""
    try:
        return await reading
    except JobNotFound:
        return None
    except BrokenJob as broken:
        return broken
    except RPCError as error:
        if is_missing(error):
            return None
        raise


def _token(run: WorkflowExecutionInfo) -> str:
    """Return the moment before which the next page begins; to the microsecond, so that no run is left out."""
    return _moment(run).isoformat()


def _moment(run: WorkflowExecutionInfo) -> datetime:
    return run.start_time.ToDatetime(UTC)
