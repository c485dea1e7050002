"""Jobs stored in Temporal: messages of Temporal's API read, replace, move and delete their schedules."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Final

from google.protobuf.message import DecodeError
from temporalio.api.enums.v1 import WorkflowExecutionStatus
from temporalio.api.schedule import v1 as schedule_messages
from temporalio.api.schedule.v1 import ScheduleListEntry
from temporalio.api.workflow.v1 import WorkflowExecutionInfo
from temporalio.api.workflowservice.v1 import (
    DeleteScheduleRequest,
    DescribeScheduleRequest,
    DescribeScheduleResponse,
    GetWorkflowExecutionHistoryReverseRequest,
    ListWorkflowExecutionsRequest,
    PatchScheduleRequest,
    UpdateScheduleRequest,
)
from temporalio.client import Client, Schedule
from temporalio.common import TypedSearchAttributes
from temporalio.converter import encode_search_attributes
from temporalio.service import RPCError, RPCStatusCode

from backup_scheduler.contract.errors import BrokenJob
from backup_scheduler.jobs.from_schedule import CANNOT_GO_ON, ScheduledJob, job_of_memo
from backup_scheduler.jobs.listed import ListedJob
from backup_scheduler.jobs.names import schedule_id
from backup_scheduler.jobs.notes import By, SwitchNote
from backup_scheduler.jobs.open_windows import opened, resumed_within
from backup_scheduler.jobs.to_schedule import CHANGED_BY, MADE_BY, changes, short_request_id
from backup_scheduler.temporal.own_times import starts_between, starts_in_window
from backup_scheduler.temporal.queries import equals
from backup_scheduler.temporal.schedule_engine import SCHEDULER_WORKFLOW, describe_workflow

_RUNNING: Final = WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_RUNNING

_LIST_INFO: Final = "ScheduleInfo"
"""Memo key under which a schedule's workflow keeps what lists show of it."""

_MOST_EARLIER: Final = 100
"""Most schedules of one id that are looked through, the latest first."""


async def describe_schedule(client: Client, schedule_id: str) -> DescribeScheduleResponse:
    """Describe a schedule. The answer shows every call that has returned (docs/temporal-facts.md#describe-is-right).

    Raises RPCError.
    """
    request = DescribeScheduleRequest(namespace=client.namespace, schedule_id=schedule_id)
    return await client.workflow_service.describe_schedule(request, retry=True)


async def read_job(client: Client, schedule_id: str) -> ScheduledJob | None:
    """Read the job of a schedule; None if the schedule is not a job. Raises BrokenJob and RPCError."""
    while True:
        try:
            job = ScheduledJob.read(schedule_id, await describe_schedule(client, schedule_id))
            spec = job and not job.paused and not job.broken and job.description.schedule.spec
            if job and spec and (opens := resumed_within(spec, job.note, datetime.now(UTC))):
                foreseen = await starts_in_window(client, schedule_id, opens, spec.jitter.ToTimedelta())
                return replace(job, foreseen=foreseen)
            return job
        except RPCError as error:
            if error.status != RPCStatusCode.FAILED_PRECONDITION:
                raise
            workflow = await describe_workflow(client, schedule_id)
            if workflow.pending_workflow_task.attempt > 1:
                # The schedule's workflow fails, so that it answers nothing
                # (docs/temporal-facts.md#a-cancel-ends-a-schedule).
                made_for = job_of_memo(schedule_id, workflow.workflow_execution_info.memo)
                if made_for is None:
                    return None
                raise BrokenJob(made_for, CANNOT_GO_ON) from error
            # Else it was deleted before its first task, while it was described: the next description is of what is
            # there since (docs/temporal-facts.md#a-delete-can-come-between).


def schedules_query(workflow_id: str) -> str:
    """Return a query for the workflows that are the schedules of an id; it may find more (`equals`)."""
    return f"{equals('WorkflowId', workflow_id)} AND TemporalNamespaceDivision='TemporalScheduler'"


class StoredJob:
    """The schedule of one job, found by the scheduler_id.

    Every method raises RPCError; a lazy client that cannot connect raises RuntimeError instead.
    """

    def __init__(self, client: Client, scheduler_id: str) -> None:
        self._client = client
        self.scheduler_id = scheduler_id
        self.schedule_id = schedule_id(scheduler_id)
        self._handle = client.get_schedule_handle(self.schedule_id)

    async def read(self) -> ScheduledJob | None:
        """Read the job; None if the schedule is not a job. Raises BrokenJob if its terms cannot be read."""
        job = await read_job(self._client, self.schedule_id)
        return job if job is not None and job.request.scheduler_id == self.scheduler_id else None

    async def look(self, now: datetime) -> ListedJob | None:
        """Look at the job without asking the schedule's workflow; None if only a description tells what it is.

        This costs Temporal a fifth of a description, and is as right as one while the workflow has no task to do
        (docs/temporal-facts.md#a-schedules-workflow-has-its-list-entry).
        """
        try:
            found = await describe_workflow(self._client, self.schedule_id)
        except RPCError as error:
            if error.status == RPCStatusCode.NOT_FOUND:
                return None
            raise
        info = found.workflow_execution_info
        if found.HasField("pending_workflow_task") or info.status != _RUNNING:
            return None
        entry = ScheduleListEntry(
            schedule_id=self.schedule_id, memo=info.memo, search_attributes=info.search_attributes
        )
        try:
            entry.info.ParseFromString(info.memo.fields[_LIST_INFO].data)
        except DecodeError:  # of another engine or release
            return None
        job = ListedJob.read(entry, now)
        return job if job is not None and job.request.scheduler_id == self.scheduler_id else None

    async def starts_until(self, now: datetime, end: datetime) -> Sequence[datetime]:
        """Return the starts, jitter included, of all occurrences from now on; at most 1,000 and none beyond `end`.

        See docs/temporal-facts.md#moments-ahead-are-listed.
        """
        return await starts_between(self._client, self.schedule_id, now, end)

    async def create(self, schedule: Schedule, memo: Mapping[str, str], attributes: TypedSearchAttributes) -> None:
        """Create the schedule. Raises ScheduleAlreadyRunningError if the id is taken."""
        await self._client.create_schedule(self.schedule_id, schedule, memo=memo, search_attributes=attributes)

    async def replace(self, current: ScheduledJob, schedule: Schedule, attributes: TypedSearchAttributes) -> None:
        """Replace the schedule, unless it has changed since `current` was read; a paused job stays paused.

        Temporal drops an outdated update without an error (docs/temporal-facts.md#update-drops-silently): read the job
        again to see whether it was made. The SDK's own `update` sends no conflict token, so it would undo a pause that
        came between.
        """
        wanted = await schedule._to_proto(self._client)  # the SDK's only way to encode one
        if current.paused:  # else the update would resume the job (docs/temporal-facts.md#a-fresh-schedule-unpauses)
            wanted.state.paused = True
            wanted.state.notes = current.description.schedule.state.notes
        request = self._update(current, wanted)
        encode_search_attributes(attributes, request.search_attributes)
        await self._client.workflow_service.update_schedule(request, retry=True)

    async def move(self, current: ScheduledJob, offset: timedelta, start_at: datetime) -> None:
        """Give the schedule's one interval another offset and start, unless it has changed since `current` was read.

        All other fields stay, also those that only a newer release knows.
        """
        request = self._update(current, current.description.schedule)
        [interval] = request.schedule.spec.interval
        interval.phase.FromTimedelta(offset)
        request.schedule.spec.start_time.FromDatetime(start_at)
        await self._client.workflow_service.update_schedule(request, retry=True)

    async def switch(self, current: ScheduledJob, note: SwitchNote, request_id: str) -> None:
        """Pause or resume the schedule, as the note says, unless it has changed since `current` was read.

        `pause` and `unpause` do so whatever came between. `request_id` is kept beside those of modifies; where a window
        is open, only the note shows what resumed the job.
        """
        if not note.paused and opened(current.description.schedule.spec, note.at):
            # Not by an update, nor with one behind it (docs/temporal-facts.md#an-update-of-a-pause-drops-a-run). This
            # undoes what comes between this moment and the one at which `current` was read.
            await self.unpause(note.text())
            return
        request = self._update(current, current.description.schedule)
        request.schedule.state.paused, request.schedule.state.notes = note.paused, note.text()
        header = request.schedule.action.start_workflow.header
        header.fields[CHANGED_BY].CopyFrom(changes(current.changed_by, request_id))
        await self._client.workflow_service.update_schedule(request, retry=True)

    def _update(self, current: ScheduledJob, wanted: schedule_messages.Schedule) -> UpdateScheduleRequest:
        return UpdateScheduleRequest(
            namespace=self._client.namespace,
            schedule_id=self.schedule_id,
            schedule=wanted,
            conflict_token=current.description.conflict_token,
            identity=self._client.identity,
            request_id=str(uuid.uuid4()),
        )

    async def touch(self) -> None:
        """Send the schedule a request that changes nothing, and that only the node which has the schedule takes."""
        request = PatchScheduleRequest(
            namespace=self._client.namespace,
            schedule_id=self.schedule_id,
            patch=schedule_messages.SchedulePatch(),
            identity=self._client.identity,
            request_id=str(uuid.uuid4()),
        )
        await self._client.workflow_service.patch_schedule(request, retry=True)

    async def unpause(self, note: str) -> None:
        """Unpause the schedule."""
        await self._handle.unpause(note=note)

    async def delete(self, request_id: str, by: By) -> None:
        """Delete the schedule; `was_deleted_by` finds the request later, and people who asked for it."""
        whom = [each for each in (by.caller and f"for {by.caller}", by.reason) if each]
        request = DeleteScheduleRequest(
            namespace=self._client.namespace,
            schedule_id=self.schedule_id,
            identity=" ".join([self._client.identity, *whom, short_request_id(request_id)]),
        )
        await self._client.workflow_service.delete_schedule(request, retry=True)

    async def was_deleted_by(self, request_id: str) -> bool:
        """Return whether this request deleted an earlier schedule of the job; False may be wrong."""
        short_id = short_request_id(request_id)
        for earlier in await self._earlier_schedules():
            last_event = GetWorkflowExecutionHistoryReverseRequest(
                namespace=self._client.namespace, execution=earlier.execution, maximum_page_size=1
            )
            found = await self._client.workflow_service.get_workflow_execution_history_reverse(last_event, retry=True)
            for event in found.history.events:  # the identity of the request that ended the schedule
                if event.workflow_execution_terminated_event_attributes.identity.endswith(short_id):
                    return True
        return False

    async def was_made_by(self, request_id: str) -> bool:
        """Return whether this request made the schedule or an earlier one of the job; False may be wrong."""
        wanted = self._client.data_converter.payload_converter.to_payload(request_id)
        return any(each.memo.fields.get(MADE_BY) == wanted for each in await self._earlier_schedules())

    async def _earlier_schedules(self) -> Sequence[WorkflowExecutionInfo]:
        """Return the latest schedules of this id, deleted ones included.

        A schedule is a workflow of the server's own, kept for the namespace's retention
        (docs/temporal-facts.md#deleted-schedules-leave-a-workflow). The index of workflows lags, and it lacks schedules
        of the newer engine (CHASM).
        """
        workflow_id = f"{SCHEDULER_WORKFLOW}{self.schedule_id}"
        request = ListWorkflowExecutionsRequest(
            namespace=self._client.namespace, query=schedules_query(workflow_id), page_size=_MOST_EARLIER
        )
        listed = await self._client.workflow_service.list_workflow_executions(request, retry=True)
        return [each for each in listed.executions if each.execution.workflow_id == workflow_id]
