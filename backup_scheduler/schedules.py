"""BackupJob <-> Temporal Schedule, ScheduleDescription -> reply: the mapping, without I/O."""

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Self
from zoneinfo import ZoneInfo

from google.protobuf.timestamp_pb2 import Timestamp
from temporalio.api.schedule.v1 import IntervalSpec
from temporalio.api.workflow.v1 import NewWorkflowExecutionInfo
from temporalio.api.workflowservice.v1 import DescribeScheduleResponse
from temporalio.client import (
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleIntervalSpec,
    ScheduleOverlapPolicy,
    SchedulePolicy,
    ScheduleSpec,
    ScheduleState,
)
from temporalio.common import SearchAttributePair, TypedSearchAttributes
from temporalio.contrib.pydantic import pydantic_data_converter

from backup_scheduler.backups import BackupRequest
from backup_scheduler.jobs import BackupJob
from backup_scheduler.names import (
    BACKUP_WORKFLOW,
    POLICY_NAME,
    SCHEDULER_ID,
    SYSTEM_SCHEDULE,
    SYSTEM_WORKFLOW,
    bounded,
    trigger_command,
    workflow_id,
)
from backup_scheduler.timing import first_run, next_start, phase, start_on

LONGEST_RUN: Final = timedelta(days=31)
"""A run that is still open so long after its last possible start has hung; it must not hold up the next for ever. No
policy allows a backup as much."""

ALL_JOBS: Final = f"{SCHEDULER_ID.name} IS NOT NULL"
"""Visibility query for the schedules of jobs."""

_CALL: Final = "call"
"""Memo key of the call that made a schedule: delivered again, it is known by it."""

_CALLS: Final = "backup-scheduler-calls"
"""Header of the action in which a schedule keeps which calls have changed it last: nothing that people have to see."""

_CALLS_KEPT: Final = 8
"""More changes of one job do not come between a change and the look at what became of it."""

_converter: Final = pydantic_data_converter.payload_converter


@dataclass(frozen=True)
class Aim:
    """Where a job's runs are meant to fall, decided at one moment."""

    request: BackupRequest
    first_run: datetime

    @classmethod
    def at(cls, now: datetime, job: BackupJob, timezone: str) -> Self:
        """Aim at the next start_time that is ahead of `now` on the zone's clock (contract)."""
        zone = ZoneInfo(timezone)
        first = first_run(job.wall_time, zone, now)
        return cls(BackupRequest.of(job, timezone, first.astimezone(zone).date()), first)


def schedule_for(aim: Aim, task_queue: str, standing: "ScheduledJob | None" = None, call: str = "") -> Schedule:
    """Return the schedule of a job.

    `call` identifies the call that wants it so. An update passes the job that it changes: what that knows of earlier
    calls has to last.
    """
    request = aim.request
    action = ScheduleActionStartWorkflow(
        BACKUP_WORKFLOW,
        request,
        id=workflow_id(request.scheduler_id),
        task_queue=task_queue,
        execution_timeout=request.window + request.catch_up_window + LONGEST_RUN,
        typed_search_attributes=search_attributes(request),
        static_summary=_summary(request),
        static_details=_details(request),
    )
    if calls := [*(standing.changed_by if standing else []), *([_digest(call)] if call else [])]:
        action.headers = {_CALLS: _converter.to_payload(calls[-_CALLS_KEPT:])}
    return Schedule(
        action=action,
        spec=ScheduleSpec(
            intervals=[ScheduleIntervalSpec(every=request.every, offset=phase(aim.first_run, request.every))],
            start_at=aim.first_run,  # else a window that is open already would see a run of the new terms
            jitter=request.window,
        ),
        policy=SchedulePolicy(overlap=ScheduleOverlapPolicy.BUFFER_ALL, catchup_window=request.catch_up_window),
        state=ScheduleState(note=_summary(request)),
    )


def memo_for(request: BackupRequest, call: str) -> dict[str, str]:
    """Return the memo of a job's schedule; `call` identifies the call that makes it."""
    return {"scheduler_id": request.scheduler_id, _CALL: call}


def _digest(call: str) -> str:
    return hashlib.sha256(call.encode()).hexdigest()[:16]


def system_schedule(task_queue: str) -> Schedule:
    """Return the system schedule; every hour, so that it heeds a clock change long before a daily job's next run."""
    summary = "Keeps backup jobs at their start_time when clocks change, and reports lost runs"
    return Schedule(
        action=ScheduleActionStartWorkflow(
            SYSTEM_WORKFLOW,
            id=SYSTEM_SCHEDULE,
            task_queue=task_queue,
            execution_timeout=timedelta(hours=1),
            static_summary=summary,
        ),
        spec=ScheduleSpec(intervals=[ScheduleIntervalSpec(every=timedelta(hours=1))]),
        # A pass heeds all changes before it, so a missed one need not be made up for by more than one.
        policy=SchedulePolicy(overlap=ScheduleOverlapPolicy.SKIP, catchup_window=timedelta(hours=1)),
        state=ScheduleState(note=summary),
    )


@dataclass(frozen=True)
class Losses:
    """What Temporal tells of runs that could not start when they were due; sums since the job was made."""

    waiting: int = 0
    """Now waiting for the run before."""
    dropped: int = 0
    """Came due while as many waited as Temporal keeps."""
    missed_catchup: int = 0
    """Too old to be made up for; Temporal may count one again (Temporal fact)."""


def search_attributes(request: BackupRequest) -> TypedSearchAttributes:
    """Return the attributes by which people find a job's schedule and its runs."""
    return TypedSearchAttributes(
        [
            SearchAttributePair(SCHEDULER_ID, bounded(request.scheduler_id)),
            SearchAttributePair(POLICY_NAME, bounded(request.policy_name)),
        ]
    )


@dataclass(frozen=True)
class ScheduledJob:
    """A job as it stands in Temporal.

    Read from Temporal's own message: the SDK's description converts all of it, most of which nobody here asks for, at a
    seventh of the CPU time of a `get_job`.
    """

    request: BackupRequest
    schedule_id: str
    told: DescribeScheduleResponse

    @classmethod
    def read(cls, schedule_id: str, told: DescribeScheduleResponse) -> Self | None:
        """Return the job that a schedule carries, or None for a schedule that is not a job of ours."""
        action = told.schedule.action.start_workflow
        if action.workflow_type.name != BACKUP_WORKFLOW:
            return None
        try:
            [request] = _converter.from_payloads(action.input.payloads, [BackupRequest])
        except Exception:  # whatever somebody else's workflow of that name takes, it is not a BackupRequest
            return None
        if action.workflow_id != workflow_id(request.scheduler_id):
            return None
        return cls(request, schedule_id, told)

    @property
    def created_at(self) -> datetime:
        """When Temporal made the schedule, by its own clock."""
        return _moment(self.told.info.create_time)

    @property
    def in_force_since(self) -> datetime:
        """When Temporal took over the terms, by its own clock."""
        info = self.told.info
        return _moment(info.update_time) if info.HasField("update_time") else self.created_at

    @property
    def task_queue(self) -> str:
        """Where the job's runs wait for a worker."""
        return self._action.task_queue.name

    @property
    def losses(self) -> Losses:
        """Runs that waited or were lost."""
        info = self.told.info
        return Losses(info.buffer_size, info.buffer_dropped, info.missed_catchup_window)

    @property
    def paused(self) -> bool:
        """Nothing starts while paused."""
        return self.told.schedule.state.paused

    @property
    def changed_by(self) -> list[str]:
        """Which calls have changed the job last."""
        carried = self._action.header.fields
        if _CALLS not in carried:  # such as after an update by the CLI
            return []
        calls: list[str] = _converter.from_payload(carried[_CALLS], list[str])
        return calls

    def was_made_by(self, call: str) -> bool:
        """Tell whether a call has made the job."""
        memo = self.told.memo.fields
        return _CALL in memo and bool(_converter.from_payload(memo[_CALL], str) == call)

    def was_changed_by(self, call: str) -> bool:
        """Tell whether a call has changed the job, though others may have changed it again since.

        A control call can get lost without an error (Temporal fact); the terms alone do not tell that from a change
        that was overtaken, and to make that one again would undo what came after it.
        """
        return _digest(call) in self.changed_by

    def carries(self, aim: Aim) -> bool:
        """Tell whether Temporal holds these terms."""
        offset = self._interval.phase.ToTimedelta()
        return self.request == aim.request and offset == phase(aim.first_run, aim.request.every)

    def realigned(self, now: datetime) -> Aim | None:
        """Return where the job has to be aimed for its next run to be at its wall-clock start_time; None if it is.

        An interval knows only UTC, so a clock change puts it off. A job whose run of the present window is still to
        come is left alone: Temporal would lose that run.
        """
        request = self.request
        start = next_start(request.anchor, request.days, request.wall_time, request.zone, now)
        aim = Aim(request, start)
        return None if self.carries(aim) or self._waits_in_its_window(now) else aim

    def _waits_in_its_window(self, now: datetime) -> bool:
        every = self._interval.interval.ToTimedelta()
        since_nominal = phase(now - self._interval.phase.ToTimedelta(), every)
        following = now - since_nominal + every
        return not self.paused and any(time < following for time in self._starts[:1])

    @property
    def came_too_late(self) -> bool:
        """Whether the terms came into force only when the first run they aim at was already past.

        Nothing would make up for that run, so the job has to be aimed anew from `in_force_since`.
        """
        opens = start_on(self.request.anchor, self.request.wall_time, self.request.zone)
        closes = opens + self.request.window
        return self.in_force_since >= opens and not any(opens <= time <= closes for time in self._starts)

    def next_run(self, now: datetime) -> datetime | None:
        """Return when the next run really starts; Temporal may list times that are past (Temporal fact)."""
        return None if self.paused else next((time for time in self._starts if time > now), None)

    @property
    def _action(self) -> NewWorkflowExecutionInfo:
        return self.told.schedule.action.start_workflow

    @property
    def _interval(self) -> IntervalSpec:
        [interval] = self.told.schedule.spec.interval
        return interval

    @property
    def _starts(self) -> list[datetime]:
        return [_moment(time) for time in self.told.info.future_action_times]


def _moment(time: Timestamp) -> datetime:
    return time.ToDatetime(UTC)


def reply(request: BackupRequest, zone: ZoneInfo, next_run: datetime | None) -> dict[str, Any]:
    """Return what success describes (contract); a paused or removed job has no next run."""
    return {
        "job_id": request.scheduler_id,
        "func": "start_backup",
        "args": [],
        "kwargs": {
            "policy_name": request.policy_name,
            "duration": request.duration,
            "start_time": request.start_time,
            **request.url_kwargs,
        },
        "misfire_grace_time": request.misfire_grace_time,
        "next_run_time": next_run and next_run.astimezone(zone).strftime("%Y-%m-%d %H:%M:%S"),
    }


def _short(text: str) -> str:
    # The server takes 400 bytes of summary; two names of up to 200 characters of 4 bytes each could be longer.
    return text if len(text) <= 40 else f"{text[:39]}…"


def _summary(request: BackupRequest) -> str:
    return f"Backup {_short(request.policy_name)} for {_short(request.scheduler_id)}"


def _details(request: BackupRequest) -> str:
    days = "day" if request.days == 1 else f"{request.days} days"
    window = f", at a random moment of the {request.duration} h from then" if request.duration else ""
    return "\n".join(
        [
            f"* policy: {request.policy_name}",
            f"* scheduler_id: {request.scheduler_id}",
            f"* runs every {days} at {request.start_time} {request.timezone}{window}, from {request.anchor} on",
            f"* a missed run is made up for within {request.misfire_grace_time} s",
            f"* to run it now: `{trigger_command(request.scheduler_id)}`",
            "* to change it: the RPC service `scheduler`",
        ]
    )
