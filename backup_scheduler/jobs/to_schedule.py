"""From a job to a Temporal Schedule; from_schedule.py is the other direction."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Self
from zoneinfo import ZoneInfo

from temporalio.api.common.v1 import Payload
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

from backup_scheduler.jobs.names import (
    BACKUP_WORKFLOW,
    POLICY_NAME,
    SCHEDULER_ID,
    SYSTEM_SCHEDULE,
    SYSTEM_WORKFLOW,
    TERMS,
    bounded,
    trigger_command,
    workflow_id,
)
from backup_scheduler.jobs.request import BackupRequest
from backup_scheduler.jobs.terms import BackupJob
from backup_scheduler.jobs.timing import first_run, phase

LONGEST_RUN: Final = timedelta(days=31)
"""Time after the last possible start of a run at which Temporal ends it. No policy allows a backup that long, so such a
run hangs, and it must not hold up the next one for ever."""

MADE_FOR: Final = "scheduler_id"
"""Memo key of the job for which a schedule was made. A memo never changes, so it names the job of a broken schedule,
too (docs/temporal-facts.md#memos-never-change)."""

MADE_BY: Final = "call"
"""Memo key of the request_id that made a schedule; a redelivered request finds its own schedule by it."""

LONG_TERMS: Final = "terms"
"""Memo key of terms that are too long for a search attribute."""

_LONGEST_TERMS: Final = 255
"""Bytes of UTF-8 in the search attribute: SQL stores keep a keyword in VARCHAR(255)."""

_LONGEST_LONG_TERMS: Final = 4096
"""Bytes in the memo: a page of the list has a thousand memos."""

CHANGED_BY: Final = "backup-scheduler-calls"
"""Header of the action with the short ids of the requests that changed a schedule last; people do not see headers."""

_REQUEST_IDS_KEPT: Final = 8
"""Kept request ids; more than eight changes never land before one is confirmed."""

_converter: Final = pydantic_data_converter.payload_converter


@dataclass(frozen=True)
class Alignment:
    """The times of a job, decided at one moment."""

    request: BackupRequest
    first_run: datetime

    @classmethod
    def at(cls, now: datetime, job: BackupJob, timezone: str) -> Self:
        """Align a job with the next start_time after `now` on the clock of the zone (docs/api.md#first-run)."""
        zone = ZoneInfo(timezone)
        first = first_run(job.wall_time, zone, now)
        return cls(BackupRequest.of(job, timezone, first.astimezone(zone).date()), first)


def schedule_for(
    alignment: Alignment, task_queue: str, request_id: str = "", changed_by: Sequence[str] = (), given: str = ""
) -> Schedule:
    """Make the schedule of a job.

    `request_id` names the request that asks for it. `changed_by` are the short ids of earlier requests, which an
    update has to keep. `given` says who gave the terms (By.terms); people see it in the schedule's note, and in the
    details of each run.
    """
    request = alignment.request
    action = ScheduleActionStartWorkflow(
        BACKUP_WORKFLOW,
        request,
        id=workflow_id(request.scheduler_id),
        task_queue=task_queue,
        execution_timeout=request.window + request.catch_up_window + LONGEST_RUN,
        typed_search_attributes=search_attributes(request),
        static_summary=request.summary,
        static_details=_details(request, given),
    )
    if request_id or changed_by:
        action.headers = {CHANGED_BY: changes(changed_by, request_id)}
    return Schedule(
        action=action,
        spec=ScheduleSpec(
            intervals=[ScheduleIntervalSpec(every=request.every, offset=phase(alignment.first_run, request.every))],
            # Else new terms would start a run in a window that is open already
            # (docs/temporal-facts.md#an-interval-reaches-into-the-past).
            start_at=alignment.first_run,
            jitter=request.window,
        ),
        policy=SchedulePolicy(overlap=ScheduleOverlapPolicy.BUFFER_ALL, catchup_window=request.catch_up_window),
        state=ScheduleState(note="; ".join(filter(None, [request.summary, given]))),
    )


def changes(changed_by: Sequence[str], request_id: str) -> Payload:
    """Return the header that names the requests which changed a schedule last, and a further one."""
    request_ids = [*changed_by, *([short_request_id(request_id)] if request_id else [])]
    return _converter.to_payload(request_ids[-_REQUEST_IDS_KEPT:])


def memo_for(request: BackupRequest, request_id: str) -> dict[str, str]:
    """Make the memo of a job's schedule; `request_id` names the request that makes it."""
    memo = {MADE_FOR: request.scheduler_id, MADE_BY: request_id}
    terms = _terms(request)
    if _LONGEST_TERMS < len(terms.encode()) <= _LONGEST_LONG_TERMS:
        memo[LONG_TERMS] = terms
    return memo


def schedule_attributes(request: BackupRequest) -> TypedSearchAttributes:
    """Return the search attributes of a job's schedule: those of its runs, and the terms, so that a list has them.

    A memo never changes (docs/temporal-facts.md#memos-never-change), but search attributes follow an update. Terms that
    are too long for one are in the memo, and the attribute is their digest: after a modify it fits the memo no more.
    """
    terms = _terms(request)
    value = terms if len(terms.encode()) <= _LONGEST_TERMS else digest(terms)
    return search_attributes(request).updated(SearchAttributePair(TERMS, value))


def _terms(request: BackupRequest) -> str:
    return request.model_dump_json(exclude={"scheduler_id"})


def digest(terms: str) -> str:
    """Return what the search attribute has in place of long terms."""
    return hashlib.sha256(terms.encode()).hexdigest()


def short_request_id(request_id: str) -> str:
    """Return the short form of a request_id that a schedule keeps."""
    return hashlib.sha256(request_id.encode()).hexdigest()[:16]


def system_schedule(task_queue: str) -> Schedule:
    """Make the system schedule: hourly, so that a pass follows a clock change long before the next daily run."""
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
        # A pass sees to all clock changes before it, so one pass makes up for all missed passes.
        policy=SchedulePolicy(overlap=ScheduleOverlapPolicy.SKIP, catchup_window=timedelta(hours=1)),
        state=ScheduleState(note=summary),
    )


def search_attributes(request: BackupRequest) -> TypedSearchAttributes:
    """Return the search attributes by which people find the runs of a job, and its schedule."""
    return TypedSearchAttributes(
        [
            SearchAttributePair(SCHEDULER_ID, bounded(request.scheduler_id)),
            SearchAttributePair(POLICY_NAME, bounded(request.policy_name)),
        ]
    )


def _code(text: str) -> str:
    """Return the text as Markdown code; the fence is longer than any run of backticks in the text."""
    fence = "`"
    while fence in text:
        fence += "`"
    blank = " " if len(fence) > 1 else ""
    return f"{fence}{blank}{text}{blank}{fence}"


def _details(request: BackupRequest, given: str) -> str:
    days = "day" if request.days == 1 else f"{request.days} days"
    window = f", at a random moment of the {request.duration} h from then" if request.duration else ""
    return "\n".join(
        [
            f"* policy: {request.policy_name}",
            f"* scheduler_id: {request.scheduler_id}",
            f"* runs every {days} at {request.start_time} {request.timezone}{window}, from {request.anchor} on",
            f"* a missed run is made up for within {request.misfire_grace_time} s",
            *([f"* {given}"] if given else []),
            f"* to run it now: {_code(trigger_command(request.scheduler_id))}",
            "* to change it: the RPC service `scheduler`",
        ]
    )
