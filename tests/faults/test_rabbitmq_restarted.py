"""RabbitMQ goes away and comes back: the RPC service reconnects by itself, and ends on SIGTERM."""

import asyncio
import itertools
import time
import uuid
from collections import Counter

from temporalio.client import Client

from backup_scheduler.contract.methods import ADD, MODIFY, PAUSE, REMOVE, RESUME
from lab.parts.relay import relay
from lab.parts.waiting import eventually
from tests.support.callers import FIRST, SECOND, RpcClient, crowd
from tests.support.counts import NONE, Counted, count_calls
from tests.support.figures import print_calls_row
from tests.support.rpc_processes import RpcProcess, rpc_processes, serving
from tests.support.servers import Servers

RESTARTS = 3
CALLERS = 8


async def test_it_reconnects_idle_and_under_load_and_what_it_answers_is_true(
    servers: Servers, temporal: Client
) -> None:
    run, number = uuid.uuid4().hex[:8], itertools.count()

    def change_jobs(client: RpcClient, place: int) -> None:
        """Change a job many times, whatever the answers; every other job stays."""
        scheduler_id = f"{run}-{next(number)}"
        for method, terms in ((ADD, FIRST), (MODIFY, SECOND), (PAUSE, ()), (RESUME, ())):
            client(method, scheduler_id, *terms)
        if place % 2:
            client(REMOVE, scheduler_id)

    idle = loaded = 0.0
    with rpc_processes(servers, 2) as services:
        servers.rabbitmq.terminate()
        servers.rabbitmq.start_again()
        idle = recovery_of(servers)
        with crowd(servers.amqp_uri, change_jobs, CALLERS) as callers:
            for restart in range(RESTARTS):
                callers.make(3 * CALLERS)
                with servers.temporal.frozen():  # calls that outlast the outage are delivered again
                    await asyncio.sleep(0.3)
                    servers.rabbitmq.terminate() if restart % 2 else servers.rabbitmq.kill()
                    await asyncio.sleep(0.5)
                servers.rabbitmq.start_again()
                loaded = max(loaded, recovery_of(servers))
            callers.make(3 * CALLERS)
        assert all(each.process.poll() is None for each in services)
    answered = [call for call in callers.calls if call.reply is not None]
    codes = Counter(call.code for call in answered)
    assert set(codes) <= {200, 404, 409, 504}, codes
    assert codes[200] > codes[504], codes  # only those that outlast the outage may be given up
    counted, unexplained = await count_calls(temporal, callers.calls)
    print_calls_row("RabbitMQ restarted, idle", 1, [], Counted(), recovery=idle)
    broken = len(callers.calls) - len(answered)
    print_calls_row(
        f"RabbitMQ restarted under load, {broken} calls whose connection broke",
        RESTARTS,
        callers.calls,
        counted,
        recovery=loaded,
    )
    assert counted == NONE, unexplained


def recovery_of(servers: Servers) -> float:
    """Return the seconds from RabbitMQ's return until both services take calls."""
    back = time.monotonic()
    serving(servers, 2)
    return time.monotonic() - back


async def test_it_connects_anew_when_its_connection_is_dead_though_nobody_ended_it(servers: Servers) -> None:
    host = servers.amqp_uri.partition("@")[2].rstrip("/")
    async with relay(host) as way:
        with RpcProcess(servers, amqp_uri=servers.amqp_uri.replace(host, way.address)) as rpc:
            await asyncio.to_thread(serving, servers, 1)
            way.lose()
            await asyncio.to_thread(serving, servers, 2)  # RabbitMQ still counts the dead connection
            assert await asyncio.to_thread(rpc.leave) == 0


def test_it_leaves_while_rabbitmq_is_down(servers: Servers) -> None:
    with rpc_processes(servers) as [rpc]:
        servers.rabbitmq.kill()
        try:
            # It is between two attempts to reconnect, which come further and further apart.
            eventually(lambda: "Retrying in 2.0 seconds" in rpc.said)
            assert rpc.leave() == 0
        finally:
            servers.rabbitmq.start_again()


def test_it_leaves_while_rabbitmq_does_not_answer(servers: Servers) -> None:
    with rpc_processes(servers) as [rpc], servers.rabbitmq.frozen():
        assert rpc.leave() == 0


def test_it_leaves_though_rabbitmq_was_never_there(servers: Servers) -> None:
    with RpcProcess(servers, amqp_uri="amqp://guest:guest@127.0.0.1:1") as rpc:
        eventually(lambda: "Retrying in" in rpc.said)
        assert rpc.leave() == 0
