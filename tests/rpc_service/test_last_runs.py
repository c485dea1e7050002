"""list_jobs: what became of the last run of a job, and whether it is overdue."""

from datetime import UTC, datetime, timedelta

from temporalio.client import Client, ScheduleActionExecutionStartWorkflow, ScheduleOverlapPolicy

from backup_scheduler.policies.http import HttpPolicy
from backup_scheduler.settings import Settings
from lab.parts.backup_service import BackupService, answering
from rpc_service.gateway.jobs import ScheduleGateway
from tests.support.gateway_jobs import SETTINGS, a_job
from tests.support.listed_jobs import added, has, listed
from tests.support.workers import worker_with


async def test_what_became_of_the_last_run_is_listed_and_finds_jobs(
    temporal: Client, policy: str, target: BackupService
) -> None:
    never = HttpPolicy(type="http", url="http://127.0.0.1:9/")
    policies = {
        f"{policy} good": target.policy(),
        f"{policy} bad": target.policy(url=f"{target.url}/bad"),
        policy: never,
    }
    target.answers = [answering(200), answering(404)]
    async with worker_with(temporal, policies) as runs:
        gateway = ScheduleGateway(temporal, Settings(timezone="UTC", task_queue=runs.task_queue))
        ids = {name: f"{name} job" for name in policies}
        for name, scheduler_id in ids.items():
            await gateway.add(a_job(scheduler_id, policy_name=name), "add")
        gateway = ScheduleGateway(temporal, SETTINGS)  # another process: it describes no job, and so refreshes none
        for name in policies:  # one after another, as the target answers
            handle = temporal.get_schedule_handle(ids[name])
            await handle.trigger(overlap=ScheduleOverlapPolicy.BUFFER_ALL)
            expected = {f"{policy} good": "completed", f"{policy} bad": "failed", policy: "running"}[name]
            await has(gateway, [ids[name]], prefix=policy, last_outcome=expected)
        found = await listed(gateway, prefix=policy)
        assert {each["job_id"]: each["last_outcome"] for each in found.values()} == {
            ids[f"{policy} good"]: "completed",
            ids[f"{policy} bad"]: "failed",
            ids[policy]: "running",
        }
        for each in found.values():
            started = datetime.strptime(each["last_run"], "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
            assert abs(datetime.now(UTC) - started) < timedelta(minutes=5)
        running = temporal.get_schedule_handle(ids[policy])
        [run] = (await running.describe()).info.running_actions
        assert isinstance(run, ScheduleActionExecutionStartWorkflow)
        await temporal.get_workflow_handle(run.workflow_id).cancel()
        await has(gateway, [ids[policy]], prefix=policy, last_outcome="cancelled")


async def test_a_job_without_a_backup_is_overdue_when_its_window_is_over(temporal: Client, policy: str) -> None:
    now = datetime.now(UTC)

    def at(moment: datetime) -> ScheduleGateway:
        return ScheduleGateway(temporal, SETTINGS, lambda: moment)

    start = now + timedelta(hours=2)
    ids = await added(at(now), policy, 2, policy, start_time=f"{start:%H:%M}")
    await at(now).pause(ids[1])
    await has(at(now), ids, policy_name=policy, overdue=False)
    await has(at(start + timedelta(minutes=6)), ids[:1], policy_name=policy, overdue=True)
