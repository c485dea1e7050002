"""Pages of jobs, for list_jobs: chosen by filters, each with what became of its last run."""

import asyncio
import reprlib
from collections.abc import Sequence, Set
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from temporalio.api.schedule.v1 import ScheduleListEntry
from temporalio.client import Client
from temporalio.service import RPCError

from backup_scheduler.contract.errors import BrokenJob, InvalidArguments
from backup_scheduler.jobs.cursor import Cursor
from backup_scheduler.jobs.filters import MOST_LISTED, JobFilter, ListJobs
from backup_scheduler.jobs.overview import JobOverview
from backup_scheduler.temporal.last_runs import outcomes_of
from backup_scheduler.temporal.lists import PAGE, answers_exactly, count_jobs, page_of_jobs, query_of
from rpc_service.gateway.faults import answering, lacks_search_attributes
from rpc_service.gateway.listing import Found, described, jobs_in, within

_TRIES: Final = 5
"""Most attempts to find a place again in a list that changes."""

_MARGIN: Final = 10


@dataclass(frozen=True)
class Page:
    """Some of the wanted jobs, in the order of Temporal's list."""

    jobs: list[JobOverview]
    count: int | None
    """How many jobs were wanted in all when the first page was read; None if only reading them all would tell."""
    next: str | None
    """The place of the next page; None after the last one."""


async def read_page(client: Client, wanted: ListJobs, lately: Set[str], now: datetime, seconds: float) -> Page:
    """Read a page of the wanted jobs.

    `lately` are the ids of the schedules that this process has changed so lately that the list may not show it: they
    are described. Those that are not where the page begins come first on the first page, and are left out later.
    Raises InvalidArguments, ListTimeout, and the errors of `answering` for a single request.
    """
    question = JobFilter(**wanted.given()).model_dump_json()
    place = Cursor() if wanted.after is None else Cursor.read(wanted.after, question)
    if place is None:
        rule = ListJobs.model_fields["after"].description
        raise InvalidArguments([f"after must be {rule}, not {reprlib.repr(wanted.after)}"])
    reader = _Reader(client, wanted, lately, now)
    async with within(seconds), asyncio.TaskGroup() as group:
        counting = group.create_task(_count(client, wanted)) if wanted.after is None else None
        jobs, rest = await reader.read(place)
    count = counting.result() if counting else place.count
    if counting and rest is None:
        count = len(jobs)
    return Page(jobs, count, replace(rest, count=count).text(question) if rest else None)


async def read_all(
    client: Client, wanted: JobFilter, lately: Set[str], now: datetime, seconds: float
) -> list[JobOverview]:
    """Read all wanted jobs, as `read_page` does."""
    reader = _Reader(client, ListJobs(**wanted.given(), limit=MOST_LISTED), lately, now)
    found: list[JobOverview] = []
    place: Cursor | None = Cursor()
    async with within(seconds):
        while place is not None:
            jobs, place = await reader.read(place)
            found += jobs
    return found


class _Reader:
    def __init__(self, client: Client, wanted: ListJobs, lately: Set[str], now: datetime) -> None:
        self._client = client
        self._wanted = wanted
        self._lately = lately
        self._now = now
        self._query = query_of(wanted)

    async def read(self, place: Cursor) -> tuple[list[JobOverview], Cursor | None]:
        """Read the wanted jobs from a place on, as many as a page has, and the place after them."""
        limit = self._wanted.limit
        size = limit if answers_exactly(self._wanted) else PAGE
        if place == Cursor() and self._lately:
            listed, _ = await self._listed(b"", size)
            there = {entry.schedule_id for entry in listed}
            place = Cursor.before_list([each for each in self._lately if each not in there])
        jobs: list[JobOverview] = []
        while place.owed and len(jobs) < limit:
            some, rest = place.owed[: limit - len(jobs)], place.owed[limit - len(jobs) :]
            jobs += (await self._fitting(await described(self._client, some), {})).values()
            place = replace(place, owed=rest)
        if place.owed:
            return jobs, place
        while True:
            listed, token = await self._listed(place.token, size)
            entries = {entry.schedule_id: entry for entry in listed if not place.leaves_out(entry.schedule_id)}
            found = await jobs_in(self._client, [*entries.values()], self._lately, self._now)
            fitting = await self._fitting(found, entries)
            room = limit - len(jobs)
            jobs += [*fitting.values()][:room]
            if len(fitting) > room:
                first_left = [each.schedule_id for each in listed].index([*fitting][room])
                return jobs, replace(place, token=await self._after(place.token, listed[:first_left]))
            if not token:
                return jobs, None
            place = replace(place, token=token)
            if len(jobs) == limit:
                return jobs, place

    async def _listed(self, token: bytes, size: int) -> tuple[Sequence[ScheduleListEntry], bytes]:
        """Return the entries of Temporal's next answer, and its token."""
        try:
            async with answering(self._client):
                page = await page_of_jobs(self._client, self._query, token, size)
        except RPCError as error:
            if lacks_search_attributes(error):
                return [], b""
            raise
        return page.schedules, page.next_page_token

    async def _after(self, token: bytes, entries: Sequence[ScheduleListEntry]) -> bytes:
        """Return the token of the place after some entries that come after a token.

        A token is that of the last entry of an answer, so the same entries are asked for again.
        """
        size, after = len(entries), token
        for _ in range(_TRIES):
            if not size:
                break
            again, after = await self._listed(token, size)
            ids = [entry.schedule_id for entry in again]
            last = entries[-1].schedule_id
            if ids and ids[-1] == last:
                break
            # Jobs came to the beginning of the list, or some were removed.
            size = ids.index(last) + 1 if last in ids else min(size + _MARGIN, PAGE)
        return after

    async def _fitting(self, found: dict[str, Found], entries: dict[str, ScheduleListEntry]) -> dict[str, JobOverview]:
        """Return those of the jobs that are wanted, by schedule id, with what became of their last runs."""
        overviews = {
            schedule_id: JobOverview.of_broken(job.scheduler_id, entries.get(schedule_id))
            if isinstance(job, BrokenJob)
            else JobOverview.of(job, self._now)
            for schedule_id, job in found.items()
        }
        last_runs = [each.last_run.run_id for each in overviews.values() if each.last_run]
        async with answering(self._client):
            outcomes = await outcomes_of(self._client, last_runs)
        complete = {
            schedule_id: each.with_outcome(outcomes.get(each.last_run.run_id)) if each.last_run else each
            for schedule_id, each in overviews.items()
        }
        return {each: job for each, job in complete.items() if job.fits(self._wanted, self._now)}


async def _count(client: Client, wanted: JobFilter) -> int | None:
    """Count the wanted jobs; None if Temporal cannot."""
    if not answers_exactly(wanted):
        return None
    try:
        async with answering(client):
            return await count_jobs(client, query_of(wanted))
    except RPCError as error:
        if not lacks_search_attributes(error):
            raise
        return 0
