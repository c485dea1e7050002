"""From a Temporal Schedule to a job; to_schedule.py is the other direction."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Final, Self, TypeVar

from google.protobuf.timestamp_pb2 import Timestamp
from temporalio.api.common.v1 import Memo, Payload
from temporalio.api.enums.v1 import ScheduleOverlapPolicy
from temporalio.api.schedule.v1 import IntervalSpec, ScheduleSpec
from temporalio.api.workflow.v1 import NewWorkflowExecutionInfo
from temporalio.api.workflowservice.v1 import DescribeScheduleResponse
from temporalio.contrib.pydantic import pydantic_data_converter

from backup_scheduler.contract.errors import BrokenJob
from backup_scheduler.jobs.alignment import CurrentSchedule
from backup_scheduler.jobs.names import BACKUP_WORKFLOW, SCHEDULER_ID, bounded, workflow_id
from backup_scheduler.jobs.names import schedule_id as schedule_id_of
from backup_scheduler.jobs.recent_runs import RecentRun, recent_runs
from backup_scheduler.jobs.request import BackupRequest
from backup_scheduler.jobs.timing import nearest_start, start_on
from backup_scheduler.jobs.to_schedule import CHANGED_BY, MADE_BY, MADE_FOR, short_request_id

_converter: Final = pydantic_data_converter.payload_converter

T = TypeVar("T")

CANNOT_GO_ON: Final = (
    "Temporal cannot carry its schedule out any more, as after a cancel of the schedule's own workflow: "
    "remove it with remove_job, then add it anew"
)
"""docs/temporal-facts.md#a-cancel-ends-a-schedule."""

UNREADABLE: Final = "its schedule holds no terms that can be read: remove it with remove_job, then add it anew"


@dataclass(frozen=True)
class Losses:
    """Runs that could not start when they were due; all but `waiting` are sums since the job was made."""

    waiting: int = 0
    """Runs that now wait for the previous run."""
    dropped: int = 0
    """Runs that came due while 1,000 waited, Temporal's limit (docs/temporal-facts.md#a-thousand-runs-wait)."""
    missed_catchup: int = 0
    """Occurrences too old to be made up for; Temporal may count one more than once
    (docs/temporal-facts.md#missed-catch-up-counts-twice)."""


@dataclass(frozen=True)
class ScheduledJob:
    """A job in Temporal, read from Temporal's own message.

    The SDK's description converts all fields, also those that are not needed here. That would be a seventh of the CPU
    time of a `get_job`.
    """

    request: BackupRequest
    schedule_id: str
    description: DescribeScheduleResponse
    foreseen: Sequence[datetime] = ()
    """Starts that the description leaves out."""

    @classmethod
    def read(cls, schedule_id: str, description: DescribeScheduleResponse) -> Self | None:
        """Read the job of a schedule; None if the schedule is not a job.

        Raises BrokenJob if the schedule was made for a job, but its terms cannot be read.
        """
        action = description.schedule.action.start_workflow
        request = _request_in(action)
        if request is not None and schedule_id_of(request.scheduler_id) == schedule_id:
            return cls(request, schedule_id, description)
        made_for = job_of_memo(schedule_id, description.memo)
        if made_for is not None:
            raise BrokenJob(made_for, UNREADABLE)
        return None

    @property
    def broken(self) -> str | None:
        """Difference between the schedule and the terms of the job, as a sentence; None if there is none.

        The offset does not count, because clock changes move it (`realigned`).
        """
        spec, policies = self.description.schedule.spec, self.description.schedule.policies
        times, jitter = changed_times(spec, self.request)
        changed = {
            "times": times,
            "start": _moment(spec.start_time) > latest_start(self.in_force_since, self.request),
            "jitter": jitter,
            "overlap policy": policies.overlap_policy != ScheduleOverlapPolicy.SCHEDULE_OVERLAP_POLICY_BUFFER_ALL,
            "catch-up window": policies.catchup_window.ToTimedelta() != self.request.catch_up_window,
            "pause on failure": policies.pause_on_failure,
            "time limit of a run": self._action.workflow_run_timeout.ToTimedelta() != timedelta(0),
            "search attributes": self._listed_as != bounded(self.request.scheduler_id),
            "number of runs": self.description.schedule.state.limited_actions,
        }
        if not any(changed.values()):
            return None
        parts = ", ".join(part for part, is_changed in changed.items() if is_changed)
        return f"its schedule was changed by other means ({parts}): modify_start_backup_job_by_interval mends it"

    @property
    def created_at(self) -> datetime:
        """Moment at which Temporal made the schedule, by the server's clock."""
        return _moment(self.description.info.create_time)

    @property
    def in_force_since(self) -> datetime:
        """Moment at which Temporal took over the current terms, by the server's clock."""
        info = self.description.info
        return _moment(info.update_time) if info.HasField("update_time") else self.created_at

    @property
    def task_queue(self) -> str:
        """Task queue on which the job's runs wait for a worker."""
        return self._action.task_queue.name

    @property
    def losses(self) -> Losses:
        """Runs that wait or were lost."""
        info = self.description.info
        return Losses(info.buffer_size, info.buffer_dropped, info.missed_catchup_window)

    @property
    def paused(self) -> bool:
        """Whether the job is paused: no run starts."""
        return self.description.schedule.state.paused

    @property
    def note(self) -> str:
        """What people see beside the schedule, such as why it is paused."""
        return self.description.schedule.state.notes

    @property
    def runs(self) -> list[RecentRun]:
        """The latest runs, at most 10, the last one at the end."""
        return recent_runs(self.description.info.recent_actions)

    @property
    def changed_by(self) -> list[str]:
        """Short ids of the requests that changed the job last."""
        # An update by the CLI, for instance, leaves none.
        return decoded(self._action.header.fields.get(CHANGED_BY), list[str]) or []

    def was_made_by(self, request_id: str) -> bool:
        """Return whether a request made the job."""
        return decoded(self.description.memo.fields.get(MADE_BY), str) == request_id

    def was_changed_by(self, request_id: str) -> bool:
        """Return whether a request changed the job; later requests may have changed it since.

        A change can get lost without an error (docs/temporal-facts.md#control-calls-get-lost). The terms alone do not
        show whether a change was lost or overtaken by later ones; to repeat an overtaken change would undo those.
        """
        return short_request_id(request_id) in self.changed_by

    def unused(self, request_id: str) -> str:
        """Return a request_id, with a number if its caller has used it for a change of this job before."""
        numbered = (f"{request_id} {number}" if number else request_id for number in count())
        return next(each for each in numbered if not self.was_changed_by(each))

    def realigned(self, now: datetime) -> datetime | None:
        """Return the first run after a move to the wall-clock start_time.

        None if no move is due, or if a move now could skip or repeat a run (alignment.py). The job must not be
        `broken`. Raises ZoneInfoNotFoundError if this machine does not know the job's zone.
        """
        request = self.request
        days = (request.anchor, request.days, request.wall_time, request.zone)
        return self._current.moved(lambda nominal: nearest_start(*days, nominal), now)

    @property
    def came_too_late(self) -> bool:
        """Whether the terms came into force only after their first run was due.

        Temporal does not make up for that run (docs/temporal-facts.md#a-new-schedule-begins-late), so the job has to be
        aligned anew from `in_force_since`.
        """
        opens = start_on(self.request.anchor, self.request.wall_time, self.request.zone)
        closes = opens + self.request.window
        return self.in_force_since >= opens and not any(opens <= time <= closes for time in self._starts)

    def next_run(self, now: datetime) -> datetime | None:
        """Return the start of the next run, jitter included; None if the job is paused, or if no start lies ahead."""
        return None if self.paused else coming(self._starts, now)

    def nominal(self, moment: datetime) -> datetime:
        """Return the last nominal time up to a moment; the job must not be `broken`."""
        return self._current.nominal(moment)

    @property
    def under_way(self) -> list[str]:
        """Ids of the runs that go on."""
        return [run.workflow_id for run in self.description.info.running_workflows]

    @property
    def started(self) -> dict[str, datetime]:
        """Ids of the last runs that Temporal started, up to ten, and when it did."""
        recent = self.description.info.recent_actions
        return {run.start_workflow_result.workflow_id: _moment(run.actual_time) for run in recent}

    def starts_ahead(self, now: datetime, foreseen: Iterable[datetime]) -> dict[datetime, datetime]:
        """Return the starts that lie ahead, of this description and of `foreseen`, each under its nominal time.

        The job must not be `broken`. A paused job has none.
        """
        current = self._current
        starts = () if self.paused else (*current.starts, *foreseen)
        return {current.nominal(start): start for start in starts if start > now}

    @property
    def _current(self) -> CurrentSchedule:
        schedule = self.description.schedule
        return CurrentSchedule(
            every=self._interval.interval.ToTimedelta(),
            offset=self._interval.phase.ToTimedelta(),
            window=schedule.spec.jitter.ToTimedelta(),
            catch_up_window=schedule.policies.catchup_window.ToTimedelta(),
            starts=self._starts,
            paused=self.paused,
        )

    @property
    def _action(self) -> NewWorkflowExecutionInfo:
        return self.description.schedule.action.start_workflow

    @property
    def _listed_as(self) -> str | None:
        """Name by which lists of jobs find the schedule."""
        return decoded(self.description.search_attributes.indexed_fields.get(SCHEDULER_ID.name), str)

    @property
    def _interval(self) -> IntervalSpec:
        [interval] = self.description.schedule.spec.interval
        return interval

    @property
    def _starts(self) -> list[datetime]:
        told = moments(self.description.info.future_action_times)
        return sorted({*told, *self.foreseen}) if self.foreseen else told


def changed_times(spec: ScheduleSpec, request: BackupRequest) -> tuple[bool, bool]:
    """Return whether a spec has other times than the terms ask for, the offset aside, and whether another jitter."""
    calendars = spec.calendar or spec.structured_calendar or spec.cron_string
    excluded = spec.exclude_calendar or spec.exclude_structured_calendar
    intervals = [interval.interval.ToTimedelta() for interval in spec.interval]
    other_times = bool(calendars or excluded) or spec.HasField("end_time") or intervals != [request.every]
    return other_times, spec.jitter.ToTimedelta() != request.window


def latest_start(moment: datetime, request: BackupRequest) -> datetime:
    """Return the latest possible start of the next run: an interval, a window and a clock change ahead."""
    return moment + request.every + timedelta(days=2)


def coming(starts: Iterable[datetime], now: datetime) -> datetime | None:
    """Return the first start that lies ahead (docs/temporal-facts.md#next-times-can-be-past)."""
    return next((time for time in starts if time > now), None)


def moments(times: Iterable[Timestamp]) -> list[datetime]:
    """Read moments of Temporal's."""
    return [_moment(time) for time in times]


def job_of_memo(schedule_id: str, memo: Memo) -> str | None:
    """Return the scheduler_id of the job for which a schedule was made, by its memo; None if it was made for none."""
    made_for = decoded(memo.fields.get(MADE_FOR), str)
    return made_for if made_for is not None and schedule_id_of(made_for) == schedule_id else None


def without_workers(task_queue: str) -> str:
    """Return the fault of a job that no worker takes runs of, as a sentence."""
    return f"no worker polls its task queue {task_queue!r}: modify_start_backup_job_by_interval mends it"


def _moment(time: Timestamp) -> datetime:
    return time.ToDatetime(UTC)


def decoded(payload: Payload | None, kind: type[T]) -> T | None:
    """Decode a payload; None if there is none, or if it holds something else."""
    if payload is None:
        return None
    try:
        decoded: T = _converter.from_payload(payload, kind)
    except Exception:  # pydantic's, the SDK's and json's errors: anybody can write a schedule
        return None
    return decoded


def _request_in(action: NewWorkflowExecutionInfo) -> BackupRequest | None:
    if action.workflow_type.name != BACKUP_WORKFLOW or len(action.input.payloads) != 1:
        return None
    request = decoded(action.input.payloads[0], BackupRequest)
    return request if request and action.workflow_id == workflow_id(request.scheduler_id) else None
