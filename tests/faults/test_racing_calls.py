"""Many callers change and run one job at once, through two RPC processes: answers and the last state are true.

A run of one moment is started once, whatever becomes of the job meanwhile.
"""

import asyncio
import random
import threading
import uuid
from collections import Counter

from temporalio.client import Client

from backup_scheduler.contract.methods import ADD, GET, MODIFY, PAUSE, REMOVE, RESUME, RUN
from backup_scheduler.settings import Settings
from lab.parts.backup_service import BackupService, answering
from lab.parts.waiting import eventually_async
from tests.support.callers import Call, RpcClient, crowd
from tests.support.counts import NONE, count_calls
from tests.support.figures import print_calls_row
from tests.support.rpc_processes import rpc_processes
from tests.support.servers import Servers
from tests.support.workers import worker_with

JOBS = 8
CALLERS = 6
EACH = 5
"""Calls that each caller makes about each job."""

METHODS = (ADD, MODIFY, MODIFY, PAUSE, RESUME, REMOVE, GET, RUN, RUN, RUN)
AT = "2026-01-03T02:01:00Z"


async def test_an_order_of_the_calls_explains_all_answers_and_the_end(
    servers: Servers, temporal: Client, target: BackupService
) -> None:
    run = uuid.uuid4().hex[:8]
    target.answers = [answering(200)]
    async with worker_with(temporal, fallback=target.policy(), task_queue=Settings().task_queue):
        calls = await asyncio.to_thread(race, servers, run)
        codes = Counter(call.code for call in calls)
        assert set(codes) <= {200, 404, 409, 504}, codes
        assert codes[504] < JOBS
        assert min(codes[code] for code in (200, 404, 409)) > 0, codes
        counted, unexplained = await count_calls(temporal, [call for call in calls if call.method != RUN])
        slowest = max(call.seconds for call in calls)
        fault = f"{CALLERS} callers change and run one job at once through two RPC processes"
        print_calls_row(fault, JOBS, calls, counted, recovery=slowest)
        assert counted == NONE, unexplained
        await each_run_started_once(temporal, [call for call in calls if call.method == RUN], run)


def race(servers: Servers, run: str) -> list[Call]:
    """Make calls for one job after the other, all callers at once."""
    start = threading.Barrier(CALLERS)
    enough = threading.Event()

    def change_the_same(client: RpcClient, place: int) -> None:
        number = len(client.calls) // EACH
        if number == JOBS:
            enough.set()
            return
        start.wait(60)
        for n in range(EACH):
            method = random.choice(METHODS)
            if place == n == 0:
                method = ADD
            # Terms of its own for each call, so that an answer shows whose terms it has.
            terms = (f"policy-{place}-{n}", 1, "02:01", 0, 60 + place)
            more = terms if method in (ADD, MODIFY) else (AT,) if method == RUN else ()
            client(method, f"{run}-{number}", *more)

    with rpc_processes(servers, 2), crowd(servers.amqp_uri, change_the_same, CALLERS) as callers:
        enough.wait(240)
    assert len(callers.calls) == JOBS * CALLERS * EACH
    return callers.calls


async def each_run_started_once(temporal: Client, calls: list[Call], run: str) -> None:
    """Wait for the runs that were answered; no run may have been started twice, whatever was answered."""
    answered = {f"backup-{call.scheduler_id}-{AT}" for call in calls if call.code == 200}
    assert answered == {call.reply["description"]["run_id"] for call in calls if call.reply and call.code == 200}
    started: Counter[str] = Counter()

    async def have_ended() -> bool:
        query = f"WorkflowType='BackupWorkflow' AND WorkflowId STARTS_WITH 'backup-{run}-'"
        runs = [each async for each in temporal.list_workflows(query)]
        started.clear()
        started.update(each.id for each in runs)
        return answered <= started.keys() and all(each.close_time for each in runs)

    await eventually_async(have_ended)
    assert answered
    assert set(started.values()) == {1}, started
