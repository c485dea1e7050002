"""Requests that the broker delivers a second time, and requests that only look like it."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from temporalio.client import Client, ScheduleHandle, WorkflowFailureError

from backup_scheduler.contract.errors import JobExists, JobNotFound
from backup_scheduler.contract.methods import RUN
from backup_scheduler.jobs.to_schedule import Alignment, schedule_for, search_attributes
from backup_scheduler.runs.arguments import CancelRun, RunJob
from backup_scheduler.runs.asked import Why
from backup_scheduler.temporal.stored_jobs import StoredJob
from lab.parts.backup_service import BackupService
from rpc_service.gateway.jobs import ScheduleGateway
from tests.support.gateway_jobs import SETTINGS, a_job
from tests.support.workers import worker_with
from tests.support.workflow_runs import events


async def test_the_request_that_made_a_job_may_come_again_and_another_may_not(
    gateway: ScheduleGateway, scheduler_id: str
) -> None:
    made = await gateway.add(a_job(scheduler_id), "one")
    assert await gateway.add(a_job(scheduler_id), "one") == made
    with pytest.raises(JobExists):
        await gateway.add(a_job(scheduler_id), "other")


async def test_an_add_that_was_cut_short_before_it_aimed_anew_does_so_when_it_comes_again(
    gateway: ScheduleGateway, temporal: Client, schedule: ScheduleHandle, scheduler_id: str
) -> None:
    missed = datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(minutes=1)
    job = a_job(scheduler_id, f"{missed:%H:%M}")
    too_late = Alignment.at(missed - timedelta(minutes=1), job, "UTC")
    attributes = search_attributes(too_late.request)
    await temporal.create_schedule(
        scheduler_id, schedule_for(too_late, "backups"), memo={"call": "one"}, search_attributes=attributes
    )
    await gateway.add(job, "one")
    assert (await schedule.describe()).info.next_action_times[0] == missed + timedelta(days=1)


async def test_a_job_that_is_modified_before_its_add_comes_again_keeps_the_new_terms(
    gateway: ScheduleGateway, scheduler_id: str
) -> None:
    await gateway.add(a_job(scheduler_id), "one")
    changed = await gateway.modify(a_job(scheduler_id, policy_name="pictures"), "two")
    assert await gateway.add(a_job(scheduler_id), "one") == changed


async def test_a_remove_that_comes_again_and_finds_nothing_says_that_it_may_have_been_itself(
    gateway: ScheduleGateway, scheduler_id: str
) -> None:
    with pytest.raises(JobNotFound, match=r"^no job has the scheduler_id '[^']+'$"):
        await gateway.remove(scheduler_id, "gone")
    with pytest.raises(JobNotFound, match="may have removed it"):
        await gateway.remove(scheduler_id, "gone", redelivered=True)


@pytest.mark.parametrize("odd", ["plain", "it's", 'a "b"', "back\\slash", "100%"])
async def test_an_add_that_comes_again_does_not_bring_back_a_job_that_was_removed(
    gateway: ScheduleGateway, temporal: Client, scheduler_id: str, odd: str
) -> None:
    name = f"{odd}-{scheduler_id}"
    made = await gateway.add(a_job(name), "one")
    await gateway.remove(name, "gone")
    while not await StoredJob(temporal, name).was_made_by("one"):  # the index of workflows lags
        await asyncio.sleep(0.05)
    assert await gateway.add(a_job(name), "one", redelivered=True) == made | {"next_run_time": None}
    with pytest.raises(JobNotFound):
        await gateway.get(name)
    await gateway.add(a_job(name), "other", redelivered=True)
    with pytest.raises(JobExists):
        await gateway.add(a_job(name), "one", redelivered=True)


async def test_a_remove_that_comes_again_leaves_a_job_that_was_added_since(
    gateway: ScheduleGateway, temporal: Client, scheduler_id: str
) -> None:
    await gateway.add(a_job(scheduler_id), "one")
    await gateway.remove(scheduler_id, "gone")
    added = await gateway.add(a_job(scheduler_id, policy_name="next"), "two")
    while not await StoredJob(temporal, scheduler_id).was_deleted_by("gone"):  # the index of workflows lags
        await asyncio.sleep(0.05)
    with pytest.raises(JobNotFound, match="added since"):
        await gateway.remove(scheduler_id, "gone", redelivered=True)
    assert await gateway.get(scheduler_id) == added
    assert (await gateway.remove(scheduler_id, "cut short before it removed", redelivered=True))[
        "job_id"
    ] == scheduler_id


async def test_a_modify_that_comes_again_does_not_undo_one_that_came_after_it(
    gateway: ScheduleGateway, scheduler_id: str
) -> None:
    await gateway.add(a_job(scheduler_id), "one")
    await gateway.modify(a_job(scheduler_id, policy_name="earlier"), "earlier")
    later = await gateway.modify(a_job(scheduler_id, policy_name="later"), "later")
    assert await gateway.modify(a_job(scheduler_id, policy_name="earlier"), "earlier", redelivered=True) == later


async def test_the_same_change_asked_for_anew_is_made_though_its_call_has_the_same_name(
    gateway: ScheduleGateway, scheduler_id: str
) -> None:
    await gateway.add(a_job(scheduler_id), "one")
    for policy_name in ("earlier", "later", "earlier", "later", "earlier"):
        changed = await gateway.modify(a_job(scheduler_id, policy_name=policy_name), policy_name)
        assert changed["kwargs"]["policy_name"] == policy_name


async def test_a_cancel_that_comes_again_is_made_once_and_keeps_its_reason(
    temporal: Client, target: BackupService, scheduler_id: str
) -> None:
    settings = SETTINGS.model_copy(update={"task_queue": f"queue-{scheduler_id}"})
    gateway = ScheduleGateway(temporal, settings)
    await gateway.add(a_job(scheduler_id), "one")
    run = await gateway.runs.start(RunJob(scheduler_id=scheduler_id), Why(reason="test"), redelivered=False)
    cancel = CancelRun(run_id=run["run_id"], reason="disk is full")
    for _ in range(3):
        assert (await gateway.runs.cancel(cancel))["outcome"] == "running", "no worker is there to end it"
    handle = temporal.get_workflow_handle(run["run_id"])
    assert (await events(handle))["EVENT_TYPE_WORKFLOW_EXECUTION_CANCEL_REQUESTED"] == 1
    async with worker_with(temporal, {"documents": target.policy()}, task_queue=settings.task_queue):
        with pytest.raises(WorkflowFailureError):
            await handle.result()
    again = await gateway.runs.cancel(cancel)
    assert (again["outcome"], again["message"]) == ("cancelled", "no backup was made: disk is full")
    assert (again["started_by"], again["reason"]) == (RUN, "test")
    assert target.received == []
