"""Callers: by RPC as any nameko client calls, and straight through the Temporal SDK."""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from nameko.standalone.rpc import ClusterRpcProxy
from temporalio.client import Client, ScheduleUpdate

from backup_scheduler.contract.methods import ADD, GET, GET_ALL, MODIFY, PAUSE, REMOVE, RESUME
from backup_scheduler.jobs.names import schedule_id
from backup_scheduler.jobs.to_schedule import schedule_for
from backup_scheduler.settings import Settings
from lab.bench import figures, jobs

OPERATIONS = ("add", "get", "pause+resume", "modify", "remove")
"""In the order in which a job goes through them."""
CALLS = ("add", "get", "pause", "resume", "modify", "remove")
"""The same, a call each."""
_PATIENCE = 60


@dataclass(frozen=True)
class Timing:
    """Duration of a number of operations."""

    seconds: float
    latencies: list[float]
    """Seconds of each."""

    @property
    def per_second(self) -> float:
        """Operations per second."""
        return len(self.latencies) / self.seconds

    def milliseconds(self, share: float) -> float:
        """Return a percentile of the latencies."""
        return figures.percentile(self.latencies, share) * 1000


class RpcCallers:
    """Threads that call, each with a connection of its own."""

    def __init__(self, proxies: list[Any]) -> None:
        self._proxies = proxies

    def carry_out(self, service: str, operation: str, ids: Sequence[str], at_once: int, seconds: float = 0) -> Timing:
        """Carry an operation out for each job, `at_once` in parallel; `seconds` is for an operation that only waits."""
        waiting = deque(ids)
        latencies: list[float] = []

        def work(proxy: Any) -> None:
            while True:
                try:
                    scheduler_id = waiting.popleft()
                except IndexError:
                    return
                began = time.perf_counter()
                _call(proxy[service], operation, scheduler_id, seconds)
                latencies.append(time.perf_counter() - began)

        began = time.perf_counter()
        with ThreadPoolExecutor(at_once) as pool:
            for done in [pool.submit(work, proxy) for proxy in self._proxies[:at_once]]:
                done.result()
        return Timing(time.perf_counter() - began, latencies)

    def call(self, service: str, operation: str, scheduler_id: str, seconds: float = 0) -> float:
        """Carry an operation out once; return the seconds that it took."""
        began = time.perf_counter()
        _call(self._proxies[0][service], operation, scheduler_id, seconds)
        return time.perf_counter() - began

    def get_jobs(self, service: str) -> tuple[float, int]:
        """List all jobs; return the seconds that it took and how many were listed."""
        began = time.perf_counter()
        reply = getattr(self._proxies[0][service], GET_ALL)()
        return time.perf_counter() - began, len(_checked(reply)["description"])


@contextmanager
def rpc_callers(amqp_uri: str, most: int, patience: float = _PATIENCE) -> Iterator[RpcCallers]:
    """Connect so many callers."""
    with ExitStack() as stack:
        opened = [ClusterRpcProxy({"AMQP_URI": amqp_uri}, timeout=patience) for _ in range(most)]
        yield RpcCallers([stack.enter_context(proxy) for proxy in opened])


def _call(service: Any, operation: str, scheduler_id: str, seconds: float = 0) -> None:
    match operation:
        case "nothing":
            service.nothing(**jobs.arguments(scheduler_id), seconds=seconds)
        case "add":
            _checked(getattr(service, ADD)(**jobs.arguments(scheduler_id)))
        case "get":
            _checked(getattr(service, GET)(scheduler_id))
        case "pause":
            _checked(getattr(service, PAUSE)(scheduler_id))
        case "resume":
            _checked(getattr(service, RESUME)(scheduler_id))
        case "pause+resume":
            _checked(getattr(service, PAUSE)(scheduler_id))
            _checked(getattr(service, RESUME)(scheduler_id))
        case "modify":
            changed = jobs.arguments(scheduler_id, start_time="03:04")
            _checked(getattr(service, MODIFY)(**changed))
        case "remove":
            _checked(getattr(service, REMOVE)(scheduler_id))


def _checked(reply: dict[str, Any]) -> dict[str, Any]:
    if reply["code"] != 200:
        raise RuntimeError(f"a call failed: {reply}")
    return reply


async def _add(client: Client, scheduler_id: str) -> None:
    await jobs.create(client, jobs.alignment(scheduler_id))


async def _get(client: Client, scheduler_id: str) -> None:
    await client.get_schedule_handle(schedule_id(scheduler_id)).describe()


async def _pause(client: Client, scheduler_id: str) -> None:
    handle = client.get_schedule_handle(schedule_id(scheduler_id))
    await handle.describe()
    await handle.pause()
    await handle.describe()


async def _resume(client: Client, scheduler_id: str) -> None:
    handle = client.get_schedule_handle(schedule_id(scheduler_id))
    await handle.describe()
    await handle.unpause()
    await handle.describe()


async def _pause_and_resume(client: Client, scheduler_id: str) -> None:
    await _pause(client, scheduler_id)
    await _resume(client, scheduler_id)


async def _modify(client: Client, scheduler_id: str) -> None:
    handle = client.get_schedule_handle(schedule_id(scheduler_id))
    schedule = schedule_for(jobs.alignment(scheduler_id), Settings().task_queue)
    await handle.update(lambda _: ScheduleUpdate(schedule))  # describes by itself first
    await handle.describe()


async def _remove(client: Client, scheduler_id: str) -> None:
    handle = client.get_schedule_handle(schedule_id(scheduler_id))
    await handle.describe()
    await handle.delete()


_BARE: dict[str, Callable[[Client, str], Awaitable[None]]] = {
    "add": _add,
    "get": _get,
    "pause": _pause,
    "resume": _resume,
    "pause+resume": _pause_and_resume,
    "modify": _modify,
    "remove": _remove,
}


async def carry_out_bare(client: Client, operation: str, ids: Sequence[str], at_once: int) -> Timing:
    """Make the Schedule calls that an operation needs, without RPC, for each job, so many at once."""
    waiting = deque(ids)
    latencies: list[float] = []

    async def work() -> None:
        while waiting:
            latencies.append(await call_bare(client, operation, waiting.popleft()))

    began = time.perf_counter()
    await asyncio.gather(*(work() for _ in range(at_once)))
    return Timing(time.perf_counter() - began, latencies)


async def call_bare(client: Client, operation: str, scheduler_id: str) -> float:
    """Make the Schedule calls that an operation needs for one job; return the seconds that they took."""
    began = time.perf_counter()
    await _BARE[operation](client, scheduler_id)
    return time.perf_counter() - began
