"""No secret of any setting reaches texts that people read: output, replies, histories, command lines, failures.

Every setting that can hold a secret has a marked one; everything that was written is searched for the mark.
"""

import asyncio
import base64
import sys
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import pytest_asyncio
from google.protobuf.message import Message
from temporalio.client import Client, ScheduleUpdate
from temporalio.service import RPCError

from backup_scheduler.contract.methods import ADD, GET, PAUSE, REMOVE
from backup_scheduler.jobs.names import SYSTEM_SCHEDULE, SYSTEM_WORKFLOW
from backup_scheduler.jobs.to_schedule import system_schedule
from backup_scheduler.temporal.stored_jobs import describe_schedule
from devstack.running import StackInfo
from lab.parts.waiting import eventually
from tests.support.brokers import rabbitmqctl
from tests.support.calls import calling, listens
from tests.support.marked_secrets import POLICIES, EchoingTarget, secret, settings_of
from tests.support.ports import unused_port
from tests.support.written_texts import Written, captured


@pytest.fixture
def marked_broker(stack: StackInfo) -> Iterator[str]:
    """A virtual host of a user with a marked password, named as the second node of two; the first one is down."""
    name, password = f"secrets-{uuid.uuid4().hex[:8]}", secret("second-node")
    rabbitmqctl(stack, "add_vhost", name)
    rabbitmqctl(stack, "add_user", name, password)
    rabbitmqctl(stack, "set_permissions", "-p", name, name, ".*", ".*", ".*")
    port = stack.amqp_uri.rstrip("/").rpartition(":")[2]
    first = f"amqp://user:{secret('first-node')}@127.0.0.1:{unused_port()}/{name}"
    yield f"{first};amqp://{name}:{password}@127.0.0.1:{port}/{name}"
    rabbitmqctl(stack, "delete_vhost", name)
    rabbitmqctl(stack, "delete_user", name)


def everything_wrong_at_start(written: Written, environ: dict[str, str], folder: Path) -> None:
    """Start both processes with settings that are wrong at the place of a secret."""
    unquoted = folder / "unquoted.toml"
    unquoted.write_text(f"[profile.default]\napi_key = {secret('unquoted')}\n")
    tls_key = folder / "tls.key"
    tls_key.write_text(secret("tls-key"))
    misplaced = folder / "misplaced.toml"
    misplaced.write_text(
        f'[policies.a]\ntype = "http"\nurl = "http://user:{secret("misplaced")}@h/"\n[policies.b]\ntype = "restic"\n'
        f'paths = ["/"]\nrepository = "rest:http://user:{secret("misplaced")}/1@h/"\npassword_file = "{secret("x")}"\n'
    )
    port = environ["AMQP_URI"].rpartition("/")[0].rpartition(":")[2]
    worker, rpc = [sys.executable, "worker.py"], [sys.executable, "-m", "rpc_service"]
    nameko = ["nameko", "run", "rpc_service.service"]
    tls = {"TEMPORAL_TLS_CLIENT_KEY_PATH": str(tls_key), "TEMPORAL_TLS_CLIENT_CERT_PATH": str(tls_key)}
    cases: list[tuple[list[str], dict[str, str]]] = [
        (nameko, {"TEMPORAL_CONFIG_FILE": str(unquoted)}),
        (rpc, {"AMQP_URI": f"amqp://user:{secret('wrong')}#x@h"}),
        (nameko, {"AMQP_URI": f"amqp://user:{secret('port')}/x@h:5672/"}),
        (rpc, {"AMQP_URI": f"amqp://user:{secret('refused')}@127.0.0.1:{port}/"}),
        (worker, {"SCHEDULER_POLICIES": str(misplaced)}),
        (worker, {"TEMPORAL_TLS": "true", **tls}),
    ]
    for number, (command, changes) in enumerate(cases):
        with captured(written, f"start {number}", folder, environ | changes, *command) as (process, log):
            eventually(lambda: process.poll() is not None or "rying" in log.read_text())


async def attempted(client: Client, job: str) -> str:
    """Wait until a run of the job has ended or its first attempt has failed; return Temporal's records of it."""
    deadline = asyncio.get_running_loop().time() + 60
    while asyncio.get_running_loop().time() < deadline:
        async for run in client.list_workflows(f"TemporalScheduledById = '{job}'"):
            handle = client.get_workflow_handle(run.id, run_id=run.run_id)
            description = (await handle.describe()).raw_description
            if any(each.HasField("last_failure") for each in description.pending_activities) or run.close_time:
                history = await handle.fetch_history()
                return "".join(as_text(message) for message in (description, *history.events))
        await asyncio.sleep(0.2)
    raise AssertionError(f"no attempt of {job} has ended")


def as_text(message: Message) -> str:
    """Return a message of Temporal with the payloads in it as they are, and not as base64."""
    return message.SerializeToString().decode(errors="replace")


@pytest_asyncio.fixture(loop_scope="session")
async def _passes_stay_with_the_stack(temporal: Client) -> AsyncIterator[None]:
    """The worker that started last takes the passes over all jobs to its task queue: give them back."""
    yield
    await temporal.get_schedule_handle(SYSTEM_SCHEDULE).update(lambda _: ScheduleUpdate(system_schedule("backups")))
    async for run in temporal.list_workflows(f"WorkflowType = '{SYSTEM_WORKFLOW}' AND ExecutionStatus = 'Running'"):
        with suppress(RPCError):  # it has just ended
            await temporal.get_workflow_handle(run.id, run_id=run.run_id).terminate()


@pytest.mark.usefixtures("_passes_stay_with_the_stack")
async def test_no_secret_of_any_setting_is_written_anywhere(
    stack: StackInfo, temporal: Client, marked_broker: str, tmp_path: Path
) -> None:
    written, queue = Written(), f"secrets-{uuid.uuid4().hex[:8]}"
    with EchoingTarget() as echo, written.command_lines():
        environ = settings_of(tmp_path, marked_broker, stack, queue, echo.port)
        with (
            captured(written, "rpc", tmp_path, environ, sys.executable, "-m", "rpc_service") as (_, rpc_log),
            captured(written, "nameko run", tmp_path, environ, "nameko", "run", "rpc_service.service"),
            captured(written, "worker", tmp_path, environ, sys.executable, "worker.py"),
            calling(marked_broker.rpartition(";")[2]) as call,
        ):
            await asyncio.to_thread(eventually, lambda: listens(call))
            await asyncio.to_thread(eventually, lambda: "Error connecting to broker" in rpc_log.read_text())
            wrong = asyncio.create_task(asyncio.to_thread(everything_wrong_at_start, written, environ, tmp_path))
            jobs = {f"{queue}-{policy}": policy for policy in POLICIES}
            for job, policy in jobs.items():
                reply = await asyncio.to_thread(call, ADD, job, policy, 1, "02:01", 0, 3600)
                assert reply["code"] == 200, reply
                await temporal.get_schedule_handle(job).trigger()
            for job, runs in zip(jobs, await asyncio.gather(*(attempted(temporal, job) for job in jobs)), strict=True):
                written.add("runs", runs)
                written.add("schedules", as_text(await describe_schedule(temporal, job)))
                for method in (GET, PAUSE, REMOVE, GET):
                    written.add("replies", f"{await asyncio.to_thread(call, method, job)}\n")
            async for run in temporal.list_workflows(f"TaskQueue = '{queue}' AND ExecutionStatus = 'Running'"):
                await temporal.get_workflow_handle(run.id, run_id=run.run_id).terminate()
            await wrong
    # The searched texts are really there.
    texts = written.texts
    assert "Error connecting to broker" in texts["rpc"]
    assert "restic backup" in texts["command lines"]
    assert "does not open with this password" in texts["runs"]
    assert "POST /start" in texts["runs"]
    assert "GET /status" in texts["runs"]
    found = written.found()
    assert not found, "\n".join(f"{place}: {line[:300]}" for place, lines in found.items() for line in lines[:3])


def test_a_marked_secret_is_found_wherever_and_however_it_is_written() -> None:
    written, token = Written(), secret("token")
    encoded = base64.b64encode(f"user:{token}".encode()).decode()
    for place, text in {"log": f"one\n{token}\n", "header": f"Basic {encoded}", "file": token.swapcase()}.items():
        written.add(place, text)
    written.add("elsewhere", "nothing")
    assert written.found() == {"log": [token], "header": [f"Basic {encoded}"], "file": [token.swapcase()]}
