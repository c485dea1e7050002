"""Runs that come due while the previous one goes on: they wait, none is lost, those beyond the limit are logged."""

import asyncio
import json
import uuid
from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from aiohttp import web
from temporalio.client import (
    Client,
    ScheduleHandle,
    ScheduleOverlapPolicy,
    WorkflowFailureError,
)

from backup_scheduler.jobs.terms import BackupJob
from backup_scheduler.jobs.to_schedule import Alignment, schedule_for, search_attributes
from backup_scheduler.runs.results import Outcome
from devstack.ports import Ports
from lab.parts.backup_service import backup_service
from tests.support.backup_requests import a_request
from tests.support.counts import NONE, counted_runs
from tests.support.figures import print_runs_row
from tests.support.passes import a_pass, metrics_at
from tests.support.policy_files import write_policies
from tests.support.runs import Run, all_closed, assert_none_doubled, make_job, runs_of
from tests.support.servers import Servers
from tests.support.workers import Runs, WorkerProcess, worker_with

BUFFER = 1000
"""Runs of one schedule that Temporal lets wait."""

LENGTH = 4
"""Seconds that a run takes; four times its job's interval."""


async def test_runs_longer_than_the_interval_wait_for_each_other_and_are_all_made(temporal: Client) -> None:
    async def long(request: web.Request) -> web.StreamResponse:
        await asyncio.sleep(LENGTH)
        is_odd = sum(each.path == request.path for each in target.received) % 2
        fails = request.path == "/bad" or (request.path == "/mixed" and is_odd)
        return web.Response(status=404 if fails else 200)

    kinds = ("good", "bad", "mixed")
    async with backup_service() as target:
        target.answers = [long]
        policies = {kind: target.policy(url=f"{target.url}/{kind}") for kind in kinds}
        async with worker_with(temporal, policies) as runs:
            jobs = [
                await make_job(temporal, f"{kind}-{uuid.uuid4()}", runs.task_queue, runs=6, grace=1, policy=kind)
                for kind in kinds
            ]
            await all_closed(temporal, jobs)
            its = {kind: await runs_of(temporal, job.scheduler_id) for kind, job in zip(kinds, jobs, strict=True)}
    asked = Counter(request.headers["Idempotency-Key"] for request in target.received)
    counted = counted_runs([job.times for job in jobs], list(its.values()), asked)
    longest = max(_gap(one, following) for each in its.values() for one, following in pairwise(each))
    count = sum(map(len, its.values()))
    print_runs_row("runs four times as long as their interval", 1, count, counted, longest, "test_overlap.py")
    assert counted == NONE
    for job, each in zip(jobs, its.values(), strict=True):
        assert [run.nominal for run in each] == list(job.times)
        assert_none_doubled(each)
    assert {run.outcome for run in its["good"]} == {Outcome.COMPLETED}
    assert {run.outcome for run in its["bad"]} == {Outcome.FAILED}
    assert {run.outcome for run in its["mixed"]} == {Outcome.COMPLETED, Outcome.FAILED}
    for each in its.values():
        # It was much later than misfire_grace_time (at least 10 s), but only because it waited.
        assert each[-1].started - each[-1].nominal > timedelta(seconds=12)
    assert longest < timedelta(seconds=15)  # far less, unless the machine is busy


def _gap(one: Run, following: Run) -> timedelta:
    assert one.closed
    return following.started - one.closed


async def test_runs_that_temporal_drops_are_logged_and_measured(
    servers: Servers, temporal: Client, tmp_path: Path
) -> None:
    scheduler_id = f"crowded-{uuid.uuid4()}"
    job = BackupJob(
        scheduler_id=scheduler_id,
        policy_name="any",
        days=1,
        start_time="02:00",
        duration=0,
        misfire_grace_time=60,
    )
    alignment = Alignment.at(datetime.now(UTC), job, "UTC")
    handle = await temporal.create_schedule(
        scheduler_id, schedule_for(alignment, "nobody's"), search_attributes=search_attributes(alignment.request)
    )
    await _crowd(handle)
    info = (await handle.describe()).raw_description.info
    assert info.buffer_size == BUFFER
    file = write_policies(tmp_path / "policies.toml", {})
    queue = f"queue-{uuid.uuid4()}"
    with (
        Ports() as ports,
        WorkerProcess(
            servers.temporal_address,
            file,
            queue,
            SCHEDULER_METRICS_ADDRESS=(address := f"127.0.0.1:{ports.claim_from(9464)}"),
        ) as worker,
    ):
        await worker.ready()
        for _ in range(2):
            result = await a_pass(temporal)
            assert scheduler_id in result["losers"]
            assert result["runs_waiting"] >= BUFFER
            assert result["runs_dropped"] >= info.buffer_dropped
        failing = await Runs(temporal, queue).start(a_request(policy_name="not configured"))
        with pytest.raises(WorkflowFailureError):
            await failing.result()
        shown = await metrics_at(address)
        lines = [json.loads(line) for line in worker.log.read_text().splitlines()]
    assert shown["backup_scheduler_runs_waiting"] == result["runs_waiting"]
    assert shown["backup_scheduler_runs_dropped"] == result["runs_dropped"]
    assert shown["backup_scheduler_jobs"] == result["looked_at"]
    assert shown['backup_scheduler_runs outcome="failed"'] == 1
    logged = [line for line in lines if line["event"] == "runs dropped: too many waited for the one before"]
    assert [(line["scheduler_id"], line["dropped"], line["level"]) for line in logged] == [
        (scheduler_id, info.buffer_dropped, "error")  # once, though two passes saw it
    ]
    await handle.delete()


async def _crowd(handle: ScheduleHandle) -> None:
    """Let runs come due until Temporal drops some; nobody carries them out."""

    async def some() -> None:
        for _ in range(40):
            await handle.trigger(overlap=ScheduleOverlapPolicy.BUFFER_ALL)

    while (await handle.describe()).raw_description.info.buffer_dropped < 1:
        await asyncio.gather(*(some() for _ in range(3)))
