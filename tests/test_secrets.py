"""No secret of any setting reaches what people read: output, replies, histories, schedules, command lines, failures.

Marked secrets stand in every place where a setting can hold one; everything that was written is searched for the mark.
"""

import asyncio
import base64
import contextlib
import os
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import psutil
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
from lab.parts.places import ROOT
from lab.parts.waiting import eventually
from tests.support.calls import calling, listens
from tests.support.ports import unused_port
from tests.support.rpc_processes import ZONE

MARK = "mArKeD"
Running = tuple[subprocess.Popen[bytes], Path]
"""A process and its log."""
POLICIES = ("echoed", "refused", "netrc", "proxied", "made", "wrong", "rest", "s3", "nonsense", "unlisted")


def secret(place: str) -> str:
    return f"{MARK}-{place}-{uuid.uuid4().hex[:6]}"


class EchoingTarget:
    """A server that answers every request with all that it was sent, as debugging endpoints do; /refuse with 401."""

    def __init__(self) -> None:
        class Handler(BaseHTTPRequestHandler):
            def _echo(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                echo = f"{self.requestline}\n{self.headers}\n".encode() + body
                said = " ".join(self.headers.get_all("Authorization") or ["nothing"])
                if "refuse" in self.path:
                    self.send_response(401, f"no entry for {said}")
                else:
                    self.send_response(200)
                self.send_header("Content-Type", "text/plain")
                self.send_header("Content-Length", str(len(echo)))
                self.end_headers()
                self.wfile.write(echo)

            do_POST = do_GET = do_HEAD = _echo  # noqa: N815 - the base class's names

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_port

    def __enter__(self) -> "EchoingTarget":
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()


class Written:
    """Everything that was written anywhere, by where it came from."""

    def __init__(self) -> None:
        self.texts: dict[str, str] = {}
        self._watching = True
        self._watch = threading.Thread(target=self._command_lines, daemon=True)

    def add(self, place: str, text: str) -> None:
        self.texts[place] = self.texts.get(place, "") + text

    def _command_lines(self) -> None:
        while self._watching:
            with contextlib.suppress(psutil.Error):
                for child in psutil.Process().children(recursive=True):
                    with contextlib.suppress(psutil.Error):
                        line = " ".join(child.cmdline())
                        if line not in self.texts.get("command lines", ""):
                            self.add("command lines", line + "\n")
            time.sleep(0.02)

    @contextmanager
    def command_lines(self) -> Iterator[None]:
        self._watch.start()
        yield
        self._watching = False
        self._watch.join()

    def found(self) -> dict[str, list[str]]:
        """Return the lines with the mark in them, in whatever encoding."""
        marks = [MARK, MARK.swapcase(), base64.b64encode(f"user:{MARK}".encode()).decode()[:14]]
        return {
            place: lines
            for place, text in self.texts.items()
            if (lines := [line for line in text.splitlines() if any(mark in line for mark in marks)])
        }


@pytest.fixture
def marked_broker(stack: StackInfo) -> Iterator[str]:
    """A virtual host of a user with a marked password, named as the second node of two; the first one is down."""
    environ = psutil.Process(stack.pids["rabbitmq"]).environ()
    name, password = f"secrets-{uuid.uuid4().hex[:8]}", secret("second-node")

    def rabbitmqctl(*args: str) -> None:
        subprocess.run(["rabbitmqctl", "-q", *args], env=environ, check=True, capture_output=True, timeout=60)

    rabbitmqctl("add_vhost", name)
    rabbitmqctl("add_user", name, password)
    rabbitmqctl("set_permissions", "-p", name, name, ".*", ".*", ".*")
    port = stack.amqp_uri.rstrip("/").rpartition(":")[2]
    first = f"amqp://user:{secret('first-node')}@127.0.0.1:{unused_port()}/{name}"
    yield f"{first};amqp://{name}:{password}@127.0.0.1:{port}/{name}"
    rabbitmqctl("delete_vhost", name)
    rabbitmqctl("delete_user", name)


def policy_file(folder: Path, echo: int) -> Path:
    (folder / "token").write_text(secret("token"))
    (folder / "password").write_text(secret("password"))
    (folder / "rest").write_text(f"rest:http://user:{secret('rest')}@127.0.0.1:{echo}/refuse/")
    (folder / "s3").write_text(f"s3:http://user:{secret('s3')}@127.0.0.1:{echo}/bucket/refuse")
    (folder / "nonsense").write_text(f"nonsense://user:{secret('nonsense')}@127.0.0.1/")
    (folder / "command").write_text(f"#!/bin/sh\necho {secret('command')}\n")
    (folder / "command").chmod(0o755)
    (folder / "source").mkdir()
    (folder / "source/file").write_text("text")
    made = {"RESTIC_PASSWORD": "another", "RESTIC_REPOSITORY": str(folder / "made"), "HOME": str(folder)}
    subprocess.run(["restic", "init", "-q"], env={"PATH": os.environ["PATH"], **made}, check=True)
    restic = f'type = "restic"\npaths = ["{folder}/source"]\ncache_dir = "{folder}/cache"\ntimeout = 30\n'
    http = 'type = "http"\ntimeout = 5\n'
    token, password = f'token_file = "{folder}/token"\n', f'password_file = "{folder}/password"\n'
    tables = {
        "echoed": f'{http}{token}url = "http://127.0.0.1:{echo}/start?key={secret("query")}"\n',
        "refused": f'{http}{token}url = "http://127.0.0.1:{echo}/refuse?key={secret("query")}"\n',
        "netrc": f'{http}url = "http://localhost:{echo}/refuse"\n',
        "proxied": f'{http}url = "http://backup.invalid/start?key={secret("query")}"\n',
        "made": f'{restic}{password}repository = "{folder}/new"\n',
        "wrong": f'{restic}repository = "{folder}/made"\npassword_command = "{folder}/command"\n',
        "rest": f'{restic}{password}repository_file = "{folder}/rest"\n',
        "s3": f'{restic}{password}repository_file = "{folder}/s3"\n',
        "nonsense": f'{restic}{password}repository_file = "{folder}/nonsense"\n',
    }
    assert {*tables, "unlisted"} == set(POLICIES)
    file = folder / "policies.toml"
    file.write_text("\n".join(f"[policies.{name}]\n{table}" for name, table in tables.items()))
    return file


def settings_of(folder: Path, broker: str, stack: StackInfo, queue: str, echo: int) -> dict[str, str]:
    """Return an environment with a marked secret in every variable that can hold one."""
    profiles = folder / "temporal.toml"
    profiles.write_text(f'[profile.default]\napi_key = "{secret("profile")}"\n')
    netrc = folder / "netrc"
    netrc.write_text(f"machine localhost login user password {secret('netrc')}\n")
    netrc.chmod(0o600)
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("SCHEDULER_", "TEMPORAL_"))}
    return {
        **inherited,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "AMQP_URI": broker,
        "TEMPORAL_ADDRESS": stack.temporal_address,
        "TEMPORAL_CONFIG_FILE": str(profiles),
        "TEMPORAL_API_KEY": secret("api-key"),
        "TEMPORAL_TLS": "false",
        "TEMPORAL_GRPC_META_X_SECRET": secret("header"),
        "SCHEDULER_TIMEZONE": ZONE,
        "SCHEDULER_TASK_QUEUE": queue,
        "SCHEDULER_LOG_LEVEL": "debug",
        "SCHEDULER_LOG_FORMAT": "json",
        "SCHEDULER_SHUTDOWN_GRACE": "0",
        "SCHEDULER_POLICIES": str(policy_file(folder, echo)),
        "SCHEDULER_BACKUP_URL": f"http://user:{secret('fallback')}@127.0.0.1:{echo}/refuse?sig={secret('signature')}",
        "HTTP_PROXY": f"http://user:{secret('proxy')}@127.0.0.1:{unused_port()}/",
        "NO_PROXY": "127.0.0.1,localhost",
        "NETRC": str(netrc),
        "AWS_ACCESS_KEY_ID": secret("aws-id"),
        "AWS_SECRET_ACCESS_KEY": secret("aws-key"),
        "RESTIC_PASSWORD": secret("restic"),
    }


@contextmanager
def captured(written: Written, place: str, folder: Path, environ: dict[str, str], *command: str) -> Iterator[Running]:
    """Run a process whose output is searched; yields it and its log."""
    log = folder / place.replace(" ", "-")
    with log.open("w") as output:
        process = subprocess.Popen(
            command, cwd=ROOT, env=environ, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
        )
    try:
        yield process, log
    finally:
        process.terminate()
        try:
            process.wait(30)
        finally:
            process.kill()
        written.add(place, log.read_text())


def everything_wrong_at_start(written: Written, environ: dict[str, str], folder: Path) -> None:
    """Start both processes with settings that are wrong at a place where a secret stands."""
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
    """Wait until a run of the job has ended or its first attempt has failed; return all that Temporal tells of it."""
    deadline = asyncio.get_running_loop().time() + 60
    while asyncio.get_running_loop().time() < deadline:
        async for run in client.list_workflows(f"TemporalScheduledById = '{job}'"):
            handle = client.get_workflow_handle(run.id, run_id=run.run_id)
            told = (await handle.describe()).raw_description
            if any(each.HasField("last_failure") for each in told.pending_activities) or run.close_time:
                history = await handle.fetch_history()
                return "".join(as_text(message) for message in (told, *history.events))
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
    # What is searched is really there.
    texts = written.texts
    assert "Error connecting to broker" in texts["rpc"]
    assert "restic backup" in texts["command lines"]
    assert "does not open with this password" in texts["runs"]
    assert "POST /start" in texts["runs"]
    found = written.found()
    assert not found, "\n".join(f"{place}: {line[:300]}" for place, lines in found.items() for line in lines[:3])
