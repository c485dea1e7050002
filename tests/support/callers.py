"""Callers under load: each is a thread with a nameko client of its own that remembers its calls and their answers."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from amqp.exceptions import ConnectionError as AmqpConnectionError
from kombu.exceptions import OperationalError
from nameko.exceptions import RpcTimeout
from nameko.standalone.rpc import ClusterRpcProxy

from backup_scheduler.contract.methods import ADD, CANCEL_RUN, REMOVE
from lab.parts.answers import Reply, Terms
from lab.parts.waiting import eventually

_PATIENCE = 90

FIRST = ("documents", 3, "02:01", 2, 3600)
SECOND = ("pictures", 1, "14:30", 0, 60)
"""Terms by position: policy_name, days, start_time, duration, misfire_grace_time."""


@dataclass
class Call:
    """One call; `reply` is None while it waits, and for ever when the connection broke."""

    method: str
    args: tuple[Any, ...]
    began: float
    ended: float = 0
    reply: Reply | None = None

    @property
    def scheduler_id(self) -> str:
        return str(self.args[0])

    @property
    def terms(self) -> Terms | None:
        """Terms of the job that the call asks for; None for a call that takes only an id."""
        return Terms(*self.args[1:]) if self.args[1:] else None

    @property
    def code(self) -> int | None:
        return None if self.reply is None else int(self.reply["code"])

    @property
    def sentence(self) -> str:
        """The message of a call that failed."""
        assert self.reply is not None
        assert isinstance(self.reply["description"], str)
        return self.reply["description"]

    @property
    def seconds(self) -> float:
        return self.ended - self.began


class RpcClient(AbstractContextManager["RpcClient"]):
    """A nameko client that reconnects after its connection broke, as a long-lived caller has to."""

    def __init__(self, amqp_uri: str, timeout: float = 60) -> None:
        self.calls: list[Call] = []
        self._amqp_uri = amqp_uri
        self._timeout = timeout
        self._connection = ExitStack()
        self._proxy: Any = None

    def __call__(self, method: str, *args: Any) -> Call:
        """Make one call and remember it."""
        call = Call(method, args, time.monotonic())
        self.calls.append(call)
        try:
            if self._proxy is None:
                self._proxy = self._connection.enter_context(
                    ClusterRpcProxy({"AMQP_URI": self._amqp_uri}, timeout=self._timeout)
                )
            call.reply = getattr(self._proxy.scheduler, method)(*args)
        except (OperationalError, AmqpConnectionError, OSError, RpcTimeout, RuntimeError):
            self.close()
            time.sleep(0.1)
        call.ended = time.monotonic()
        return call

    def change(self, method: str, *args: Any) -> None:
        """Make a call that has to succeed; repeat it for as long as Temporal is too busy to confirm it.

        The answer to the next call shows the effect of a call that was given up, or that another process took over.
        """
        busy = False
        deadline = time.monotonic() + _PATIENCE
        while (call := self(method, *args)).code in (503, 504):
            assert time.monotonic() < deadline, call
            busy = True
        done_before = {ADD: 409, REMOVE: 404}.get(method)
        if call.code == done_before:
            assert busy or "may have removed it" in call.sentence, call
        else:
            assert call.code == 200, call

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._proxy = None
        self._connection, broken = ExitStack(), self._connection
        with suppress(OperationalError, AmqpConnectionError, OSError):
            broken.close()


def end_run(client: RpcClient, method: str, run: str) -> None:
    """Cancel a run, or report its end once it waits for that."""
    if method == CANCEL_RUN:
        client.change(method, run)
        return
    while (call := client(method, run, "completed")).code != 200:
        assert call.code in (503, 504) or "does not wait for a report" in call.sentence, call


def switch_together(client: RpcClient, method: str, scheduler_id: str, *more: str) -> None:
    """Pause or resume a job as one of many, again until lists have it as it is; the receipt has to say so."""
    busy = False
    while True:
        made = len(client.calls)
        client.change(method, {"prefix": scheduler_id}, *more)
        busy |= len(client.calls) > made + 1
        reply = client.calls[-1].reply
        assert reply is not None
        receipt = reply["description"]
        assert receipt["left"] == []
        if receipt["changed"] == [scheduler_id] or (busy and receipt["already"]):
            return
        busy |= bool(receipt["failed"])
        time.sleep(0.2)  # the callers shall not load the machine with this


class Crowd:
    """Many clients at work at once."""

    def __init__(self, amqp_uri: str, work: Callable[[RpcClient, int], None], count: int) -> None:
        self.clients = [RpcClient(amqp_uri) for _ in range(count)]
        self.enough = threading.Event()
        """When set, each client ends after its current piece of work."""
        self._faults: list[BaseException] = []
        self._threads = [
            threading.Thread(target=self._run, args=(work, client, place), daemon=True)
            for place, client in enumerate(self.clients)
        ]

    def _run(self, work: Callable[[RpcClient, int], None], client: RpcClient, place: int) -> None:
        try:
            while not self.enough.is_set():
                work(client, place)
        except BaseException as fault:  # join() raises it
            self._faults.append(fault)
            self.enough.set()
        finally:
            client.close()

    @property
    def calls(self) -> list[Call]:
        return [call for client in self.clients for call in client.calls]

    @property
    def answered(self) -> int:
        return sum(call.reply is not None for call in self.calls)

    def make(self, count: int) -> None:
        """Wait until so many more calls are answered."""
        enough = self.answered + count
        eventually(lambda: self.answered >= enough or self.enough.is_set(), _PATIENCE)

    def in_flight(self) -> list[Call]:
        return [client.calls[-1] for client in self.clients if client.calls and not client.calls[-1].ended]

    def waits_for(self, calls: list[Call]) -> float:
        """Wait until all these calls have ended; return the moment at which the last one did."""
        eventually(lambda: all(call.ended for call in calls), _PATIENCE)
        return max((call.ended for call in calls), default=0)

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def join(self) -> None:
        """Let all come to an end; raise the first exception of any of them."""
        self.enough.set()
        for thread in self._threads:
            thread.join(_PATIENCE)
            assert not thread.is_alive(), "a call hangs"
        if self._faults:
            raise self._faults[0]


@contextmanager
def crowd(amqp_uri: str, work: Callable[[RpcClient, int], None], count: int) -> Iterator[Crowd]:
    """Let `count` callers repeat the work for the length of the block and until the last of them is answered."""
    callers = Crowd(amqp_uri, work, count)
    callers.start()
    try:
        yield callers
    finally:
        callers.join()
