"""A caller that changes jobs of its own at random, one call after the other, and judges every answer."""

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from random import Random

from backup_scheduler.contract.methods import ADD, GET, MODIFY, PAUSE, REMOVE, RESUME, RUN
from lab.parts.answers import INDEFINITE, Terms
from lab.soak.job import Job, Trigger
from lab.soak.rpc import CallLog, Rpc
from lab.soak.trigger import Triggers

_JOBS = 8
"""Jobs of one caller that are there at a time."""

_TRIES = 10
"""Calls for one run, at most."""

_CHANGES = (GET, MODIFY, PAUSE, RESUME, REMOVE, ADD)
_WEIGHTS = (3, 4, 3, 3, 2, 1)


class Caller:
    """Calls at a steady rate. Calls for one job follow each other, so the right answer to each is known."""

    def __init__(
        self,
        name: str,
        random: Random,
        rpc: Rpc,
        log: CallLog,
        triggers: Triggers,
        disturbed: Callable[[float], bool],
        split: Callable[[float], bool],
    ) -> None:
        self.jobs: list[Job] = []
        self._name = name
        self._random = random
        self._rpc = rpc
        self._log = log
        self._triggers = triggers
        self._disturbed = disturbed
        self._split = split
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
        reply = await self._rpc.call(method, arguments)
        disturbed = self._disturbed(began)
        if not disturbed:
            self._log.note_undisturbed(reply)
        if method == REMOVE and (disturbed or reply is None or reply["code"] != 404):
            job.removals.append((began, time.time()))
        if self._split(began) and job.shows_the_past(method, reply):
            self._log.past += 1
            if method == REMOVE and reply is not None and reply["code"] == 200:
                job.possible = {None}  # only the description is of the past
            return False
        fault = job.judge(method, terms, reply, datetime.fromtimestamp(began, UTC), disturbed=disturbed)
        if fault:
            self._log.faults.append(f"{datetime.now(UTC):%H:%M:%S} {method} {job.scheduler_id}: {fault}")
            self._log.write(fault=fault, scheduler_id=job.scheduler_id)
        return reply is not None and reply["code"] == 200

    def terms(self, policy_name: str = "soak") -> Terms:
        """Return new terms; their window is hours away, so only triggers make runs."""
        self._revision += 1
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
        results = 0
        for _ in range(_TRIES):
            began = time.time()
            reply = await self._rpc.call(RUN, arguments)
            disturbed = self._disturbed(began)
            if not disturbed:
                self._log.note_undisturbed(reply)
            if reply is None or reply["code"] in INDEFINITE:
                continue
            trigger.confirmed |= reply["code"] == 200
            named = reply["code"] == 200 and reply["description"]["run_id"]
            if named != trigger.run and not self._split(began):
                self._log.faults.append(f"{datetime.now(UTC):%H:%M:%S} {RUN} {trigger.run}: {reply}")
            results += 1
            if results == 2:
                return
        # A call without an answer may be carried out yet, and start a run of the job that has the id then.
        job.retired |= not results

    def _new_job(self) -> Job:
        job = Job(f"soak-{self._name}-{len(self.jobs) + 1}")
        self.jobs.append(job)
        return job
