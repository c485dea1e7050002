"""A caller that changes jobs of its own at random, one call after the other, and judges every answer."""

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from backup_scheduler.contract.methods import (
    ADD,
    CHECK,
    GET,
    GET_RUN,
    GET_RUNS,
    MODIFY,
    PAUSE,
    PREVIEW,
    REMOVE,
    REPORT,
    RESUME,
    RUN,
)
from lab.parts.answers import INDEFINITE, Reply, Terms
from lab.soak import looks
from lab.soak.job import Job, Trigger
from lab.soak.rpc import CallLog, Rpc
from lab.soak.target import LATER
from lab.soak.trigger import Triggers

_JOBS = 8
"""Jobs of one caller that are there at a time."""

_TRIES = 10
"""Calls for one run, at most."""

_CHANGES = (GET, MODIFY, PAUSE, RESUME, REMOVE, ADD)
_WEIGHTS = (3, 4, 3, 3, 2, 1)

_POLICIES = ("soak", "soak", "soak", LATER)

_LOOKS = (GET_RUN, GET_RUNS, PREVIEW, CHECK)

_INDEXED = 15.0
"""Seconds after which lists of runs have a run; they lag by a second or two (docs/temporal-facts.md#lists-lag)."""


class Caller:
    """Calls at a steady rate. Calls for one job follow each other, so the right answer to each is known."""

    def __init__(
        self,
        name: str,
        random: Random,
        rpc: Rpc,
        log: CallLog,
        disturbed: Callable[[float], bool],
        split: Callable[[float], bool],
        triggers: Triggers,
        ends: looks.Ends,
    ) -> None:
        self.jobs: list[Job] = []
        self._name = name
        self._random = random
        self._rpc = rpc
        self._log = log
        self._triggers = triggers
        self._disturbed = disturbed
        self._split = split
        self._ends = ends
        self._revision = 0

    async def work(self, stop: asyncio.Event, pause: float) -> None:
        """Call until `stop` is set, every `pause` seconds where answers come as fast."""
        while not stop.is_set():
            began = time.monotonic()
            await self._step()
            await asyncio.sleep(max(0.0, pause - (time.monotonic() - began)))
        await self._rpc.close()

    async def call(self, job: Job, method: str, terms: Terms | None = None) -> bool:
        """Make a call and judge its answer; return whether it succeeded."""
        arguments = {"scheduler_id": job.scheduler_id, **(terms.arguments() if terms else {})}
        began = time.time()
        reply, disturbed = await self.ask(method, arguments)
        if method == REMOVE and (disturbed or reply is None or reply["code"] != 404):
            job.removals.append((began, time.time()))
        if self._split(began) and job.shows_the_past(method, reply):
            self._log.past += 1
            if method == REMOVE and reply is not None and reply["code"] == 200:
                job.possible = {None}  # only the description is of the past
            return False
        fault = job.judge(method, terms, reply, datetime.fromtimestamp(began, UTC), disturbed=disturbed)
        self._note(fault, method, job)
        return reply is not None and reply["code"] == 200

    async def ask(self, method: str, arguments: dict[str, Any]) -> tuple[Reply | None, bool]:
        """Make a call; return its answer, and whether a part was in trouble meanwhile."""
        began = time.time()
        reply = await self._rpc.call(method, arguments)
        disturbed = self._disturbed(began)
        if not disturbed:
            self._log.note_undisturbed(reply)
        return reply, disturbed

    def _note(self, fault: str | None, method: str, job: Job) -> None:
        if fault:
            self._log.faults.append(f"{datetime.now(UTC):%H:%M:%S} {method} {job.scheduler_id}: {fault}")
            self._log.write(fault=fault, scheduler_id=job.scheduler_id)

    def terms(self, policy_name: str = "") -> Terms:
        """Return new terms; their window is hours away, so only triggers make runs."""
        self._revision += 1
        policy_name = policy_name or self._random.choice(_POLICIES if self._log.succeeded[REPORT] else [LATER])
        start = datetime.now(UTC) + timedelta(minutes=self._random.randrange(180, 1080))
        return Terms(
            policy_name=policy_name,
            days=self._random.randint(1, 30),
            start_time=f"{start:%H:%M}",
            duration=self._random.choice([0, 0, 1, 2]),
            misfire_grace_time=self._random.randint(60, 86400),
            revision=self._revision,
        )

    async def _step(self) -> None:
        usable = [job for job in self.jobs if not job.retired]
        there = [job for job in usable if job.possible != {None}]
        if len(there) < _JOBS and self._random.random() < 0.4:
            removed = [job for job in usable if job.possible == {None}]
            is_readded = removed and self._random.random() < 0.5
            job = self._random.choice(removed) if is_readded else self._new_job()
            await self.call(job, ADD, self.terms())
        elif usable:
            # Mostly jobs that are there, or most answers would be 404.
            job = self._random.choice(there if there and self._random.random() < 0.9 else usable)
            if self._random.random() < 0.15:
                await self._look(job)
                return
            if not await self._triggers.settled(job):
                return  # a change could undo the trigger; the job's turn comes again
            # A trigger of a job that may be gone may have nothing to run.
            if job.known_state is not None and self._random.random() < 0.2:
                ask = self._run_job if self._random.random() < 0.5 else None
                await self._triggers.run(job, may_wait=False, ask=ask)
                return
            [method] = self._random.choices(_CHANGES, _WEIGHTS)
            await self.call(job, method, self.terms() if method in (ADD, MODIFY) else None)

    async def _run_job(self, job: Job, trigger: Trigger) -> None:
        """Ask for the run by RPC, again until there is a result, and then once more: that must start it once only."""
        arguments = {"scheduler_id": job.scheduler_id, "at": trigger.moment.isoformat()}
        trigger.by = RUN
        results = 0
        for _ in range(_TRIES):
            began = time.time()
            reply, _ = await self.ask(RUN, arguments)
            if reply is None or reply["code"] in INDEFINITE:
                continue
            trigger.confirmed |= reply["code"] == 200
            fault = looks.triggered_fault(job, trigger, reply["description"], self._ends)
            if not self._split(began):
                self._note(fault, RUN, job)
            results += 1
            if results == 2:
                return
        # A call without an answer may be carried out yet, and start a run of the job that has the id then.
        job.retired |= not results

    async def _look(self, job: Job) -> None:
        """Make a call that changes nothing, and judge its answer, unless it is of Temporal's nodes that are split."""
        began = time.time()
        never = [method for method in _LOOKS if not self._log.succeeded[method]]
        method = self._random.choice(never or _LOOKS)
        if method == GET_RUN:
            fault = await self._see_run(job)
        elif method == GET_RUNS:
            fault = await self._see_runs(job)
        elif method == PREVIEW:
            fault = await self._see_windows(job)
        else:
            reply, disturbed = await self.ask(CHECK, {})
            moments = [datetime.fromtimestamp(each, UTC) for each in (began, time.time())]
            fault = looks.check_fault(reply, *moments, calm=not disturbed) if reply else None
        if not self._split(began):
            self._note(fault, method, job)

    async def _see_run(self, job: Job) -> str | None:
        known = [trigger for trigger in job.triggers if trigger.shown]
        if not known:
            return None
        trigger = self._random.choice(known)
        reply, _ = await self.ask(GET_RUN, {"run_id": trigger.run})
        if reply is None or reply["code"] in INDEFINITE:
            return None
        return looks.triggered_fault(job, trigger, reply["description"], self._ends)

    async def _see_runs(self, job: Job) -> str | None:
        """List all runs of a job, page by page."""
        if not (job.possible == {None} or job.certain):
            return None
        began = time.time()
        arguments = {"scheduler_id": job.scheduler_id, "limit": self._random.choice([2, 5, 1000])}
        listed: list[Any] = []
        while True:
            reply, _ = await self.ask(GET_RUNS, arguments)
            if reply is None or reply["code"] in INDEFINITE:
                return None
            if reply["code"] == 404 and job.known_state is None:
                break
            if reply["code"] != 200:
                return f"{reply}"
            listed += reply["description"]["runs"]
            if reply["description"]["next"] is None:
                break
            arguments["before"] = reply["description"]["next"]
        calm = not self._disturbed(began - _INDEXED)
        missing_from = datetime.fromtimestamp(began - _INDEXED, UTC) if calm else None
        return looks.runs_fault(job, listed, self._ends, missing_from)

    async def _see_windows(self, job: Job) -> str | None:
        state = job.known_state if self._random.random() < 0.5 else None
        asked_at = job.asked_at[state.terms] if state else datetime.now(UTC)
        terms = state.terms if state else self.terms()
        named = {"scheduler_id": job.scheduler_id} if state else {}
        reply, _ = await self.ask(PREVIEW, {**terms.arguments(), "count": looks.WINDOWS, **named})
        if reply is None or (state and reply["code"] in INDEFINITE):
            return None
        return looks.preview_fault(reply, terms, asked_at, state)

    def _new_job(self) -> Job:
        job = Job(f"soak-{self._name}-{len(self.jobs) + 1}")
        self.jobs.append(job)
        return job
