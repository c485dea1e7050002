"""Jobs as Temporal describes them, made without a server: the messages are the SDK's own."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from temporalio.api.common.v1 import Memo
from temporalio.api.schedule.v1 import Schedule as ScheduleMessage
from temporalio.api.schedule.v1 import ScheduleInfo
from temporalio.api.workflowservice.v1 import DescribeScheduleResponse
from temporalio.client import Client, Schedule
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.converter import encode_search_attributes

from backup_scheduler.jobs.from_schedule import ScheduledJob
from backup_scheduler.jobs.names import schedule_id
from backup_scheduler.jobs.request import BackupRequest
from backup_scheduler.jobs.to_schedule import Alignment, memo_for, schedule_for, search_attributes
from tests.support.backup_requests import a_request

FIRST = datetime(2026, 1, 1, 2, tzinfo=UTC)
"""The first run of `a_request()`."""


async def message_of(schedule: Schedule) -> ScheduleMessage:
    """Return the schedule as it is sent; nothing is sent here."""
    client = await Client.connect("127.0.0.1:1", lazy=True, data_converter=pydantic_data_converter)
    return await schedule._to_proto(client)


async def described(
    request: BackupRequest | None = None,
    edit: Callable[[ScheduleMessage], object] = lambda _: None,
    *,
    starts: Sequence[datetime] = (),
    made_by: str = "call",
    changed_by: Sequence[str] = (),
    request_id: str = "",
    **info: Any,
) -> DescribeScheduleResponse:
    """Return the description of a job's schedule; `edit` changes it as other programs may."""
    request = request or a_request()
    message = await message_of(schedule_for(Alignment(request, FIRST), "backups", request_id, changed_by))
    edit(message)
    found = DescribeScheduleResponse(schedule=message, info=ScheduleInfo(**info))
    if not found.info.HasField("create_time"):
        found.info.create_time.FromDatetime(FIRST - timedelta(hours=1))
    for moment in starts:
        found.info.future_action_times.add().FromDatetime(moment)
    converter = pydantic_data_converter.payload_converter
    memo = {key: converter.to_payload(value) for key, value in memo_for(request, made_by).items()}
    found.memo.CopyFrom(Memo(fields=memo))
    encode_search_attributes(search_attributes(request), found.search_attributes)
    return found


async def job_of(request: BackupRequest | None = None, **description: Any) -> ScheduledJob:
    """Return the job of such a description."""
    request = request or a_request()
    job = ScheduledJob.read(schedule_id(request.scheduler_id), await described(request, **description))
    assert job is not None
    return job
