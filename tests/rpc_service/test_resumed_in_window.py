"""A job that was paused as its window opened, and is resumed before its time in the window has come."""

import asyncio
from datetime import UTC, datetime, timedelta

from temporalio.client import Client

from activities.resume_jobs import end_pause
from backup_scheduler.contract.moments import shown
from backup_scheduler.jobs.filters import ListJobs
from backup_scheduler.jobs.names import run_id, schedule_id
from backup_scheduler.jobs.pauses import PauseJob, PauseJobs, ResumeJobs
from backup_scheduler.jobs.to_schedule import short_request_id
from backup_scheduler.runs.arguments import RunId, RunJob
from backup_scheduler.runs.asked import Why
from backup_scheduler.temporal.stored_jobs import StoredJob
from lab.parts.backup_service import BackupService, answering
from lab.parts.waiting import eventually_async
from rpc_service.gateway.jobs import ScheduleGateway
from tests.support.gateway_jobs import SETTINGS
from tests.support.listed_jobs import has
from tests.support.open_windows import jobs_that_start_soon
from tests.support.workers import worker_with


async def test_its_run_starts_at_its_time_and_is_foreseen(temporal: Client, target: BackupService, policy: str) -> None:
    target.answers = [answering(200)]
    async with worker_with(temporal, {policy: target.policy()}) as worker:
        settings = SETTINGS.model_copy(update={"task_queue": worker.task_queue})
        gateway = ScheduleGateway(temporal, settings)
        opens, jobs = await jobs_that_start_soon(temporal, 2, policy, worker.task_queue)
        by_end, *with_others = jobs
        await gateway.pause(by_end, PauseJob(scheduler_id=by_end, until=datetime(2090, 1, 1, tzinfo=UTC)), "pause")
        await has(gateway, list(jobs), policy_name=policy)
        together = {"policy_name": policy, "paused": False}
        receipt = await gateway.pause_all(PauseJobs(filter=together, reason="repair"), "pause all")
        assert sorted(receipt["changed"]) == sorted(with_others)
        await asyncio.sleep((opens + timedelta(seconds=1) - datetime.now(UTC)).total_seconds())

        assert await end_pause(StoredJob(temporal, by_end), short_request_id("pause"), "end")
        assert (await gateway.resume(by_end))["next_run_time"] == shown(jobs[by_end], settings.zone)
        receipt = await gateway.resume_all(ResumeJobs(filter={"policy_name": policy}), "resume all")
        assert sorted(receipt["changed"]) == sorted(with_others)
        listed = (await gateway.list_page(ListJobs(policy_name=policy)))["jobs"]
        told = {job["job_id"]: job["next_run_time"] for job in listed}
        assert told == {name: shown(start, settings.zone) for name, start in jobs.items()}
        for name in jobs:
            assert (await gateway.get(name))["next_run_time"] == told[name]
            asked = await gateway.runs.start(RunJob(scheduler_id=name, at=opens), Why(), redelivered=False)
            assert (asked["outcome"], asked["started_by"]) == ("waiting", "schedule")

        async def have_ended() -> bool:
            described = [await temporal.get_schedule_handle(schedule_id(name)).describe() for name in jobs]
            return all(each.info.num_actions and not each.info.running_actions for each in described)

        await eventually_async(have_ended)
        for name, start in jobs.items():
            run = await gateway.runs.get(RunId(run_id=run_id(schedule_id(name), opens)))
            assert (run["outcome"], run["started_by"]) == ("completed", "schedule")
            late = datetime.fromisoformat(run["started_at"]).replace(tzinfo=UTC) - start
            assert timedelta(seconds=-1) < late < timedelta(seconds=20), "of a busy machine"
            assert (await temporal.get_schedule_handle(schedule_id(name)).describe()).info.num_actions == 1
