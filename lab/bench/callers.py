"""Callers by RPC, as any nameko client calls."""

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

from nameko.standalone.rpc import ClusterRpcProxy

from backup_scheduler.contract.methods import ADD, GET, GET_ALL, MODIFY, PAUSE, REMOVE, RESUME
from lab.bench import jobs
from lab.bench.supply import Supply, Timing, clocked, in_parallel

OPERATIONS = ("add", "get", "pause+resume", "modify", "remove")
"""In the order in which a job goes through them."""
CALLS = ("add", "get", "pause", "resume", "modify", "remove")
"""The same, a call each."""
_PATIENCE = 60


class RpcCallers:
    """Threads that call, each with a connection of its own."""

    def __init__(self, proxies: list[Any]) -> None:
        self._proxies = proxies

    def carry_out(self, service: str, operation: str, supply: Supply, at_once: int) -> Timing:
        """Carry an operation out, `at_once` in parallel, as long as there is supply."""
        callers = [partial(_call, proxy[service], operation) for proxy in self._proxies[:at_once]]
        return in_parallel(callers, supply)  # type: ignore[arg-type]  # mypy takes no partial for a function

    def call(self, service: str, operation: str, scheduler_id: str, seconds: float = 0) -> float:
        """Carry an operation out once; return the seconds it took. `seconds` is for an operation that only waits."""
        return clocked(lambda: _call(self._proxies[0][service], operation, scheduler_id, seconds))

    def get_jobs(self, service: str) -> tuple[float, int]:
        """List all jobs; return the seconds that it took and how many were listed."""
        seconds, listed = self.answer(service, GET_ALL)
        return seconds, len(listed)

    def answer(self, service: str, method: str, **arguments: Any) -> tuple[float, Any]:
        """Call a method once; return the seconds that it took and the description of its reply."""
        began = time.perf_counter()
        reply = getattr(self._proxies[0][service], method)(**arguments)
        return time.perf_counter() - began, _checked(reply)["description"]


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
        case _:
            raise ValueError(operation)


def _checked(reply: dict[str, Any]) -> dict[str, Any]:
    if reply["code"] != 200:
        raise RuntimeError(f"a call failed: {reply}")
    return reply
