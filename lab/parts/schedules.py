"""The judge of schedules: all that is stored of a job, compared with what follows from its terms.

It knows the terms' meaning by itself (docs/api.md, docs/design.md) and shares no mapping with the product, so that a
fault of the product is not in both.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from google.protobuf.message import Message
from temporalio.api.common.v1 import SearchAttributes
from temporalio.api.enums.v1 import ScheduleOverlapPolicy
from temporalio.api.schedule.v1 import Schedule
from temporalio.api.workflowservice.v1 import DescribeScheduleResponse

from backup_scheduler.contract.methods import PAUSE_ALL
from lab.parts.answers import JobState, Terms

_SHORTEST_CATCH_UP: Final = timedelta(seconds=10)
"""Temporal takes less for as much (docs/temporal-facts.md#catch-up-is-at-least-ten-seconds)."""

_LONGEST_RUN: Final = timedelta(days=31)
"""Time after the last possible start of a run at which Temporal ends it."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

_FOR_PEOPLE: Final = ("user_metadata", "header")
"""Fields of an action that make no difference to when and what is backed up."""


class UnfitSchedule(Exception):
    """A schedule that does not follow from the terms of its job."""


@dataclass(frozen=True)
class StoredJob:
    """A job as Temporal keeps it."""

    state: JobState
    first_run: datetime
    timezone: str
    """IANA name of the zone of start_time."""
    task_queue: str
    """Task queue on which its runs wait for a worker."""


def stored_job(scheduler_id: str, described: DescribeScheduleResponse) -> StoredJob:
    """Read a job from the description of its schedule.

    Raises UnfitSchedule, with every difference, if the schedule is not exactly what its terms, zone and first day ask
    for.
    """
    action = described.schedule.action.start_workflow
    try:
        [payload] = action.input.payloads
        request = json.loads(payload.data)
        terms = Terms.of(request)
        day, zone = date.fromisoformat(request["anchor"]), request["timezone"]
        first = datetime.combine(day, time.fromisoformat(terms.start_time), ZoneInfo(zone)).astimezone(UTC)
    except (ValueError, TypeError, KeyError) as error:
        raise UnfitSchedule(f"{scheduler_id}: its terms cannot be read: {error!r}") from error
    wanted = _wanted(scheduler_id, terms, zone, first, day)
    attributes = _attributes(described.search_attributes)
    found = _found(described.schedule, request) | {
        "terms in lists": _json_or_text(attributes.pop("BackupTerms", "")),
        "search attributes of the schedule": attributes,
    }
    if faults := [f"{name} {found[name]}, not {value}" for name, value in wanted.items() if found[name] != value]:
        raise UnfitSchedule(f"{scheduler_id}: {'; '.join(faults)}")
    state = described.schedule.state
    together = state.paused and state.notes.startswith(f"paused by {PAUSE_ALL} ")
    return StoredJob(JobState(terms, state.paused, together), first, zone, action.task_queue.name)


def _wanted(scheduler_id: str, terms: Terms, zone: str, first: datetime, day: date) -> dict[str, Any]:
    """Return what follows from terms, zone and first day, by the names that `_found` has."""
    every, window = timedelta(days=terms.days), timedelta(hours=terms.duration)
    catch_up = max(timedelta(seconds=terms.misfire_grace_time), _SHORTEST_CATCH_UP)
    attributes = {"BackupSchedulerId": scheduler_id, "BackupPolicyName": terms.policy_name}
    given = {name: value for name, value in terms.arguments().items() if name != "revision"}
    passed_on = {} if terms.revision is None else {"revision": terms.revision}
    request = {**given, "url_kwargs": passed_on, "timezone": zone, "anchor": day.isoformat()}
    return {
        "interval": [(every, (first - _EPOCH) % every)],
        "start_at": first,
        "jitter": window,
        "other times": [],
        "overlap policy": "SCHEDULE_OVERLAP_POLICY_BUFFER_ALL",
        "catch-up window": catch_up,
        "other policies": [],
        "workflow": "BackupWorkflow",
        "workflow id": f"backup-{scheduler_id}",
        "limit of a run": window + catch_up + _LONGEST_RUN,
        "argument of a run": {"scheduler_id": scheduler_id, **request},
        "search attributes of a run": attributes,
        "other fields of a run": [],
        "number of runs": (False, 0),
        "search attributes of the schedule": attributes,
        "terms in lists": request,
    }


def _found(schedule: Schedule, request: Mapping[str, Any]) -> dict[str, Any]:
    spec, policies, state, action = schedule.spec, schedule.policies, schedule.state, schedule.action.start_workflow
    return {
        "interval": [(each.interval.ToTimedelta(), each.phase.ToTimedelta()) for each in spec.interval],
        "start_at": spec.start_time.ToDatetime(UTC),
        "jitter": spec.jitter.ToTimedelta(),
        "other times": _others(spec, "interval", "start_time", "jitter"),
        "overlap policy": ScheduleOverlapPolicy.Name(policies.overlap_policy),
        "catch-up window": policies.catchup_window.ToTimedelta(),
        "other policies": _others(policies, "overlap_policy", "catchup_window"),
        "workflow": action.workflow_type.name,
        "workflow id": action.workflow_id,
        "limit of a run": action.workflow_execution_timeout.ToTimedelta(),
        "argument of a run": request,
        "search attributes of a run": _attributes(action.search_attributes),
        "other fields of a run": _others(
            action,
            *("workflow_type", "workflow_id", "workflow_execution_timeout", "input", "search_attributes"),
            *("task_queue", *_FOR_PEOPLE),
        ),
        "number of runs": (state.limited_actions, state.remaining_actions),
    }


def _others(message: Message, *known: str) -> list[str]:
    """Return the names of the fields that are set, but for those that are compared by themselves, and empty ones."""
    return [
        field.name
        for field, value in message.ListFields()
        if field.name not in known and not (isinstance(value, Message) and not value.ListFields())
    ]


def _json_or_text(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _attributes(attributes: SearchAttributes) -> dict[str, Any]:
    return {name: json.loads(payload.data) for name, payload in attributes.indexed_fields.items()}
