"""The end of a pause: what it resumes, what it leaves alone, and what it reports."""

import dataclasses
from datetime import UTC, datetime

import pytest
from temporalio.api.workflowservice.v1 import ListSchedulesResponse
from temporalio.client import Client, ScheduleUpdate, ScheduleUpdateInput
from temporalio.service import RPCError, RPCStatusCode
from temporalio.testing import ActivityEnvironment

from activities import resume_jobs
from activities.resume_jobs import JobResumer
from backup_scheduler.jobs.from_schedule import ScheduledJob
from backup_scheduler.jobs.names import schedule_id
from backup_scheduler.jobs.notes import SwitchNote
from backup_scheduler.jobs.pauses import ResumeReport, ResumeRequest
from backup_scheduler.temporal.lists import page_of_jobs
from backup_scheduler.temporal.stored_jobs import StoredJob
from rpc_service.gateway.jobs import ScheduleGateway
from tests.support.gateway_jobs import SETTINGS, a_job
from tests.support.listed_jobs import has

NOW = datetime.now(UTC)


async def ended(client: Client, request: ResumeRequest, before: ResumeReport | None = None) -> ResumeReport:
    """End a pause; `before` is the report of an earlier attempt."""
    environment = ActivityEnvironment(client=client)
    details = [] if before is None else [before.model_dump()]
    environment.info = dataclasses.replace(environment.info, heartbeat_details=details)
    return await environment.run(JobResumer().resume_jobs, request)


async def paused(client: Client, scheduler_id: str, pause_id: str) -> None:
    await ScheduleGateway(client, SETTINGS).add(a_job(scheduler_id), "add")
    note = SwitchNote(True, "a test", NOW, "repair", NOW, pause_id)
    await client.get_schedule_handle(schedule_id(scheduler_id)).pause(note=note.text())
    await has(ScheduleGateway(client, SETTINGS), [scheduler_id], prefix=scheduler_id, paused=True)


def break_it(seen: ScheduleUpdateInput) -> ScheduleUpdate:
    seen.description.schedule.spec.cron_expressions = ["0 4 * * *"]
    return ScheduleUpdate(seen.description.schedule)


async def test_a_broken_job_stays_paused_and_does_not_stop_the_others(temporal: Client, scheduler_id: str) -> None:
    names = [f"{scheduler_id}-{odd}" for odd in ("plain", 'a "b"', "é" * 80)]
    for each in names:
        await paused(temporal, each, "1f")
    await temporal.get_schedule_handle(names[0]).update(break_it)
    report = await ended(temporal, ResumeRequest(pause_id="1f", until=NOW))
    assert (report.resumed, sorted(report.scheduler_ids)) == (2, sorted(names[1:]))
    [(broken, reason)] = report.failures.items()
    assert broken == names[0]
    assert "was changed by other means" in reason
    assert (await temporal.get_schedule_handle(names[0]).describe()).schedule.state.paused


async def test_another_attempt_goes_on_where_the_one_before_was_cut_short(temporal: Client, scheduler_id: str) -> None:
    await paused(temporal, scheduler_id, "2f")
    report = await ended(
        temporal, ResumeRequest(pause_id="2f", until=NOW), ResumeReport(resumed=1, scheduler_ids=["another"])
    )
    assert report == ResumeReport(resumed=2, scheduler_ids=["another", scheduler_id])


async def test_a_job_that_is_gone_or_paused_anew_is_left_alone(temporal: Client, scheduler_id: str) -> None:
    assert await ended(temporal, ResumeRequest(pause_id="3f", until=NOW, scheduler_id="gone")) == ResumeReport()
    await paused(temporal, scheduler_id, "4f")
    assert await ended(temporal, ResumeRequest(pause_id="3f", until=NOW, scheduler_id=scheduler_id)) == ResumeReport()
    assert (await temporal.get_schedule_handle(scheduler_id).describe()).schedule.state.paused


async def test_a_temporal_that_does_not_answer_for_a_job_makes_for_another_attempt(
    temporal: Client, scheduler_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [f"{scheduler_id}-{number}" for number in range(2)]
    for each in names:
        await paused(temporal, each, "5f")

    class Away(StoredJob):
        async def read(self) -> ScheduledJob | None:
            if self.scheduler_id == names[0]:
                raise RPCError("away", RPCStatusCode.UNAVAILABLE, b"")
            return await super().read()

    monkeypatch.setattr(resume_jobs, "StoredJob", Away)
    with pytest.raises(RPCError, match="away"):
        await ended(temporal, ResumeRequest(pause_id="5f", until=NOW))
    states = [(await temporal.get_schedule_handle(each).describe()).schedule.state.paused for each in names]
    assert states == [True, False]


async def test_a_list_that_lags_makes_no_job_count_twice(
    temporal: Client, scheduler_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await paused(temporal, scheduler_id, "6f")
    before = await page_of_jobs(temporal, f"ScheduleId='{scheduler_id}'")

    async def as_it_was(*_: object) -> ListSchedulesResponse:
        return before

    monkeypatch.setattr(resume_jobs, "page_of_jobs", as_it_was)
    report = await ended(temporal, ResumeRequest(pause_id="6f", until=NOW))
    assert report == ResumeReport(resumed=1, scheduler_ids=[scheduler_id])
