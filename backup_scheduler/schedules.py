"""BackupJob -> Temporal Schedule, without I/O; scheduled_jobs.py is the way back."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Self
from zoneinfo import ZoneInfo

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
from backup_scheduler.timing import first_run, phase

LONGEST_RUN: Final = timedelta(days=31)
"""A run that is still open so long after its last possible start has hung; it must not hold up the next for ever. No
policy allows a backup as much."""

MADE_FOR: Final = "scheduler_id"
"""Memo key of the job that a schedule was made for. Nobody can change a memo: it tells whose a spoilt schedule is."""

CALL: Final = "call"
"""Memo key of the call that made a schedule: delivered again, it is known by it."""

CALLS: Final = "backup-scheduler-calls"
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


def schedule_for(aim: Aim, task_queue: str, call: str = "", changed_by: Sequence[str] = ()) -> Schedule:
    """Return the schedule of a job.

    `call` identifies the call that wants it so. An update passes the marks of the calls that have changed the job
    before: they have to last.
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
    if calls := [*changed_by, *([mark_of(call)] if call else [])]:
        action.headers = {CALLS: _converter.to_payload(calls[-_CALLS_KEPT:])}
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
    return {MADE_FOR: request.scheduler_id, CALL: call}


def mark_of(call: str) -> str:
    """Return what a schedule keeps of a call that has changed it."""
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


def search_attributes(request: BackupRequest) -> TypedSearchAttributes:
    """Return the attributes by which people find a job's schedule and its runs."""
    return TypedSearchAttributes(
        [
            SearchAttributePair(SCHEDULER_ID, bounded(request.scheduler_id)),
            SearchAttributePair(POLICY_NAME, bounded(request.policy_name)),
        ]
    )


def _short(text: str) -> str:
    # The server takes 400 bytes of summary; two names of up to 200 characters of 4 bytes each could be longer.
    return text if len(text) <= 40 else f"{text[:39]}…"


def _summary(request: BackupRequest) -> str:
    return f"Backup {_short(request.policy_name)} for {_short(request.scheduler_id)}"


def _code(text: str) -> str:
    """Return the text as code of Markdown, whose fence is longer than any run of backticks in it."""
    fence = "`"
    while fence in text:
        fence += "`"
    blank = " " if len(fence) > 1 else ""
    return f"{fence}{blank}{text}{blank}{fence}"


def _details(request: BackupRequest) -> str:
    days = "day" if request.days == 1 else f"{request.days} days"
    window = f", at a random moment of the {request.duration} h from then" if request.duration else ""
    return "\n".join(
        [
            f"* policy: {request.policy_name}",
            f"* scheduler_id: {request.scheduler_id}",
            f"* runs every {days} at {request.start_time} {request.timezone}{window}, from {request.anchor} on",
            f"* a missed run is made up for within {request.misfire_grace_time} s",
            f"* to run it now: {_code(trigger_command(request.scheduler_id))}",
            "* to change it: the RPC service `scheduler`",
        ]
    )
