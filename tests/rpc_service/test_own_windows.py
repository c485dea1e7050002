"""Previews for jobs that are there: their days, the window that is open, their zone."""

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from temporalio.client import Client, ScheduleHandle

from backup_scheduler.contract.errors import BrokenJob
from backup_scheduler.jobs.description import Description
from backup_scheduler.jobs.request import BackupRequest
from backup_scheduler.jobs.terms import BackupJob, Preview
from backup_scheduler.jobs.to_schedule import Alignment, schedule_attributes, schedule_for
from rpc_service.gateway.jobs import ScheduleGateway
from tests.support.gateway_jobs import SETTINGS, a_job

DAY, MOMENT = timedelta(days=1), timedelta(milliseconds=1)


def shown(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")


def each(key: str, previewed: Description) -> list[str | None]:
    return [window[key] for window in previewed["windows"]]


async def stored(temporal: Client, job: BackupJob, first_run: datetime, zone: str = "UTC") -> ScheduleHandle:
    """Make a job that was added before its first run, which may be past."""
    request = BackupRequest.of(job, zone, first_run.date())
    return await temporal.create_schedule(
        job.scheduler_id,
        schedule_for(Alignment(request, first_run), SETTINGS.task_queue),
        search_attributes=schedule_attributes(request),
    )


def asked(job: BackupJob, **others: Any) -> Preview:
    return Preview(**job.model_dump(), **others)


async def test_a_job_keeps_its_days_unless_its_terms_change(temporal: Client, scheduler_id: str) -> None:
    today = datetime.now(UTC).replace(second=0, microsecond=0)
    before = today - timedelta(hours=1)
    weekly = a_job(scheduler_id, f"{before:%H:%M}")
    handle = await stored(temporal, weekly, before - 2 * DAY)
    gateway = ScheduleGateway(temporal, SETTINGS)
    previewed = await gateway.preview(asked(weekly, count=2))
    assert each("opens", previewed) == each("starts", previewed) == [shown(before + days * DAY) for days in (5, 12)]
    assert each("starts", previewed)[0] == (await gateway.get(scheduler_id))["next_run_time"]
    renamed = await gateway.preview(asked(a_job(scheduler_id, f"{before:%H:%M}", "pictures"), count=2))
    assert each("opens", renamed) == [shown(before + days * DAY) for days in (1, 8)]
    await handle.delete()


async def test_a_window_that_is_open_is_the_next_one_while_its_run_is_to_come(
    temporal: Client, scheduler_id: str
) -> None:
    opens = datetime.now(UTC).replace(second=0, microsecond=0) + timedelta(hours=1)
    daily = a_job(scheduler_id, f"{opens:%H:%M}").model_copy(update={"days": 1, "duration": 2})
    handle = await stored(temporal, daily, opens)
    run, next_day, *_ = (await handle.describe()).info.next_action_times
    for now, windows in (
        (opens - MOMENT, [(opens, run), (opens + DAY, next_day)]),
        (run - MOMENT, [(opens, run), (opens + DAY, next_day)]),
        (run, [(opens + DAY, next_day)]),
    ):
        gateway = ScheduleGateway(temporal, SETTINGS, clock=lambda now=now: now)  # type: ignore[misc]  # mypy infers no lambda with a default
        previewed = await gateway.preview(asked(daily, count=len(windows)))
        assert each("opens", previewed) == [shown(opening) for opening, _ in windows]
        assert each("starts", previewed) == [shown(start) for _, start in windows]
        assert each("starts", previewed)[0] == (await gateway.get(scheduler_id))["next_run_time"]
    await handle.delete()


async def test_a_job_keeps_its_zone_which_a_preview_names(temporal: Client, scheduler_id: str) -> None:
    zone = "Asia/Kathmandu"
    daily = a_job(scheduler_id, "02:01")
    first = datetime.now(ZoneInfo(zone)).replace(hour=2, minute=1, second=0, microsecond=0) + DAY
    handle = await stored(temporal, daily, first, zone)
    gateway = ScheduleGateway(temporal, SETTINGS)
    previewed = await gateway.preview(asked(daily, count=1))
    assert previewed["timezone"] == zone
    assert each("opens", previewed) == [f"{first:%Y-%m-%d} 02:01:00"]
    renamed = await gateway.preview(asked(a_job(scheduler_id, "02:01", "pictures"), count=1))
    assert renamed["timezone"] == "UTC"
    await handle.delete()


async def test_a_job_whose_zone_is_not_known_here_is_broken(temporal: Client, scheduler_id: str) -> None:
    daily = a_job(scheduler_id)
    handle = await stored(temporal, daily, datetime.now(UTC) + DAY, "Nowhere/Land")
    with pytest.raises(BrokenJob, match="does not know its time zone 'Nowhere/Land': bring the machine's tzdata up to"):
        await ScheduleGateway(temporal, SETTINGS).preview(asked(daily))
    await handle.delete()
