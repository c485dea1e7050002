"""Temporal dies under load and comes back with its files: callers get an answer in time, and no answer is wrong."""

import asyncio
import itertools
import statistics
import time
import uuid
from collections import Counter

from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter

from backup_scheduler.contract.methods import ADD, GET, GET_ALL, MODIFY, PAUSE, REMOVE, RESUME
from lab.parts.waiting import eventually
from tests.support.callers import FIRST, SECOND, Crowd, RpcClient, crowd
from tests.support.counts import NONE, count_calls
from tests.support.figures import print_calls_row
from tests.support.rpc_processes import rpc_processes
from tests.support.servers import Servers

KILLS = 3
CALLERS = 8
DOWN = 4.0
"""Seconds: longer than the client's own retries, so that calls begin and end in the outage."""

IN_TIME = 5.0
"""Seconds within which calls are answered."""

SLOW = 5.0
"""Further seconds that calls may take on a busy machine."""


async def test_every_answer_is_in_time_and_true(servers: Servers) -> None:
    run, number = uuid.uuid4().hex[:8], itertools.count()
    calls = (
        (ADD, FIRST),
        (MODIFY, SECOND),
        (PAUSE, ()),
        (GET, ()),
        (RESUME, ()),
        (REMOVE, ()),
    )

    def change_jobs(client: RpcClient, place: int) -> None:
        """Change a job many times, whatever the answers; every other job stays."""
        scheduler_id = f"{run}-{next(number)}"
        for method, terms in calls[: -(place % 2) or None]:
            client(method, scheduler_id, *terms)
        if place == 0:
            client(GET_ALL)

    longest = 0.0
    with rpc_processes(servers, 2) as services, crowd(servers.amqp_uri, change_jobs, CALLERS) as callers:
        for _ in range(KILLS):
            callers.make(5 * CALLERS)
            servers.temporal.kill()
            await asyncio.sleep(DOWN)
            servers.temporal.start_again()
            back = time.monotonic()
            longest = max(longest, first_success_since(callers, back) - back)
        callers.make(5 * CALLERS)
        assert all(each.process.poll() is None for each in services)
    codes = Counter(call.code for call in callers.calls)
    assert set(codes) <= {200, 404, 503, 504}, codes
    assert codes[503] + codes[504] >= KILLS * CALLERS
    assert codes[200] > codes[503] + codes[504]  # between the outages calls are carried out
    late = [call.seconds for call in callers.calls if call.code == 504]
    assert not late or statistics.median(late) < IN_TIME
    slowest = max(call.seconds for call in callers.calls)
    assert slowest < IN_TIME + SLOW
    temporal = await Client.connect(servers.temporal_address, data_converter=pydantic_data_converter)
    counted, unexplained = await count_calls(temporal, callers.calls)
    fault = f"Temporal killed for {DOWN:.0f} s: {codes[503]} calls answered 503, {codes[504]} 504, the slowest after"
    print_calls_row(f"{fault} {slowest:.1f} s", KILLS, callers.calls, counted, recovery=longest)
    assert counted == NONE, unexplained


def first_success_since(callers: Crowd, moment: float) -> float:
    """Wait for the first call that began after the moment and succeeded; return the moment of its end."""
    return eventually(
        lambda: min((call.ended for call in callers.calls if call.began > moment and call.code == 200), default=0.0), 90
    )
