"""Who asked for a run: requests for runs, as the history of a schedule's workflow has them.

A run that Temporal starts does not show why. Each request for one is a signal to the schedule's workflow, with its
sender's identity (docs/temporal-facts.md#a-trigger-leaves-a-signal).
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final, Self

from google.protobuf.message import DecodeError
from pydantic import BaseModel, ValidationError
from temporalio.api.enums.v1 import EventType, ScheduleOverlapPolicy
from temporalio.api.history.v1 import HistoryEvent, WorkflowExecutionSignaledEventAttributes
from temporalio.api.schedule.v1 import SchedulePatch

from backup_scheduler.texts import CleanText

_PATCH: Final = "patch"
"""Name of the signal."""

_RUN_JOB: Final = "run_job: "
"""Beginning of the identity of the service's own requests; a Why as JSON follows."""


class StartedBy(StrEnum):
    """What started a run."""

    SCHEDULE = "schedule"
    """It came due."""
    RUN_JOB = "run_job"
    """A call of run_job."""
    TRIGGER = "trigger"
    """A trigger by other means, such as the CLI or the Web UI."""
    BACKFILL = "backfill"
    """A backfill by other means."""


class Why(BaseModel):
    """What a caller of run_job said."""

    reason: CleanText | None = None
    caller: CleanText | None = None
    call: str = ""
    """Short id of the call; a redelivered one finds its own request by it."""

    def identity(self) -> str:
        """Return the identity with which the service asks for a run; people find it in the schedule's history."""
        return f"{_RUN_JOB}{json.dumps(self.model_dump(exclude_none=True), ensure_ascii=False)}"


class Asked(BaseModel):
    """What started a run, and who asked for it."""

    by: StartedBy
    at: datetime | None = None
    """When it was asked for; None for a run that came due."""
    reason: str | None = None
    caller: str | None = None
    """For other means than run_job, the identity of the client."""


@dataclass(frozen=True)
class Request:
    """A request for runs."""

    asked: Asked
    call: str
    """Short id of the call of run_job, else empty."""
    first: datetime
    """First nominal time that it asks for; the only one, but for a backfill."""
    last: datetime
    taken: bool
    """Whether the schedule carries it out: of requests that come close together, it drops all but the last
    (docs/temporal-facts.md#control-calls-get-lost)."""
    buffered: bool = True
    """Whether its runs wait for the run before, by its overlap policy; others start at once, or are skipped
    (docs/temporal-facts.md#triggers-skip-silently)."""

    @classmethod
    def read(cls, event: HistoryEvent, *, taken: bool) -> Self | None:
        """Read the request of an event; None if the event is none, such as a pause."""
        signal = event.workflow_execution_signaled_event_attributes
        patch = _patch_in(signal)
        if patch is None:
            return None
        at = event.event_time.ToDatetime(UTC)
        if patch.HasField("trigger_immediately"):
            named = patch.trigger_immediately
            time = named.scheduled_time.ToDatetime(UTC) if named.HasField("scheduled_time") else at
            asked, call = _asked(signal.identity, at)
            return cls(asked, call, time.replace(microsecond=0), time, taken, _is_buffered(named.overlap_policy))
        if patch.backfill_request:
            first = min(each.start_time.ToDatetime(UTC) for each in patch.backfill_request)
            last = max(each.end_time.ToDatetime(UTC) for each in patch.backfill_request)
            asked = Asked(by=StartedBy.BACKFILL, at=at, caller=signal.identity)
            buffered = any(_is_buffered(each.overlap_policy) for each in patch.backfill_request)
            return cls(asked, "", first, last, taken, buffered)
        return None

    def asks_for(self, nominal: datetime) -> bool:
        """Return whether it asks for the run with this nominal time."""
        return self.first <= nominal <= self.last


def requests(newest_first: Iterable[HistoryEvent]) -> Iterator[Request]:
    """Yield the requests for runs in the history of a schedule's workflow, from its last event backwards."""
    starts: set[int] = set()
    """Ids of the events at which a task of the schedule began that was completed: it took all signals before."""
    overwritten = False
    for event in newest_first:
        if event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED:
            starts.add(event.workflow_task_completed_event_attributes.started_event_id)
        elif event.event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED:
            starts.clear()  # it continued as new: the ids of the earlier history begin at 1 again
        elif event.event_id in starts:
            overwritten = False
        elif event.workflow_execution_signaled_event_attributes.signal_name == _PATCH:
            if request := Request.read(event, taken=not overwritten):
                yield request
            overwritten = True


def _is_buffered(policy: ScheduleOverlapPolicy.ValueType) -> bool:
    return policy not in (
        ScheduleOverlapPolicy.SCHEDULE_OVERLAP_POLICY_SKIP,
        ScheduleOverlapPolicy.SCHEDULE_OVERLAP_POLICY_ALLOW_ALL,
    )


def _patch_in(signal: WorkflowExecutionSignaledEventAttributes) -> SchedulePatch | None:
    try:
        return SchedulePatch.FromString(signal.input.payloads[0].data)
    except (IndexError, DecodeError):  # somebody's own signal
        return None


def _asked(identity: str, at: datetime) -> tuple[Asked, str]:
    if not identity.startswith(_RUN_JOB):
        return Asked(by=StartedBy.TRIGGER, at=at, caller=identity or None), ""
    try:
        why = Why.model_validate_json(identity.removeprefix(_RUN_JOB))
    except ValidationError:  # of another release
        why = Why()
    return Asked(by=StartedBy.RUN_JOB, at=at, reason=why.reason, caller=why.caller), why.call
