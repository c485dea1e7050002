"""The service of backups that end later: it reports most ends, and has the runs of the other backups cancelled."""

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime
from random import Random
from typing import Any, Final

from backup_scheduler.contract.methods import CANCEL_RUN, GET_RUN, REPORT
from lab.parts.answers import INDEFINITE, Reply
from lab.soak.looks import CANCELLED, OPEN, End, run_fault
from lab.soak.rpc import CallLog, Rpc
from lab.soak.target import Target

_CANCELLED_SHARE: Final = 0.3
"""Share of the backups whose runs are cancelled; of the others the service reports the end."""

_SOME: Final = 0.2

_PAUSE: Final = 0.3

_ENDS_WITHIN: Final = 120
"""Seconds for the end of a run that was cancelled or reported, a worker that is killed meanwhile included."""


class Later:
    """Ends the runs whose backups it has begun, one after the other, and sees that they end so."""

    def __init__(
        self,
        random: Random,
        rpc: Rpc,
        log: CallLog,
        disturbed: Callable[[float], bool],
        split: Callable[[float], bool],
        target: Target,
    ) -> None:
        self.ends: dict[str, End] = {}
        """What was done to end runs, by run_id."""
        self._random = random
        self._rpc = rpc
        self._log = log
        self._target = target
        self._disturbed = disturbed
        self._split = split

    async def work(self) -> None:
        """End runs until cancelled: a run may begin for as long as the audit waits for runs."""
        ended = set()
        while True:
            key = await self._target.begun.get()
            if key not in ended:  # else it was asked for again
                ended.add(key)
                await asyncio.sleep(self._random.random())
                await self._end(key.rpartition("~")[0])

    async def cancel_some(self, run: str) -> None:
        """Cancel a run, by chance, that may end, or wait, before the call comes."""
        if self._random.random() > _SOME:
            return
        end = self.ends.setdefault(run, End(CANCELLED, {}, "enough", may_complete=True))
        reply = await self._result(CANCEL_RUN, {"run_id": run, "reason": end.reason})
        if reply["code"] not in (200, 409):
            self._note(CANCEL_RUN, f"{run}: {reply}")

    async def _end(self, run: str) -> None:
        # A run that a killed server has started twice ends twice, in the same way
        # (docs/temporal-facts.md#a-killed-server-can-start-a-run-twice).
        end = self.ends.setdefault(run, self._chosen(run))
        while True:
            began = time.time()
            if end.outcome == CANCELLED:
                reply = await self._result(CANCEL_RUN, {"run_id": run, "reason": end.reason})
                is_right = reply["code"] == 200
            else:
                reply = await self._result(REPORT, {"run_id": run, "outcome": end.outcome, **end.values})
                is_right = reply["description"] == {"run_id": run, "outcome": end.outcome, "taken": True}
            if is_right:
                return await self._see(run, end)
            if not self._split(began):
                return self._note("end", f"{run}: {reply}")
            await asyncio.sleep(_PAUSE)

    def _chosen(self, run: str) -> End:
        never = [method for method in (CANCEL_RUN, REPORT) if not self._log.succeeded[method]]
        if never[:1] == [CANCEL_RUN] or (not never and self._random.random() < _CANCELLED_SHARE):
            return _cancelled(run)
        numbers = {name: self._random.randrange(1 << 40) for name in ("files", "bytes")}
        outcome = self._random.choice(["completed", "completed with warnings"])
        return End(outcome, {"message": f"reported: {run}", "snapshot_id": run[-20:], **numbers})

    async def _see(self, run: str, end: End) -> None:
        """See a run end as it has to."""
        deadline = time.monotonic() + _ENDS_WITHIN
        while True:
            began = time.time()
            reply = await self._result(GET_RUN, {"run_id": run})
            fault = run_fault(run, reply["description"], end)
            if fault is None and reply["description"]["outcome"] not in OPEN:
                return None
            if fault is None and time.monotonic() > deadline:
                fault = f"{run} did not end as {end.outcome} within {_ENDS_WITHIN} s: {reply}"
            if fault and not self._split(began):
                return self._note(GET_RUN, fault)
            await asyncio.sleep(_PAUSE)

    async def _result(self, method: str, arguments: dict[str, Any]) -> Reply:
        """Make a call, again until it has a result."""
        while True:
            began = time.time()
            reply = await self._rpc.call(method, arguments)
            if not self._disturbed(began):
                self._log.note_undisturbed(reply)
            if reply is not None and reply["code"] not in INDEFINITE:
                return reply
            await asyncio.sleep(_PAUSE)

    def _note(self, method: str, fault: str) -> None:
        self._log.faults.append(f"{datetime.now(UTC):%H:%M:%S} {method}: {fault}")


def _cancelled(run: str) -> End:
    reason = f"enough of {run}"
    return End(CANCELLED, {"message": f"no backup was made: {reason}"}, reason)
