"""The worker as a process: its start, its end, and its remains when it is killed."""

import asyncio
import json
import signal
import socket
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
import pytest
from aiohttp import web
from google.protobuf.duration_pb2 import Duration
from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest
from temporalio.api.workflowservice.v1 import RegisterNamespaceRequest
from temporalio.client import Client, WorkflowHandle
from temporalio.service import RPCError, RPCStatusCode
from temporalio.testing import WorkflowEnvironment

from backup_scheduler.policies.restic import ResticPolicy
from backup_scheduler.runs.results import BackupResult, Outcome
from lab.parts.backup_service import BackupService
from lab.parts.waiting import eventually_async
from tests.support.backup_requests import a_request
from tests.support.policy_files import write_policies
from tests.support.ports import unused_port
from tests.support.restic_repository import Restic
from tests.support.workers import Runs, line_with, worker_process, worker_with
from tests.support.workflow_runs import failure

pytestmark = pytest.mark.programs

TLS = {"TEMPORAL_TLS_CLIENT_KEY_PATH": __file__, "TEMPORAL_TLS_CLIENT_CERT_PATH": __file__}


async def ended(process: asyncio.subprocess.Process) -> tuple[int | None, str]:
    async with asyncio.timeout(60):
        _, log = await process.communicate()
    return process.returncode, log.decode()


@asynccontextmanager
async def amid_a_backup(
    server: WorkflowEnvironment, restic: Restic, policy: ResticPolicy, grace: int
) -> AsyncIterator[tuple[asyncio.subprocess.Process, WorkflowHandle[object, BackupResult], str]]:
    """Run a worker process in the middle of a restic backup."""
    file = restic.folder / "policies.toml"
    file.write_text(
        f'[policies.nightly]\ntype = "restic"\npaths = ["{restic.source}"]\nrepository = "{restic.repository}"\n'
        f'password_file = "{policy.password_file}"\ncache_dir = "{policy.cache_dir}"\n'
    )
    restic.fill(60)
    task_queue = f"queue-{uuid.uuid4()}"
    async with worker_process(
        TEMPORAL_ADDRESS=server.client.service_client.config.target_host,
        SCHEDULER_TASK_QUEUE=task_queue,
        SCHEDULER_POLICIES=str(file),
        SCHEDULER_SHUTDOWN_GRACE=str(grace),
        PATH=restic.slow_path(),
    ) as process:
        handle = await Runs(server.client, task_queue).start(a_request())
        await restic.uploads()
        yield process, handle, task_queue


async def test_a_worker_that_is_killed_takes_restic_with_it_which_leaves_no_lock(
    temporal_server: WorkflowEnvironment, restic: Restic
) -> None:
    async with amid_a_backup(temporal_server, restic, restic.policy(), grace=30) as (process, handle, _):
        (child,) = psutil.Process(process.pid).children()
        process.kill()

        async def gone() -> bool:
            return not child.is_running()

        await eventually_async(gone)
        await handle.terminate()
    assert restic.locks() == []
    assert "[]" in await restic("snapshots", "--json")


async def test_a_worker_that_is_stopped_hands_its_backup_over_and_leaves_with_code_0(
    temporal: Client, temporal_server: WorkflowEnvironment, restic: Restic
) -> None:
    async with amid_a_backup(temporal_server, restic, restic.policy(), grace=1) as (process, handle, task_queue):
        process.send_signal(signal.SIGTERM)
        code, log = await ended(process)
        assert restic.locks() == []
        async with worker_with(temporal, {"nightly": restic.policy()}, task_queue=task_queue):
            result = await handle.result()
    assert result.outcome is Outcome.COMPLETED
    assert (await restic("snapshots", "--json")).count('"short_id"') == 1
    assert code == 0
    assert "backup attempt handed over" in log
    assert "Traceback" not in log


async def test_a_worker_waits_for_temporal_and_stops_meanwhile() -> None:
    async with worker_process(TEMPORAL_ADDRESS=f"127.0.0.1:{unused_port()}") as process:
        await line_with(process, "Temporal cannot be reached, trying again")
        process.send_signal(signal.SIGTERM)
        code, log = await ended(process)
    assert code == 0
    assert "worker stopped" in log
    assert "Traceback" not in log


async def test_a_worker_makes_as_many_backups_at_once_as_its_setting_says(
    temporal: Client, temporal_server: WorkflowEnvironment, target: BackupService, tmp_path: Path
) -> None:
    under_way, counts, places = 0, [], asyncio.Semaphore(0)

    async def slow(_: web.Request) -> web.StreamResponse:
        nonlocal under_way
        under_way += 1
        counts.append(under_way)
        await places.acquire()
        under_way -= 1
        return web.Response()

    target.answers = [slow]
    environ = {
        "TEMPORAL_ADDRESS": temporal_server.client.service_client.config.target_host,
        "SCHEDULER_TASK_QUEUE": f"queue-{uuid.uuid4()}",
        "SCHEDULER_POLICIES": str(
            write_policies(tmp_path / "policies.toml", {"nightly": {"type": "http", "url": target.url}})
        ),
        "SCHEDULER_MAX_BACKUPS": "2",
    }
    async with worker_process(**environ):
        runs = Runs(temporal, environ["SCHEDULER_TASK_QUEUE"])
        handles = [await runs.start(a_request()) for _ in range(4)]

        async def all_wait_for_their_backups() -> bool:
            pending = [(await handle.describe()).raw_description.pending_activities for handle in handles]
            return all(pending) and len(counts) >= 2

        await eventually_async(all_wait_for_their_backups)
        # Meanwhile the worker has asked for more work than it was given.
        await failure(await runs.start(a_request(policy_name="unknown")))
        for _ in handles:
            places.release()
        results = [await handle.result() for handle in handles]
    assert {result.outcome for result in results} == {Outcome.COMPLETED}
    assert len(counts) == len(handles)
    assert max(counts) == 2


async def test_the_log_has_no_lines_below_the_level_of_the_setting() -> None:
    nowhere = f"127.0.0.1:{unused_port()}"
    async with worker_process(TEMPORAL_ADDRESS=nowhere, SCHEDULER_LOG_LEVEL="warning") as process:
        assert process.stderr
        first = (await process.stderr.readline()).decode()
        process.send_signal(signal.SIGTERM)
        _, rest = await ended(process)
    assert "Temporal cannot be reached, trying again" in first
    assert {json.loads(line)["level"] for line in [first, *rest.splitlines()]} == {"warning"}


async def test_a_worker_says_when_it_is_ready(temporal_server: WorkflowEnvironment) -> None:
    address = temporal_server.client.service_client.config.target_host
    async with worker_process(TEMPORAL_ADDRESS=address, SCHEDULER_TASK_QUEUE="unused") as process:
        assert '"task_queue": "unused"' in await line_with(process, '"worker ready"')
        process.send_signal(signal.SIGINT)
        assert (await ended(process))[0] == 0


async def test_a_wrong_policy_file_ends_it_with_one_line_and_code_2(tmp_path: Path) -> None:
    file = tmp_path / "policies.toml"
    file.write_text("[policies.p]\n")
    async with worker_process(SCHEDULER_POLICIES=str(file)) as process:
        code, log = await ended(process)
    assert code == 2
    assert log == f"worker: the policy file {file} is wrong: policy 'p': type must be 'http' or 'restic'\n"


async def test_a_metrics_address_that_cannot_be_used_ends_it_with_one_line_and_code_2() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        for address in ("nowhere.invalid:9464", f"127.0.0.1:{taken.getsockname()[1]}"):
            async with worker_process(SCHEDULER_METRICS_ADDRESS=address) as process:
                code, log = await ended(process)
            assert code == 2
            assert log.startswith(f"worker: SCHEDULER_METRICS_ADDRESS: {address!r} cannot be used: "), log
            assert log.count("\n") == 1


async def test_a_metrics_address_may_have_a_host_name(temporal_server: WorkflowEnvironment) -> None:
    port = unused_port()
    address = temporal_server.client.service_client.config.target_host
    environ = {"TEMPORAL_ADDRESS": address, "SCHEDULER_METRICS_ADDRESS": f"localhost:{port}"}
    async with worker_process(**environ) as process:
        await line_with(process, '"worker ready"')
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /metrics HTTP/1.0\r\n\r\n")
        assert b" 200 " in await reader.readline()
        writer.close()


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        (
            {"TEMPORAL_ADDRESS": "127.0.0.1"},
            "TEMPORAL_ADDRESS (or the address of a profile): must be a host and ",
        ),
        ({"SCHEDULER_TIMEZON": "Europe/Rome"}, "SCHEDULER_TIMEZON is not a setting: SCHEDULER_TIMEZONE is meant?\n"),
        ({"TEMPORAL_TLS": "true", **TLS}, "TEMPORAL_TLS_CLIENT_KEY_PATH: there is no private key in PEM form in the "),
    ],
    ids=["address", "misspelt", "key"],
)
async def test_wrong_settings_end_it_with_one_sentence_and_code_2(wrong: dict[str, str], sentence: str) -> None:
    async with worker_process(**wrong) as process:
        code, log = await ended(process)
    assert code == 2
    assert log.splitlines(keepends=True)[-1].startswith(f"worker: {sentence}")
    assert "Traceback" not in log


async def test_a_variable_that_may_be_somebody_elses_is_named_and_does_no_harm() -> None:
    port = f"127.0.0.1:{unused_port()}"
    async with worker_process(TEMPORAL_ADDRESS=port, SCHEDULER_PORT="tcp://10.0.0.1:80") as process:
        assert "SCHEDULER_PORT" in await line_with(process, "variables that look like settings and are none")
        await line_with(process, "Temporal cannot be reached, trying again")


async def namespace_with(server: WorkflowEnvironment, **attributes: IndexedValueType.ValueType) -> str:
    """Make a namespace that has these search attributes."""
    name = f"namespace-{uuid.uuid4().hex[:8]}"
    retention = Duration(seconds=86400)
    await server.client.workflow_service.register_namespace(
        RegisterNamespaceRequest(namespace=name, workflow_execution_retention_period=retention)
    )
    request = AddSearchAttributesRequest(namespace=name, search_attributes=attributes)

    async def added() -> bool:  # the server hears of a new namespace a moment later
        try:
            await server.client.operator_service.add_search_attributes(request)
        except RPCError as error:
            return error.status == RPCStatusCode.ALREADY_EXISTS
        return True

    await eventually_async(added)
    return name


async def test_missing_search_attributes_are_logged_with_the_command_that_makes_them(
    temporal_server: WorkflowEnvironment,
) -> None:
    keyword, text = IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD, IndexedValueType.INDEXED_VALUE_TYPE_TEXT
    # A namespace has room for ten keywords; one name is taken for another type.
    full = await namespace_with(temporal_server, BackupOutcome=text, **{f"Other{n}": keyword for n in range(9)})
    environ = {
        "TEMPORAL_ADDRESS": temporal_server.client.service_client.config.target_host,
        "TEMPORAL_NAMESPACE": full,
    }
    async with worker_process(**environ) as process:
        logged = json.loads(await line_with(process, "search attributes missing"))
        await line_with(process, '"worker ready"')
    assert logged["level"] == "error"
    assert logged["event"] == "search attributes missing: no job can be added until an administrator has made them"
    assert logged["needed"] == {
        "BackupSchedulerId": "Keyword",
        "BackupPolicyName": "Keyword",
        "BackupOutcome": "Keyword, and not Text",
        "BackupTerms": "Keyword",
    }
    assert logged["command"] == (
        f"temporal operator search-attribute remove --namespace {full} --name BackupOutcome --yes && "
        f"temporal operator search-attribute create --namespace {full} --name BackupSchedulerId --type Keyword "
        "--name BackupPolicyName --type Keyword --name BackupOutcome --type Keyword "
        "--name BackupTerms --type Keyword"
    )


async def test_a_new_namespace_gets_its_search_attributes_from_the_worker_without_a_complaint(
    temporal_server: WorkflowEnvironment,
) -> None:
    environ = {
        "TEMPORAL_ADDRESS": temporal_server.client.service_client.config.target_host,
        "TEMPORAL_NAMESPACE": await namespace_with(temporal_server, Other=IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD),
    }
    async with worker_process(**environ) as process:
        said = await line_with(process, '"event": "')
        while '"worker ready"' not in said:
            assert "search attributes" not in said
            said = await line_with(process, '"event": "')
