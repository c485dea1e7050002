"""Backups that end later, with worker and service killed meanwhile: each is asked for once, and its end is known."""

import asyncio
import uuid
from collections import Counter
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

from aiohttp import web
from temporalio.client import Client

from backup_scheduler.jobs.names import REPORT_UPDATE
from backup_scheduler.runs.reports import RunReport
from backup_scheduler.runs.results import Outcome
from lab.parts.backup_service import backup_service
from lab.parts.waiting import eventually_async
from tests.support.backup_requests import a_request
from tests.support.counts import NONE, Counted
from tests.support.figures import print_runs_row
from tests.support.policy_files import write_policies
from tests.support.servers import Servers
from tests.support.workers import Runs, WorkerProcess

RUNS = 3


class Jobs:
    """A service that ends its backups when it is told to; for a moment after a restart it does not know them."""

    def __init__(self) -> None:
        self.posts: Counter[str] = Counter()
        self.looks: Counter[str] = Counter()
        self.ended = False
        self.restarted = False
        self.asked_in_vain = 0
        """Requests that the service does not answer."""
        self.over = asyncio.Event()

    async def answer(self, request: web.Request) -> web.StreamResponse:
        if request.path == "/silent":
            self.asked_in_vain += 1
            await self.over.wait()
            return web.Response(status=202)
        if request.method == "POST":
            key = request.headers["Idempotency-Key"]
            self.posts[key] += 1
            return web.Response(status=202, headers={"Location": f"/jobs/{len(self.posts)}"})
        self.looks[request.path] += 1
        if self.restarted and self.looks[request.path] % 3:
            return web.Response(status=404)
        return web.json_response({"state": "ok" if self.ended else "copying"})

    async def all_looked_at(self, times: int) -> None:
        self.looks.clear()

        async def looked() -> bool:
            return len(self.looks) == RUNS and min(self.looks.values()) >= times

        await eventually_async(looked)

    async def is_asked_in_vain(self) -> bool:
        return self.asked_in_vain > 0


async def test_backups_that_go_on_while_worker_and_service_are_killed_are_asked_for_once(
    servers: Servers, temporal: Client, tmp_path: Path
) -> None:
    jobs, queue = Jobs(), f"queue-{uuid.uuid4()}"
    async with backup_service(jobs.answer) as service:
        states = {"state": "/state", "done": ["ok"], "failed": ["bad"], "poll_every": 1}
        policy = {"type": "http", "url": f"{service.url}/start", "completion": "poll", **states}
        silent = {"type": "http", "url": f"{service.url}/silent", "completion": "report"}
        file = write_policies(tmp_path / "policies.toml", {"nightly": policy, "silent": silent})
        with ExitStack() as stack:

            def start() -> WorkerProcess:
                return stack.enter_context(WorkerProcess(servers.temporal_address, file, queue))

            first = start()
            await first.ready()
            handles = [await Runs(temporal, queue).start(a_request(scheduler_id=f"later-{n}")) for n in range(RUNS)]
            reported = await Runs(temporal, queue).start(a_request(policy_name="silent"))
            await eventually_async(jobs.is_asked_in_vain)
            await jobs.all_looked_at(1)
            first.kill()
            killed = datetime.now(UTC)
            await start().ready()
            # The report comes while Temporal still waits for the dead worker of its request.
            await reported.execute_update(REPORT_UPDATE, RunReport(run_id=reported.id, outcome="completed"))
            await jobs.all_looked_at(1)
            looked = datetime.now(UTC)
            jobs.restarted = True
            await jobs.all_looked_at(4)
            jobs.ended = True
            async with asyncio.timeout(60):
                results = await asyncio.gather(*(handle.result() for handle in handles))
                assert (await reported.result()).outcome is Outcome.COMPLETED
        jobs.over.set()
    assert jobs.asked_in_vain == 1, "the service is not asked again for a backup that it has reported"
    assert [(result.outcome, result.message) for result in results] == [
        (Outcome.COMPLETED, "127.0.0.1 says 'ok'")
    ] * RUNS
    counted = Counted(RUNS - len(jobs.posts), jobs.posts.total() - len(jobs.posts))
    fault = (
        "kill -9 of the worker amid the wait for http backups that end later, one of which is then reported, and a "
        "service that does not know the others for a while"
    )
    print_runs_row(fault, 1, RUNS + 1, counted, looked - killed, "test_ends_later.py")
    assert counted == NONE
