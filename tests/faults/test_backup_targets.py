"""Backup targets that misbehave: every run ends in the right outcome, with a text for people."""

import asyncio
import os
import shutil
import signal
import socket
import uuid
import zlib
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from aiohttp import web
from temporalio.client import Client, WorkflowFailureError, WorkflowHandle
from temporalio.exceptions import ApplicationError

from backup_scheduler.jobs.names import OUTCOME
from backup_scheduler.runs.results import BackupResult, Outcome
from lab.parts.backup_service import Answer, answering, backup_service
from lab.parts.waiting import eventually_async
from tests.support.backup_requests import a_request
from tests.support.disks import small_disk
from tests.support.policy_files import write_policies
from tests.support.restic_repository import Restic
from tests.support.servers import Servers
from tests.support.skipping_time import skipping_time
from tests.support.workers import Runs, WorkerProcess, worker_with

pytestmark = pytest.mark.programs

GAVE_UP = "; it was tried until its time was up"
PATIENT = 0.3
"""Seconds of waiting for an http target that never answers completely."""


async def ended(handle: WorkflowHandle[object, BackupResult]) -> BackupResult:
    """Return the result of a run by Temporal's history; a failed run has it in its failure."""
    try:
        return await handle.result()
    except WorkflowFailureError as error:
        failure = error.cause
    assert isinstance(failure, ApplicationError)
    result = BackupResult.model_validate(failure.details[0])
    assert result.message == failure.message
    return result


async def hang(_: web.Request) -> web.StreamResponse:
    await asyncio.sleep(60)
    return web.Response()


async def drip(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    while True:
        await response.write(b"x")
        await asyncio.sleep(0.05)


HTTP: dict[str, tuple[Answer, Outcome, str]] = {
    "hangs": (hang, Outcome.FAILED, f"127.0.0.1 did not answer completely within 0.3 s{GAVE_UP}"),
    "byte by byte": (drip, Outcome.COMPLETED_WITH_WARNINGS, "127.0.0.1 answered 200"),
    "500": (answering(500), Outcome.FAILED, f"127.0.0.1 answered 500 Internal Server Error{GAVE_UP}"),
    "429 for a day": (
        answering(429, headers={"Retry-After": "86400"}),
        Outcome.FAILED,
        f"127.0.0.1 answered 429 Too Many Requests{GAVE_UP}",
    ),
    "redirects in a circle": (
        answering(302, headers={"Location": "/start"}),
        Outcome.FAILED,
        "127.0.0.1 redirected more than 30 times",
    ),
    "redirects": (answering(303, headers={"Location": "/well"}), Outcome.COMPLETED, "127.0.0.1 answered 200"),
    "invalid JSON": (
        answering(text="{'id': 7", content_type="application/json"),
        Outcome.COMPLETED,
        "127.0.0.1 answered 200",
    ),
}


async def test_http_targets_that_stay_bad_fail_the_run_and_say_how() -> None:
    async def routed(request: web.Request) -> web.StreamResponse:
        name = request.query.get("as", "redirects in a circle")
        return await (answering(200) if request.path == "/well" else HTTP[name][0])(request)

    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        async with backup_service() as target, skipping_time() as skipping:
            target.answers = [routed]
            policies = {
                name: target.policy(
                    url=f"{target.url}/start?as={name}", timeout=PATIENT if answer in (hang, drip) else 20
                )
                for name, (answer, _, _) in HTTP.items()
            } | {
                "refuses": target.policy(url=f"http://127.0.0.1:{unused.getsockname()[1]}/"),
                "no TLS": target.policy(url=target.url.replace("http:", "https:")),
            }
            async with worker_with(skipping.client, policies) as runs:
                handles = {name: await runs.start(a_request(policy_name=name, duration=0)) for name in policies}
                # One after the other: this server skips time while a run waits.
                results = {name: await ended(handle) for name, handle in handles.items()}
    for name, (_, outcome, text) in HTTP.items():
        assert (results[name].outcome, results[name].message) == (outcome, text), name
    for name in ("refuses", "no TLS"):
        assert results[name].outcome is Outcome.FAILED
        assert results[name].message.startswith("no connection to 127.0.0.1: "), name
        assert results[name].message.endswith(GAVE_UP)
    assert "Connection refused" in results["refuses"].message
    answer = results["invalid JSON"].answer
    assert answer
    assert answer.body == "{'id': 7"


@pytest.mark.parametrize(("status", "headers"), [(500, {}), (429, {"Retry-After": "86400"})])
async def test_a_target_that_is_well_again_after_ten_minutes_gets_its_backup(
    status: int, headers: dict[str, str]
) -> None:
    began: list[datetime] = []
    async with backup_service() as target, skipping_time() as skipping:

        async def ill(_: web.Request) -> web.StreamResponse:
            now = await skipping.get_current_time()
            began.append(now)
            return (
                web.Response(status=status, headers=headers)
                if now - began[0] < timedelta(minutes=10)
                else web.Response()
            )

        target.answers = [ill]
        async with worker_with(skipping.client, {"nightly": target.policy()}) as runs:
            result = await ended(await runs.start(a_request(duration=0)))
    assert result.outcome is Outcome.COMPLETED
    # A delay of a day leaves only the 5 minutes of an attempt, of 5 minutes for a worker and 15 for trying.
    longest = timedelta(minutes=16 if headers else 13)
    assert timedelta(minutes=10) <= result.finished_at - result.started_at <= longest
    assert len({request.headers["Idempotency-Key"] for request in target.received}) == 1


async def test_an_answer_of_2_gb_and_one_that_unpacks_to_half_a_gb_leave_the_worker_small(
    servers: Servers, temporal: Client, tmp_path: Path
) -> None:
    packer = zlib.compressobj(wbits=31)
    bomb = b"".join([*(packer.compress(bytes(1 << 20)) for _ in range(512)), packer.flush()])

    async def flood(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": str(2 << 30)})
        await response.prepare(request)
        while True:
            await response.write(bytes(1 << 16))

    queue = f"queue-{uuid.uuid4()}"
    async with backup_service() as target:
        target.answers = [flood, answering(body=bomb, headers={"Content-Encoding": "gzip"}), answering(200)]
        file = write_policies(tmp_path / "policies.toml", {"nightly": {"type": "http", "url": target.url}})
        with WorkerProcess(servers.temporal_address, file, queue) as worker:
            await worker.ready()
            runs = Runs(temporal, queue)
            before = worker.process.memory_info().rss
            results = [await ended(await runs.start(a_request())) for _ in range(2)]
            assert peak(worker.process.pid) - before < 60 << 20
    for result in results:
        assert (result.outcome, result.message) == (Outcome.COMPLETED, "127.0.0.1 answered 200")
        assert result.answer
        assert result.answer.truncated


def peak(pid: int) -> int:
    """Return the most memory that a process held at any time, in bytes."""
    (line,) = [line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) << 10


async def test_restic_repositories_and_files_that_are_bad_end_their_runs_with_the_reason(
    servers: Servers, temporal: Client, tmp_path: Path
) -> None:
    with small_disk(tmp_path / "disk", 3) as disk:
        template = Restic(_made(tmp_path / "template"))
        await template("init")
        names = ("wrong password", "no space", "full", "missing", "damaged", "no config", "unreadable")
        parts = {name: Restic(_made((disk if name in ("no space", "full") else tmp_path) / name)) for name in names}
        for each in parts.values():
            shutil.copytree(template.repository, each.repository)
        changes: dict[str, dict[str, object]] = {}

        parts["wrong password"].password_file.write_text("sesame")

        big = _made(tmp_path / "big")
        (big / "file").write_bytes(os.urandom(8_000_000))
        changes["no space"] = {"paths": [big], "cache_dir": tmp_path / "cache"}

        changes["missing"] = {"paths": [tmp_path / "none"]}

        config = parts["damaged"].repository / "config"
        config.chmod(0o600)
        config.write_bytes(config.read_bytes()[::-1])

        (parts["no config"].repository / "config").unlink()
        (parts["no config"].repository / "data" / "00").mkdir(parents=True, exist_ok=True)
        (parts["no config"].repository / "data" / "00" / "00ff").write_bytes(b"old")

        os.mkfifo(parts["unreadable"].source / "pipe")  # must not be waited for
        changes["unreadable"] = {"paths": [parts["unreadable"].source, f"/proc/{os.getpid()}/mem"]}

        del parts["full"]
        policies = {name: each.policy(**changes.get(name, {})) for name, each in parts.items()}
        async with worker_with(temporal, policies) as runs:
            handles = {name: await runs.start(a_request(policy_name=name)) for name in policies}
            results = dict(zip(handles, await asyncio.gather(*map(ended, handles.values())), strict=True))
            with suppress(OSError), (disk / "rest").open("wb", buffering=0) as rest:
                while True:
                    rest.write(bytes(4096))
            full = await ended(await runs.start(a_request(policy_name="no space")))
        shown = {
            name: (await handle.describe()).typed_search_attributes.get(OUTCOME) for name, handle in handles.items()
        }
    reasons = {
        "wrong password": "the repository does not open with this password",
        "no space": "there is no space left for the repository",
        "missing": f"not on the worker's machine: {tmp_path / 'none'}",
        "damaged": "the repository is damaged, `restic check` tells more",
        "no config": f"the repository is damaged: {parts['no config'].repository} holds data but no config file",
    }
    for name, reason in reasons.items():
        assert results[name].message.startswith(reason), results[name].message
        assert (results[name].outcome, shown[name]) == (Outcome.FAILED, "failed")
    assert full.message.startswith("there is no space left for the repository"), full.message
    assert "github.com" not in full.message
    assert results["unreadable"].outcome == shown["unreadable"] == Outcome.COMPLETED_WITH_WARNINGS
    assert any("/mem" in warning for warning in results["unreadable"].warnings)


async def test_a_repository_that_is_locked_is_waited_for(tmp_path: Path) -> None:
    restic = Restic(_made(tmp_path / "restic"))
    await restic("init")
    async with (
        restic.locked_by_another() as another,
        skipping_time() as skipping,
        worker_with(skipping.client, {"nightly": restic.policy()}) as runs,
    ):
        handle = await runs.start(a_request())
        result = asyncio.create_task(ended(handle))

        async def refused() -> str:
            pending = (await handle.describe()).raw_description.pending_activities
            return "".join(each.last_failure.message for each in pending if each.attempt > 2)

        text = await eventually_async(refused)
        another.send_signal(signal.SIGINT)  # it removes its lock
        assert (await result).outcome is Outcome.COMPLETED
    assert text.startswith("the repository is locked by another restic process: exclusively by user ")
    assert f"pid {another.pid}, since" in text


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder
