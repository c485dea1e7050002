"""Workers that are killed in the middle of backups: every occurrence is backed up once, and nothing is left over."""

import asyncio
import json
import os
import shutil
import uuid
from collections import Counter
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import quote

from aiohttp import web
from temporalio.client import Client, WorkflowHandle

from backup_scheduler.runs.results import BackupResult, Outcome
from lab.parts.backup_service import backup_service
from lab.parts.waiting import eventually_async
from tests.support.backup_requests import a_request
from tests.support.counts import NONE, Counted, counted_backups
from tests.support.figures import print_runs_row
from tests.support.policy_files import write_policies
from tests.support.restic_repository import Restic
from tests.support.servers import Servers
from tests.support.workers import Runs, WorkerProcess

FOLDERS = 3
SERVICES = 4
HEARTBEAT_AND_BACK_OFF = timedelta(seconds=30 + 15)
"""After a worker is lost: time until Temporal notices, and its wait before the next attempt."""

LAST_STEPS = """#!/bin/sh
PATH="${PATH#*:}"
case "$*" in
*backup*job=finished*) restic "$@"; touch "$FINISHED"; while [ -e "$FINISHED" ]; do sleep 0.1; done;;
*backup*) [ ! -e "$SLOW" ] || set -- --limit-upload 500 --pack-size 4 "$@"; exec restic "$@";;
*) exec restic "$@";;
esac
"""
"""A restic that needs a minute to upload 30 MB while the file SLOW is there; that of the job `finished` makes its
snapshot and then does not end.
"""


async def test_backups_of_killed_workers_are_made_once_by_others(
    servers: Servers, temporal: Client, tmp_path: Path
) -> None:
    first = Restic(_made(tmp_path / "0"))
    await first("init")
    shutil.copytree(first.repository, tmp_path / "template")
    folders = [first, *(Restic(_made(tmp_path / str(number))) for number in range(1, FOLDERS + 1))]
    for each in folders[1:]:
        shutil.copytree(tmp_path / "template", each.repository)
        each.fill(30)
    wrapper = _made(tmp_path / "bin") / "restic"
    wrapper.write_text(LAST_STEPS)
    wrapper.chmod(0o755)
    finished, slow = tmp_path / "finished", tmp_path / "slow"
    slow.touch()
    queue = f"queue-{uuid.uuid4()}"
    never = asyncio.Event()
    requests: Counter[str] = Counter()

    async def hang_once(request: web.Request) -> web.StreamResponse:
        key = request.headers["Idempotency-Key"]
        requests[key] += 1
        if requests[key] == 1:
            await never.wait()
        return web.Response()

    async with backup_service() as target:
        target.answers = [hang_once]
        policies: dict[str, dict[str, object]] = {
            **{f"folder-{number}": each.terms() for number, each in enumerate(folders)},
            "service": {"type": "http", "url": target.url},
        }
        file = write_policies(tmp_path / "policies.toml", policies)
        environment = {
            "PATH": f"{wrapper.parent}{os.pathsep}{os.environ['PATH']}",
            "FINISHED": str(finished),
            "SLOW": str(slow),
        }
        with ExitStack() as stack:

            def start() -> WorkerProcess:
                return stack.enter_context(WorkerProcess(servers.temporal_address, file, queue, **environment))

            workers = [start() for _ in range(3)]
            await asyncio.gather(*(worker.ready() for worker in workers))
            runs = Runs(temporal, queue)
            saved = await runs.start(a_request(scheduler_id="finished", policy_name="folder-0"))
            restic = [
                await runs.start(a_request(scheduler_id=f"files-{number}", policy_name=f"folder-{number}"))
                for number in range(1, FOLDERS + 1)
            ]
            http = [
                await runs.start(a_request(scheduler_id=f"asked-{n}", policy_name="service")) for n in range(SERVICES)
            ]

            async def amid() -> bool:
                writing = all(each.locks() and each.packs() for each in folders[1:])
                return writing and finished.exists() and len(requests) == SERVICES

            await eventually_async(amid)
            for worker in workers:
                worker.kill()
            killed = datetime.now(UTC)
            finished.unlink()
            slow.unlink()
            await asyncio.gather(*(start().ready() for _ in range(2)))
            results = await asyncio.gather(*(_result(handle) for handle in [saved, *restic, *http]))
        never.set()
    assert [result.outcome for result in results] == [
        Outcome.COMPLETED_WITH_WARNINGS,  # nobody knows whether the lost attempt could read all
        *[Outcome.COMPLETED] * (FOLDERS + SERVICES),
    ]
    assert "in an earlier attempt of this run, which was then lost" in results[0].message
    saved_by = [json.loads(await each("snapshots", "--json", "--no-lock")) for each in folders]
    assert [[snapshot["short_id"] for snapshot in snapshots] for snapshots in saved_by] == [
        [result.snapshot_id] for result in results[: len(folders)]
    ]
    assert [each.locks() for each in folders] == [[] for _ in folders]
    await folders[1]("check")
    keys = [quote(f"{handle.id}~{handle.first_execution_run_id}", safe="") for handle in http]
    assert requests == dict.fromkeys(keys, 2)
    for handle in [saved, *restic, *http]:
        history = await handle.fetch_history()
        attempts = [
            event.activity_task_started_event_attributes.attempt
            for event in history.events
            if event.HasField("activity_task_started_event_attributes")
        ]
        assert attempts[-1] == 2, handle.id  # the local activity leaves no such event
    recovered = max(result.finished_at for result in results)
    assert recovered - killed < HEARTBEAT_AND_BACK_OFF + timedelta(seconds=60)
    asked = max(result.finished_at for result in results[1 + FOLDERS :])
    by_restic, by_http = counted_backups(saved_by), Counted(len({*keys} - {*requests}), len({*requests} - {*keys}))
    fault, test = "kill -9 of 3 workers amid {} backups", "test_worker_killed.py"
    print_runs_row(fault.format("restic"), 3, FOLDERS + 1, by_restic, recovered - killed, test)
    print_runs_row(fault.format("http"), 3, SERVICES, by_http, asked - killed, test)
    assert by_restic == by_http == NONE


async def _result(handle: WorkflowHandle[object, BackupResult]) -> BackupResult:
    async with asyncio.timeout(150):
        return await handle.result()


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder
