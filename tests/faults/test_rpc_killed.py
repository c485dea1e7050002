"""kill -9 of RPC services that are at work: RabbitMQ delivers what they did not answer to those that are left."""

import asyncio
import itertools
import random
import time
import uuid
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

from temporalio.client import Client

from backup_scheduler.contract.methods import ADD, MODIFY, PAUSE, REMOVE, RESUME
from lab.parts.answers import JobState, Terms
from lab.parts.stored_states import stored_states
from tests.support.callers import FIRST, SECOND, Call, RpcClient, crowd
from tests.support.counts import NONE, counted_jobs, times_made
from tests.support.doors import Door
from tests.support.figures import print_calls_row
from tests.support.rpc_processes import RpcProcess, rpc_processes, serving
from tests.support.servers import Servers

ROUNDS = 2
EACH = 6
KILLS = 6
CALLERS = 8

KINDS = {
    "added": (ADD, FIRST, JobState(Terms(*FIRST), paused=False)),
    "modified": (MODIFY, SECOND, JobState(Terms(*SECOND), paused=False)),
    "paused": (PAUSE, (), JobState(Terms(*FIRST), paused=True)),
    "resumed": (RESUME, (), JobState(Terms(*FIRST), paused=False)),
    "removed": (REMOVE, (), None),
}
Names = dict[str, list[str]]


def each_of(names: Names) -> list[tuple[str, str]]:
    return [(kind, scheduler_id) for kind, ids in names.items() for scheduler_id in ids]


def expected_after(names: Names) -> dict[str, JobState]:
    return {scheduler_id: after for kind, scheduler_id in each_of(names) if (after := KINDS[kind][2])}


async def states_of(temporal: Client, names: Names) -> dict[str, JobState]:
    return await stored_states(temporal, [scheduler_id for _, scheduler_id in each_of(names)])


async def test_a_call_that_was_carried_out_but_not_answered_is_delivered_again_and_answered_rightly(
    servers: Servers, temporal: Client
) -> None:
    calls: list[Call] = []
    recoveries = []
    found: dict[str, JobState] = {}
    expected: dict[str, JobState] = {}
    ids: set[str] = set()
    with RpcClient(servers.amqp_uri) as prepare:
        for _ in range(ROUNDS):
            names = {kind: [f"{kind}-{uuid.uuid4().hex[:8]}" for _ in range(EACH)] for kind in KINDS}
            with rpc_processes(servers) as [preparing]:
                for kind, scheduler_id in each_of(names):
                    if kind != "added":
                        prepare.change(ADD, scheduler_id, *FIRST)
                    if kind == "resumed":
                        prepare.change(PAUSE, scheduler_id)
                preparing.leave()  # killed, it may leave the last of these to be delivered again, too
            made, recovery = await killed_before_it_answers(servers, temporal, names)
            calls += made
            recoveries.append(recovery)
            for call in made:
                if call.method == REMOVE:  # its first delivery removed the job
                    assert call.code == 404
                    assert "may have removed it" in call.sentence
                else:
                    assert call.code == 200, call
            found |= await states_of(temporal, names)
            expected |= expected_after(names)
            ids |= {scheduler_id for _, scheduler_id in each_of(names)}
    counted = counted_jobs(found, expected, await made_of(temporal, ids))
    fault = "RPC killed between carrying out and answering"
    print_calls_row(fault, ROUNDS, calls, counted, recovery=max(recoveries))
    assert found == expected
    assert counted == NONE


async def killed_before_it_answers(servers: Servers, temporal: Client, names: Names) -> tuple[list[Call], float]:
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
                return client(KINDS[kind][0], scheduler_id, *KINDS[kind][1])

        waiting = [pool.submit(call, kind, scheduler_id) for kind, scheduler_id in each_of(names)]
        async with asyncio.timeout(45):
            while await states_of(temporal, names) != expected_after(names):
                await asyncio.sleep(0.05)
        assert not any(each.done() for each in waiting)
        mute.kill()
        door.__exit__(None, None, None)
        killed = time.monotonic()
        with rpc_processes(servers):
            made = [each.result(60) for each in waiting]
        return made, max(each.ended for each in made) - killed


async def test_killing_rpc_services_under_load_loses_and_doubles_nothing(servers: Servers, temporal: Client) -> None:
    counter = itertools.count()
    expected: dict[str, JobState] = {}
    run = uuid.uuid4().hex[:8]

    def live_a_life(client: RpcClient, place: int) -> None:
        """Take one job from its making to its last state; each call depends on the one before having happened."""
        scheduler_id = f"{run}-{place}-{next(counter)}"
        client.change(ADD, scheduler_id, *FIRST)
        client.change(MODIFY, scheduler_id, *SECOND)
        client.change(PAUSE, scheduler_id)
        last = random.choice((PAUSE, RESUME, REMOVE))
        client.change(last, scheduler_id)
        if last != REMOVE:
            expected[scheduler_id] = JobState(Terms(*SECOND), paused=last == PAUSE)

    struck: list[Call] = []
    longest = 0.0
    with ExitStack() as processes:
        running = [processes.enter_context(RpcProcess(servers)) for _ in range(2)]
        serving(servers, 2)
        with crowd(servers.amqp_uri, live_a_life, CALLERS) as callers:
            for _ in range(KILLS):
                callers.make(4 * CALLERS)
                in_flight = callers.in_flight()
                running.pop(0).kill()
                killed = time.monotonic()
                running.append(processes.enter_context(RpcProcess(servers)))
                longest = max(longest, callers.waits_for(in_flight) - killed)
                struck += in_flight
                serving(servers, 2)
    ids = {call.scheduler_id for call in callers.calls}
    found = await stored_states(temporal, ids)
    counted = counted_jobs(found, expected, await made_of(temporal, ids))
    fault = f"kill -9 of one of two RPC processes, {len(struck)} calls in flight"
    print_calls_row(fault, KILLS, callers.calls, counted, recovery=longest)
    assert found == expected
    assert counted == NONE
    assert len(struck) > KILLS


async def made_of(temporal: Client, ids: set[str]) -> Counter[str]:
    """Count the schedules that were made of each of these ids."""
    made = await times_made(temporal, ids)
    return Counter({scheduler_id: made[scheduler_id] for scheduler_id in ids})
