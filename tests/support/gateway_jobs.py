"""Jobs and settings for tests of the gateway."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime
from typing import Any

from temporalio.api.workflowservice.v1 import DescribeScheduleResponse
from temporalio.client import Client
from temporalio.converter import encode_search_attributes

from backup_scheduler.jobs.from_schedule import ScheduledJob
from backup_scheduler.jobs.listed import ListedJob
from backup_scheduler.jobs.notes import SwitchNote
from backup_scheduler.jobs.terms import BackupJob
from backup_scheduler.jobs.to_schedule import search_attributes
from backup_scheduler.settings import Settings
from backup_scheduler.temporal.stored_jobs import StoredJob
from rpc_service.gateway.jobs import ScheduleGateway

SETTINGS = Settings(timezone="UTC")


def a_job(scheduler_id: str, start_time: str = "02:01", policy_name: str = "documents", **others: Any) -> BackupJob:
    return BackupJob(
        scheduler_id=scheduler_id,
        policy_name=policy_name,
        days=7,
        start_time=start_time,
        duration=0,
        misfire_grace_time=60,
        **others,
    )


class PacedJob(StoredJob):
    """A job of `tests.support.runs.make_job`; its pace, and that no list has it, would be faults to the gateway."""

    async def read(self) -> ScheduledJob | None:
        job = await super().read()
        if job is None:
            return None
        shown = DescribeScheduleResponse()
        shown.CopyFrom(job.description)
        [interval] = shown.schedule.spec.interval
        interval.interval.FromTimedelta(job.request.every)
        shown.schedule.spec.ClearField("end_time")
        encode_search_attributes(search_attributes(job.request), shown.search_attributes)
        return replace(job, description=shown)

    async def switch(self, current: ScheduledJob, note: SwitchNote, request_id: str) -> None:
        await super().switch(await super().read() or current, note, request_id)  # which keeps its pace


def overtaken(client: Client, happens: Callable[[], Awaitable[None]]) -> ScheduleGateway:
    """A gateway whose job is changed between its first look at it and its own change."""

    class Overtaken(StoredJob):
        is_first = True

        async def read(self) -> ScheduledJob | None:
            current = await super().read()
            await self._once()
            return current

        async def look(self, now: datetime) -> ListedJob | None:
            seen = await super().look(now)
            if seen:
                await self._once()
            return seen

        async def _once(self) -> None:
            if self.is_first:
                self.is_first = False
                await happens()

    return ScheduleGateway(client, SETTINGS, stored_job=Overtaken)
