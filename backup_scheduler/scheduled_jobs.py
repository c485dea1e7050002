"""Temporal Schedule -> job as it stands there, without I/O; schedules.py is the way there."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Self

from google.protobuf.timestamp_pb2 import Timestamp
from temporalio.api.schedule.v1 import IntervalSpec
from temporalio.api.workflow.v1 import NewWorkflowExecutionInfo
from temporalio.api.workflowservice.v1 import DescribeScheduleResponse
from temporalio.contrib.pydantic import pydantic_data_converter

from backup_scheduler.backups import BackupRequest
from backup_scheduler.names import BACKUP_WORKFLOW, SCHEDULER_ID, workflow_id
from backup_scheduler.schedules import CALL, CALLS, Aim, mark_of
from backup_scheduler.timing import next_start, phase, start_on

ALL_JOBS: Final = f"{SCHEDULER_ID.name} IS NOT NULL"
"""Visibility query for the schedules of jobs."""

_converter: Final = pydantic_data_converter.payload_converter


@dataclass(frozen=True)
class Losses:
    """What Temporal tells of runs that could not start when they were due; sums since the job was made."""

    waiting: int = 0
    """Now waiting for the run before."""
    dropped: int = 0
    """Came due while as many waited as Temporal keeps."""
    missed_catchup: int = 0
    """Too old to be made up for; Temporal may count one again (Temporal fact)."""


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
        if CALLS not in carried:  # such as after an update by the CLI
            return []
        calls: list[str] = _converter.from_payload(carried[CALLS], list[str])
        return calls

    def was_made_by(self, call: str) -> bool:
        """Tell whether a call has made the job."""
        memo = self.told.memo.fields
        return CALL in memo and bool(_converter.from_payload(memo[CALL], str) == call)

    def was_changed_by(self, call: str) -> bool:
        """Tell whether a call has changed the job, though others may have changed it again since.

        A control call can get lost without an error (Temporal fact); the terms alone do not tell that from a change
        that was overtaken, and to make that one again would undo what came after it.
        """
        return mark_of(call) in self.changed_by

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
