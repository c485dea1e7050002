"""A caller that pauses and resumes jobs of its own together, and lists them."""

import asyncio
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from backup_scheduler.contract.methods import ADD, GET, LIST, MODIFY, PAUSE, PAUSE_ALL, RESUME, RESUME_ALL
from lab.parts.answers import JobState, Reply
from lab.soak.caller import Caller
from lab.soak.job import Job
from lab.soak.looks import as_job

_JOBS: Final = 3
"""Jobs whose ids begin alike."""

_PAGE: Final = 2

_REST: Final = 6.0
"""Seconds without a change of the jobs, after which lists have them as they are (docs/api.md#list_jobs)."""

_SHORT: Final = 20.0
"""Seconds from a pause to its end; in the last ten of them no job is paused any more."""

_ENDS_WITHIN: Final = 150
"""Seconds from the end of a pause until its jobs are resumed, a worker that is killed meanwhile included."""

_REASON: Final = "repair of the disk"


class TogetherCaller(Caller):
    """Has jobs whose ids begin alike; others take their places when what became of a call for one is not known."""

    _group = 0

    async def _step(self) -> None:
        jobs = [job for job in self.jobs if job.scheduler_id.startswith(self._prefix)]
        unsure = [job for job in jobs if not job.certain]
        if not jobs or any(job.retired or job.possible == {None} for job in jobs):
            self._group += 1
            for number in range(_JOBS):
                job = Job(f"{self._prefix}{number + 1}")
                self.jobs.append(job)
                await self.call(job, ADD, self.terms("soak"))
        elif unsure:
            await self.call(unsure[0], RESUME)
        elif self._log.succeeded[RESUME_ALL] and self._random.random() < 0.6:
            method = self._random.choice([PAUSE, RESUME, MODIFY, GET])
            await self.call(self._random.choice(jobs), method, self.terms("soak") if method == MODIFY else None)
        else:
            await self._together(jobs)

    @property
    def _prefix(self) -> str:
        return f"soak-{self._name}-{self._group}-"

    async def _together(self, jobs: list[Job]) -> None:
        rested = await self._rested(jobs)
        never = [method for method in (PAUSE_ALL, RESUME_ALL) if not self._log.succeeded[method]]
        method = never[0] if never else self._random.choice([PAUSE_ALL, PAUSE_ALL, RESUME_ALL])
        until = datetime.now(UTC) + timedelta(seconds=_SHORT)
        if method == RESUME_ALL or self._random.random() < 0.5:
            await self._switch(jobs, method, rested, until=None)
            return
        paused = await self._switch(jobs, method, rested, until)
        if self._random.random() < 0.5:
            # Its end comes later, and must not end another pause.
            await self._switch(jobs, RESUME_ALL, await self._rested(jobs), until=None)
            return
        for job in paused:
            await self._see_resumed(job, until)

    async def _rested(self, jobs: list[Job]) -> float:
        """Leave the jobs alone until lists have them as they are, and list them; return when the rest began."""
        began = time.time()
        await asyncio.sleep(_REST)
        await self._list(jobs, began)
        return began

    async def _switch(self, jobs: list[Job], method: str, rested: float, until: datetime | None) -> list[Job]:
        """Pause or resume the jobs, and judge the receipt; return the jobs that were certainly changed."""
        arguments: dict[str, Any] = {"filter": {"prefix": self._prefix}}
        if method == PAUSE_ALL:
            arguments |= {"reason": _REASON, "until": until and until.isoformat()}
        began = time.time()
        reply, _ = await self.ask(method, arguments)
        calm = not self._disturbed(rested)
        changed = []
        for job in jobs:
            before = job.known_state
            split = self._split(began)
            fault = job.judge_receipt(method, reply, calm=calm and not split)
            self._note(fault, method, job)
            if job.certain and job.known_state != before:
                changed.append(job)
        self._note(receipt_fault(reply, {job.scheduler_id for job in jobs}, until), method, jobs[0])
        return changed

    async def _see_resumed(self, job: Job, until: datetime) -> None:
        """See a job resumed by itself at the end of its pause."""
        [paused] = job.possible
        assert paused is not None  # noqa: S101  # it was changed
        await asyncio.sleep(max(0.0, (until - datetime.now(UTC)).total_seconds()))
        job.possible = {paused, JobState(paused.terms)}
        deadline = time.monotonic() + _ENDS_WITHIN
        while job.possible != {JobState(paused.terms)} and not job.retired:
            if time.monotonic() > deadline:
                self._note(f"is paused {_ENDS_WITHIN} s after {until}", PAUSE_ALL, job)
                return
            await asyncio.sleep(1)
            if await self.call(job, GET) and job.certain and job.known_state == paused:
                job.possible.add(JobState(paused.terms))

    async def _list(self, jobs: list[Job], rested: float) -> None:
        """List the jobs page by page, and judge what was listed."""
        arguments: dict[str, Any] = {"prefix": self._prefix, "limit": _PAGE}
        pages: list[Any] = []
        while True:
            reply, _ = await self.ask(LIST, arguments)
            if reply is None or reply["code"] in (503, 504):
                return
            if reply["code"] != 200:
                self._note(f"{reply}", LIST, jobs[0])
                return
            pages.append(reply["description"])
            if pages[-1]["next"] is None:
                break
            arguments["after"] = pages[-1]["next"]
        if not self._disturbed(rested):
            self._note(pages_fault(pages, jobs), LIST, jobs[0])


def pages_fault(pages: list[Any], jobs: list[Job]) -> str | None:
    """Return what is not true in the pages of a list of jobs that did not change lately."""
    counts = {page["count"] for page in pages}
    listed = {each["job_id"]: each for page in pages for each in page["jobs"]}
    number = sum(len(page["jobs"]) for page in pages)
    if counts != {len(jobs)} or number != len(jobs) or listed.keys() != {job.scheduler_id for job in jobs}:
        return f"{len(jobs)} jobs, but the count is {counts}, and these are listed: {pages}"
    for job in jobs:
        faults = [_listed_fault(job, state, listed[job.scheduler_id]) for state in job.possible if state]
        if all(faults):
            return f"{', '.join(map(str, faults))}: {listed[job.scheduler_id]}"
    return None


def _listed_fault(job: Job, state: JobState, listed: Mapping[str, Any]) -> str | None:
    wanted = {
        "days": state.terms.days,
        "paused": state.paused,
        "paused_by": (PAUSE_ALL if state.together else PAUSE) if state.paused else None,
        "paused_why": _REASON if state.together else None,
        "last_run": None,
        "last_outcome": None,
        "overdue": False,
    }
    if wrong := [name for name, value in wanted.items() if listed.get(name, "missing") != value]:
        return f"wrong {', '.join(wrong)}"
    if (listed["paused_since"] is None) == state.paused:
        return "wrong paused_since"
    return job.fault_of(state, as_job(listed))


def receipt_fault(reply: Reply | None, ids: set[str], until: datetime | None) -> str | None:
    """Return what is not true in the receipt of a pause or resumption, apart from where it has the jobs."""
    if reply is None or reply["code"] != 200:
        return None
    receipt = reply["description"]
    named = {*receipt["changed"], *receipt["already"], *receipt["left"], *receipt["failed"]}
    if named - ids:
        return f"names jobs that do not fit: {receipt}"
    if (receipt.get("timer") is not None) != bool(until and (receipt["changed"] or receipt["failed"])):
        return f"its timer is wrong: {receipt}"
    return None
