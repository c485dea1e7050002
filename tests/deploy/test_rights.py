"""The rights of docs/cluster.md on a Temporal with its default authorizer: what each role lets a process do."""

import asyncio
import json
import signal
import uuid
from collections.abc import Awaitable
from pathlib import Path

import pytest
from temporalio.client import Client, ScheduleOverlapPolicy

from backup_scheduler.contract.errors import AccessRefused, SearchAttributesMissing
from backup_scheduler.runs.results import Outcome
from lab.parts.backup_service import BackupService, answering
from lab.parts.waiting import eventually_async
from rpc_service.gateway.jobs import ScheduleGateway
from tests.support.gateway_jobs import SETTINGS, a_job
from tests.support.passes import a_pass
from tests.support.policy_files import write_policies
from tests.support.temporal_nodes import NAMESPACE, TemporalNode
from tests.support.workers import WorkerProcess, line_with, worker_process
from tests.support.workflow_runs import run_of

pytestmark = [pytest.mark.cluster, pytest.mark.programs]

NEEDED = f"TEMPORAL_API_KEY has to be a valid token with the permission '{NAMESPACE}:write'"
READ, WRITE, ADMIN = (f"{NAMESPACE}:{role}" for role in ("read", "write", "admin"))


async def gateway(node: TemporalNode, *permissions: str) -> ScheduleGateway:
    return ScheduleGateway(await node.client(*permissions), SETTINGS)


async def test_a_token_that_may_write_is_enough_for_every_method(node: TemporalNode) -> None:
    jobs, name = await gateway(node, WRITE), uuid.uuid4().hex
    assert (await jobs.add(a_job(name), "1"))["job_id"] == name
    assert (await jobs.modify(a_job(name, start_time="03:00"), "2"))["kwargs"]["start_time"] == "03:00"
    assert (await jobs.pause(name))["next_run_time"] is None
    assert (await jobs.resume(name))["next_run_time"] is not None
    assert (await jobs.get(name))["job_id"] == name

    async def listed() -> bool:
        return [each["job_id"] for each in await jobs.get_all()].count(name) == 1

    await eventually_async(listed)
    assert (await jobs.remove(name, "3"))["job_id"] == name


async def test_a_call_without_the_right_is_answered_with_503_and_the_right(node: TemporalNode) -> None:
    owner, reader = await gateway(node, WRITE), await gateway(node, READ)
    name = uuid.uuid4().hex
    await owner.add(a_job(name), "1")
    assert (await reader.get(name))["job_id"] == name
    refused: list[Awaitable[object]] = [
        reader.add(a_job("another"), "2"),
        reader.modify(a_job(name), "3"),
        reader.pause(name),
        reader.remove(name, "4"),
    ]
    for permissions in ((), ("elsewhere:write",), (f"{NAMESPACE}:worker",)):
        stranger = await gateway(node, *permissions)
        refused += [stranger.get(name), stranger.get_all(), stranger.add(a_job("another"), "5")]
    expired = node.token(WRITE, days=-1)
    refused.append(ScheduleGateway(await node.client(api_key=expired, lazy=True), SETTINGS).get(name))
    for each in refused:
        with pytest.raises(AccessRefused) as caught:
            await each
        assert caught.value.code == 503
        assert NEEDED in str(caught.value)
    await owner.remove(name, "6")


async def test_search_attributes_that_only_an_administrator_may_make_are_named_with_the_right(
    node: TemporalNode,
) -> None:
    name = f"new-{uuid.uuid4().hex[:8]}"
    await node.make_namespace(name)
    jobs = ScheduleGateway(await node.client(f"{name}:write", namespace=name), SETTINGS)
    with pytest.raises(SearchAttributesMissing, match=rf"administrator \(permission '{name}:admin'\) has to make Back"):
        await jobs.add(a_job("first"), "1")
    environ = node.environ(node.token(f"{name}:write"), "worker") | {"TEMPORAL_NAMESPACE": name}
    async with worker_process(**environ) as process:
        said = json.loads(await line_with(process, "search attributes missing"))
        await line_with(process, '"worker ready"')
    assert said["permission"] == f"{name}:admin"
    assert said["command"].startswith(f"temporal operator search-attribute create --namespace {name} --name BackupSch")
    done = await asyncio.to_thread(node.temporal, said["command"].removeprefix("temporal "), f"{name}:admin")
    assert done.returncode == 0, done.stderr

    async def added() -> bool:  # the server hears of them within seconds
        try:
            await jobs.add(a_job("first"), "1")
        except SearchAttributesMissing:
            return False
        return True

    await eventually_async(added)


async def test_a_worker_with_a_token_that_may_write_makes_backups_and_passes(
    node: TemporalNode, as_operator: Client, target: BackupService, tmp_path: Path
) -> None:
    target.answers = [answering(200)]
    policies = write_policies(tmp_path / "policies.toml", {"documents": {"type": "http", "url": target.url}})
    name = uuid.uuid4().hex
    await (await gateway(node, WRITE)).add(a_job(name), "1")
    token = node.token(WRITE)
    with WorkerProcess(node.address, policies, SETTINGS.task_queue, **node.environ(token, "worker")) as worker:
        await worker.ready()
        await as_operator.get_schedule_handle(name).trigger(overlap=ScheduleOverlapPolicy.BUFFER_ALL)
        handle = await run_of(as_operator, name, 1)
        assert (await handle.result()).outcome is Outcome.COMPLETED

        async def looked_at() -> bool:  # lists lag
            return bool((await a_pass(as_operator))["looked_at"])

        await eventually_async(looked_at)
        said, command = worker.log.read_text(), worker.process.cmdline()
    assert '"error"' not in said
    assert token not in said + " ".join(command)
    await as_operator.get_schedule_handle(name).delete()


async def test_a_worker_without_the_right_says_so_and_works_once_its_profile_has_a_better_token(
    node: TemporalNode, tmp_path: Path
) -> None:
    profile = tmp_path / "profile.toml"
    profile.write_text(f'[profile.default]\napi_key = "{node.token(READ)}"\n')
    environ = node.environ(client="worker") | {"TEMPORAL_CONFIG_FILE": str(profile)}
    async with worker_process(**environ) as process:
        said = json.loads(await line_with(process, "access refused, trying again"))
        assert NEEDED in said["reason"]
        profile.write_text(f'[profile.default]\napi_key = "{node.token(WRITE)}"\n')
        await line_with(process, '"worker ready"')


async def test_a_worker_whose_token_is_no_longer_taken_says_so_and_goes_on_with_a_new_one(
    node: TemporalNode, as_operator: Client, tmp_path: Path
) -> None:
    first, second = tmp_path / "first.key", tmp_path / "second.key"
    node.publish(node.token_key, first)
    profile = tmp_path / "profile.toml"
    profile.write_text(f'[profile.default]\napi_key = "{node.token(WRITE, key=first)}"\n')
    environ = node.environ(client="worker") | {"TEMPORAL_CONFIG_FILE": str(profile)}
    environ["SCHEDULER_TASK_QUEUE"] = f"queue-{uuid.uuid4()}"
    async with worker_process(**environ) as process:
        await line_with(process, '"worker ready"')
        node.publish(node.token_key, second)
        said = json.loads(await line_with(process, "access refused"))
        assert NEEDED in said["reason"]
        profile.write_text(f'[profile.default]\napi_key = "{node.token(WRITE, key=second)}"\n')
        await line_with(process, "renewed settings of Temporal are in use")
        await line_with(process, "access granted again")
        assert (await a_pass(as_operator))["failures"] == {}
        process.send_signal(signal.SIGTERM)
        assert await process.wait() == 0
