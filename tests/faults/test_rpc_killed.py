"""kill -9 of RPC services that are at work: RabbitMQ delivers what they did not answer to those that are left."""

import asyncio
import itertools
import random
import time
import uuid
from collections import Counter
from collections.abc import AsyncIterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import pytest_asyncio
from temporalio.client import Client

from backup_scheduler.contract.methods import (
    ADD,
    CANCEL_RUN,
    MODIFY,
    PAUSE,
    PAUSE_ALL,
    REMOVE,
    REPORT,
    RESUME,
    RESUME_ALL,
    RUN,
)
from backup_scheduler.settings import Settings
from lab.parts.answers import JobState, Terms
from lab.parts.backup_service import BackupService, answering
from lab.parts.stored_states import stored_states
from lab.parts.waiting import eventually_async
from tests.support.callers import FIRST, SECOND, Call, RpcClient, crowd, end_run, switch_together
from tests.support.counts import NONE, counted_jobs, times_made
from tests.support.doors import Door
from tests.support.figures import print_calls_row
from tests.support.rpc_processes import RpcProcess, rpc_processes, serving
from tests.support.servers import Servers
from tests.support.workers import worker_with

ROUNDS = 1
EACH = 5
"""Calls of a kind; a process has 50 calls at once (SCHEDULER_RPC_WORKERS)."""
KILLS = 6
CALLERS = 8

AT = "2026-01-03T02:01:00Z"
AS_ADDED = JobState(Terms(*FIRST))

KINDS: dict[str, tuple[str, tuple[Any, ...], JobState | None]] = {
    "added": (ADD, FIRST, AS_ADDED),
    "modified": (MODIFY, SECOND, JobState(Terms(*SECOND))),
    "paused": (PAUSE, (), JobState(Terms(*FIRST), paused=True)),
    "resumed": (RESUME, (), AS_ADDED),
    "removed": (REMOVE, (), None),
    "paused-together": (PAUSE_ALL, ("repair",), JobState(Terms(*FIRST), paused=True, together=True)),
    "resumed-together": (RESUME_ALL, (), AS_ADDED),
    "run": (RUN, (AT,), AS_ADDED),
    "cancelled": (CANCEL_RUN, (), AS_ADDED),
    "reported": (REPORT, ("completed",), AS_ADDED),
}
RUNS = {"run": "RUNNING", "cancelled": "CANCELED", "reported": "COMPLETED"}
"""What becomes of the runs of these kinds of jobs, whose service reports the end."""

Names = dict[str, list[str]]


@pytest_asyncio.fixture(loop_scope="session", autouse=True)
async def worker(temporal: Client, target: BackupService) -> AsyncIterator[None]:
    """A worker whose backups end when they are reported."""
    target.answers = [answering(202)]
    policy = target.policy(completion="report")
    listed = {terms[0]: policy for terms in (FIRST, SECOND)}
    async with worker_with(temporal, listed, task_queue=Settings().task_queue):
        yield


def run_of(scheduler_id: str) -> str:
    return f"backup-{scheduler_id}-{AT}"


def arguments_of(kind: str, scheduler_id: str) -> tuple[Any, ...]:
    method, more, _ = KINDS[kind]
    if method in (PAUSE_ALL, RESUME_ALL):
        return ({"prefix": scheduler_id}, *more)
    return (run_of(scheduler_id) if method in (CANCEL_RUN, REPORT) else scheduler_id, *more)


async def started(temporal: Client, beginning: str) -> list[tuple[str, str]]:
    """Return ids and statuses of the runs of jobs whose ids begin like this."""
    query = f"WorkflowType='BackupWorkflow' AND WorkflowId STARTS_WITH 'backup-{beginning}'"
    return [(run.id, run.status.name if run.status else "") async for run in temporal.list_workflows(query)]


def each_of(names: Names) -> list[tuple[str, str]]:
    return [(kind, scheduler_id) for kind, ids in names.items() for scheduler_id in ids]


def expected_after(names: Names) -> dict[str, JobState]:
    return {scheduler_id: after for kind, scheduler_id in each_of(names) if (after := KINDS[kind][2])}


async def states_of(temporal: Client, names: Names) -> dict[str, JobState]:
    return await stored_states(temporal, [scheduler_id for _, scheduler_id in each_of(names)])


async def test_a_call_that_was_carried_out_but_not_answered_is_delivered_again_and_answered_rightly(
    servers: Servers, temporal: Client, target: BackupService
) -> None:
    calls: list[Call] = []
    recoveries = []
    found: dict[str, JobState] = {}
    expected: dict[str, JobState] = {}
    ids: set[str] = set()
    for number in range(ROUNDS):
        beginning = f"{number}{uuid.uuid4().hex[:8]}"
        names = {kind: [f"{beginning}-{kind}-{each}-" for each in range(EACH)] for kind in KINDS}
        await asyncio.to_thread(prepare, servers, names)
        await are_ready(temporal, target, names)
        made, recovery = await killed_before_it_answers(servers, temporal, names)
        recoveries.append(recovery)
        for (kind, scheduler_id), call in made.items():
            assert_right(kind, scheduler_id, call)
        calls += made.values()
        found |= await states_of(temporal, names)
        expected |= expected_after(names)
        ids |= {scheduler_id for _, scheduler_id in each_of(names)}
        assert sorted(await started(temporal, beginning)) == expected_runs(names)
    counted = counted_jobs(found, expected, await made_of(temporal, ids))
    fault = "RPC killed between carrying out and answering"
    print_calls_row(fault, ROUNDS, calls, counted, recovery=max(recoveries))
    assert found == expected
    assert counted == NONE


def prepare(servers: Servers, names: Names) -> None:
    """Make the jobs and runs that calls are to be made for."""
    with rpc_processes(servers) as [preparing], RpcClient(servers.amqp_uri) as client:
        for kind, scheduler_id in each_of(names):
            if kind != "added":
                client.change(ADD, scheduler_id, *FIRST)
            if kind == "resumed":
                client.change(PAUSE, scheduler_id)
            if kind in ("cancelled", "reported"):
                client.change(RUN, scheduler_id, AT)
        for scheduler_id in names["resumed-together"]:
            client.change(PAUSE_ALL, {"prefix": scheduler_id}, "repair")
        preparing.leave()  # killed, it may leave the last of these to be delivered again, too


async def are_ready(temporal: Client, target: BackupService, names: Names) -> None:
    """Wait until backups have begun that are to end, and lists have the jobs that are to be chosen from them."""

    async def are() -> bool:
        asked = {received.headers["Backup-Run-Id"] for received in target.received}
        paused = {
            entry.id: entry.schedule.state.paused async for entry in await temporal.list_schedules() if entry.schedule
        }
        return (
            {run_of(each) for kind in ("cancelled", "reported") for each in names[kind]} <= asked
            and all(paused.get(each) is False for each in names["paused-together"])
            and all(paused.get(each) for each in names["resumed-together"])
        )

    await eventually_async(are)


def expected_runs(names: Names) -> list[tuple[str, str]]:
    return sorted((run_of(each), status) for kind, status in RUNS.items() for each in names[kind])


def assert_right(kind: str, scheduler_id: str, call: Call) -> None:
    if kind == "removed":  # its first delivery removed the job
        assert call.code == 404
        assert "may have removed it" in call.sentence
        return
    assert call.reply is not None
    assert call.code == 200, call
    described = call.reply["description"]
    if kind.endswith("together"):
        assert described["changed"] == [scheduler_id], call
    elif kind == "reported":
        assert described["taken"], call
    elif kind in RUNS:
        assert described["run_id"] == run_of(scheduler_id), call


async def killed_before_it_answers(
    servers: Servers, temporal: Client, names: Names
) -> tuple[dict[tuple[str, str], Call], float]:
    """Make a call for each name; kill the process that carries them out before its answers get through."""
    host = servers.amqp_uri.partition("@")[2].rstrip("/")
    with (
        Door(host) as door,
        RpcProcess(servers, amqp_uri=servers.amqp_uri.replace(host, door.address)) as mute,
        ThreadPoolExecutor(EACH * len(KINDS)) as pool,
    ):
        serving(servers, 1)
        door.hold()

        def call(kind: str, scheduler_id: str) -> Call:
            with RpcClient(servers.amqp_uri) as client:
                return client(KINDS[kind][0], *arguments_of(kind, scheduler_id))

        waiting: dict[tuple[str, str], Future[Call]] = {}
        beginning = names["run"][0].partition("-")[0]
        async with asyncio.timeout(45):
            for kind, ids in names.items():  # all at once, some run out of time on a busy machine
                waiting |= {(kind, each): pool.submit(call, kind, each) for each in ids}
                while await states_of(temporal, {kind: ids}) != expected_after({kind: ids}):
                    await asyncio.sleep(0.1)
            while sorted(await started(temporal, beginning)) != expected_runs(names):
                await asyncio.sleep(0.1)
        assert not any(each.done() for each in waiting.values())
        mute.kill()
        door.__exit__(None, None, None)
        killed = time.monotonic()

        def answered() -> dict[tuple[str, str], Call]:
            with rpc_processes(servers):
                return {each: made.result(60) for each, made in waiting.items()}

        made = await asyncio.to_thread(answered)
        return made, max(each.ended for each in made.values()) - killed


async def test_killing_rpc_services_under_load_loses_and_doubles_nothing(servers: Servers, temporal: Client) -> None:
    counter = itertools.count()
    expected: dict[str, JobState] = {}
    ended: dict[str, str] = {}
    run = uuid.uuid4().hex[:8]

    def live_a_life(client: RpcClient, place: int) -> None:
        """Take one job from its making to its last state; each call depends on the one before having happened."""
        scheduler_id = f"{run}-{place}-{next(counter)}-"
        client.change(ADD, scheduler_id, *FIRST)
        client.change(MODIFY, scheduler_id, *SECOND)
        for _ in range(2):  # the second call has to find the run of the first one
            client.change(RUN, scheduler_id, AT)
        end = random.choice((CANCEL_RUN, REPORT))
        end_run(client, end, run_of(scheduler_id))
        ended[run_of(scheduler_id)] = "CANCELED" if end == CANCEL_RUN else "COMPLETED"
        switch_together(client, PAUSE_ALL, scheduler_id, "repair")
        last = random.choice((PAUSE, RESUME, REMOVE, RESUME_ALL))
        if last == RESUME_ALL:
            switch_together(client, last, scheduler_id)
        else:
            client.change(last, scheduler_id)
        if last != REMOVE:
            paused = last == PAUSE
            expected[scheduler_id] = JobState(Terms(*SECOND), paused=paused, together=paused)

    struck: list[Call] = []

    def strike() -> tuple[list[Call], float]:
        longest = 0.0
        with ExitStack() as processes:
            running = [processes.enter_context(RpcProcess(servers)) for _ in range(2)]
            serving(servers, 2)
            with crowd(servers.amqp_uri, live_a_life, CALLERS) as callers:
                for _ in range(KILLS):
                    callers.make(3 * CALLERS)
                    in_flight = callers.in_flight()
                    running.pop(0).kill()
                    killed = time.monotonic()
                    running.append(processes.enter_context(RpcProcess(servers)))
                    longest = max(longest, callers.waits_for(in_flight) - killed)
                    struck.extend(in_flight)
                    serving(servers, 2)
        return callers.calls, longest

    calls, longest = await asyncio.to_thread(strike)
    ids = {call.scheduler_id for call in calls if call.method == ADD}
    found = await stored_states(temporal, ids)

    async def have_ended() -> bool:
        return dict(await started(temporal, f"{run}-")) == ended

    await eventually_async(have_ended)
    assert len(await started(temporal, f"{run}-")) == len(ended)  # each was started once
    counted = counted_jobs(found, expected, await made_of(temporal, ids))
    fault = f"kill -9 of one of two RPC processes, {len(struck)} calls in flight"
    print_calls_row(fault, KILLS, calls, counted, recovery=longest)
    assert found == expected
    assert counted == NONE
    assert len(struck) > KILLS


async def made_of(temporal: Client, ids: set[str]) -> Counter[str]:
    """Count the schedules that were made of each of these ids."""
    made = await times_made(temporal, ids)
    return Counter({scheduler_id: made[scheduler_id] for scheduler_id in ids})
