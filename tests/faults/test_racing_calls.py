"""Many callers change one job at once, through two RPC processes: every answer is true, and so is the last state."""

import random
import threading
import uuid
from collections import Counter

from temporalio.client import Client

from backup_scheduler.contract.methods import ADD, GET, MODIFY, PAUSE, REMOVE, RESUME
from tests.support.callers import RpcClient, crowd
from tests.support.counts import NONE, count_calls
from tests.support.figures import print_calls_row
from tests.support.rpc_processes import rpc_processes
from tests.support.servers import Servers

JOBS = 8
CALLERS = 6
EACH = 4
"""Calls that each caller makes about each job."""

METHODS = (ADD, MODIFY, MODIFY, PAUSE, RESUME, REMOVE, GET)


async def test_an_order_of_the_calls_explains_all_answers_and_the_end(servers: Servers, temporal: Client) -> None:
    run = uuid.uuid4().hex[:8]
    start = threading.Barrier(CALLERS)

    def change_the_same(client: RpcClient, place: int) -> None:
        number = len(client.calls) // EACH
        if number == JOBS:
            callers.enough.set()
            return
        start.wait(60)
        for n in range(EACH):
            method = random.choice(METHODS)
            if place == n == 0:
                method = ADD
            # Terms of its own for each call, so that an answer shows whose terms it has.
            terms = (f"policy-{place}-{n}", 1, "02:01", 0, 60 + place)
            client(method, f"{run}-{number}", *(terms if method in (ADD, MODIFY) else ()))

    with rpc_processes(servers, 2), crowd(servers.amqp_uri, change_the_same, CALLERS) as callers:
        callers.enough.wait(240)
    assert len(callers.calls) == JOBS * CALLERS * EACH
    codes = Counter(call.code for call in callers.calls)
    assert set(codes) <= {200, 404, 409, 504}, codes
    assert codes[504] < JOBS
    assert min(codes[code] for code in (200, 404, 409)) > 0, codes
    counted, unexplained = await count_calls(temporal, callers.calls)
    slowest = max(call.seconds for call in callers.calls)
    fault = f"{CALLERS} callers change one job at once through two RPC processes"
    print_calls_row(fault, JOBS, callers.calls, counted, recovery=slowest)
    assert counted == NONE, unexplained
