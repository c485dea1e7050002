"""A nameko client that connects anew after each fault, for use from asyncio, and the log of its calls."""

import asyncio
import json
import time
import warnings
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from backup_scheduler.contract.methods import SERVICE
from lab.parts.answers import INDEFINITE, Reply

TIMEOUT = 15
"""Seconds after which a caller gives up, as in the demonstration."""

_PAUSE = 0.3
"""Seconds between attempts to reach the broker."""


@dataclass
class CallLog:
    """Counts calls and writes each to a file of JSON lines, for the search for a fault's cause."""

    path: Path
    answered: Counter[int] = field(default_factory=Counter)
    """By code."""
    unanswered: Counter[str] = field(default_factory=Counter)
    """By the exception that the client raised."""
    by_method: Counter[str] = field(default_factory=Counter)
    succeeded: Counter[str] = field(default_factory=Counter)
    """Calls that were answered 200, by method."""
    longest: dict[int, float] = field(default_factory=dict)
    """Seconds until the slowest answer, by code; waiting for a killed part included."""
    spans: list[tuple[float, float]] = field(default_factory=list)
    """Beginnings and ends of calls."""
    faults: list[str] = field(default_factory=list)
    """Answers that were not true."""
    past: int = 0
    """Answers that described a job as it was before, when that may be."""
    undisturbed: int = 0
    """Calls while nothing was killed or recovering."""
    undisturbed_without_result: int = 0

    def write(self, **entry: Any) -> None:
        """Add a line."""
        with self.path.open("a") as file:
            file.write(json.dumps(entry, default=str) + "\n")

    def note_undisturbed(self, reply: Reply | None) -> None:
        """Count the answer to a call while nothing was killed or recovering."""
        self.undisturbed += 1
        self.undisturbed_without_result += reply is None or reply["code"] in INDEFINITE

    def note(self, began: float, method: str, arguments: dict[str, Any], reply: Reply | None, error: str) -> None:
        """Count a call."""
        ended = time.time()
        seconds = ended - began
        self.spans.append((began, ended))
        self.by_method[method] += 1
        if reply is None:
            self.unanswered[error] += 1
        else:
            code = reply["code"]
            self.answered[code] += 1
            self.succeeded[method] += code == 200
            self.longest[code] = max(self.longest.get(code, 0), seconds)
        self.write(began=began, seconds=round(seconds, 3), method=method, **arguments, reply=reply, error=error)


class Rpc:
    """One caller; its calls follow each other."""

    def __init__(self, amqp_uri: str, log: CallLog, timeout: float = TIMEOUT) -> None:
        self._config = {"AMQP_URI": amqp_uri}
        self._log = log
        self._timeout = timeout
        self._thread = ThreadPoolExecutor(1)  # nameko's client is bound to the thread that made it
        self._cluster: Any = None
        self._proxy: Any = None

    async def call(self, method: str, arguments: dict[str, Any]) -> Reply | None:
        """Return the reply; None when there was none. Waits for the broker before it sends anything."""
        loop = asyncio.get_running_loop()
        while not await loop.run_in_executor(self._thread, self._connect):  # another process's state
            await asyncio.sleep(_PAUSE)
        began = time.time()
        reply, error = await loop.run_in_executor(self._thread, self._call, method, arguments)
        self._log.note(began, method, arguments, reply, error)
        return reply

    async def close(self) -> None:
        """Close the connection."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._disconnect)
        self._thread.shutdown(wait=False)

    def _connect(self) -> bool:
        if self._cluster is None:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # nameko and eventlet warn of themselves
                from nameko.standalone.rpc import ClusterRpcProxy
            cluster = ClusterRpcProxy(self._config, timeout=self._timeout)
            try:
                self._proxy = cluster.start()
            except Exception:  # any failure to connect is tried again
                with suppress(Exception):
                    cluster.stop()
                return False
            self._cluster = cluster
        return True

    def _call(self, method: str, arguments: dict[str, Any]) -> tuple[Reply | None, str]:
        try:
            reply: Reply = getattr(self._proxy[SERVICE], method)(**arguments)
        except Exception as error:  # only what happens on the way can raise (docs/api.md#what-raises)
            self._disconnect()
            return None, type(error).__name__
        return reply, ""

    def _disconnect(self) -> None:
        with suppress(Exception):
            if self._cluster is not None:
                self._cluster.stop()
        self._cluster = None
