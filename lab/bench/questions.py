"""Questions for lists of jobs and of a job's runs: by RPC, and to Temporal's own lists through the SDK."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from temporalio.client import Client

from backup_scheduler.contract.methods import GET_ALL, GET_RUN, GET_RUNS, LIST, SERVICE
from backup_scheduler.jobs.filters import MOST_LISTED, JobFilter
from backup_scheduler.jobs.names import schedule_id
from backup_scheduler.temporal.lists import ALL_JOBS, query_of
from lab.bench.callers import RpcCallers

FIRST_PAGE = f"{LIST}, first page"
LATER_PAGE = f"{LIST}, page in the middle"
BY_PREFIX = f"{LIST} by prefix"
OVERDUE = f"{LIST}, overdue"
ALL = GET_ALL
PAGES = (FIRST_PAGE, LATER_PAGE, BY_PREFIX)
"""Pages that are full of jobs."""
OF_JOBS = (*PAGES, OVERDUE, ALL)
FIRST_RUNS = f"{GET_RUNS}, first page"
LATER_RUNS = f"{GET_RUNS}, page in the middle"
ONE_RUN = GET_RUN
OF_RUNS = (FIRST_RUNS, LATER_RUNS, ONE_RUN)

Answer = tuple[float, Sequence[Any]]
"""Seconds that it took, and the entries."""


@dataclass(frozen=True)
class Sizes:
    """Entries of a page of jobs, and of one of runs."""

    jobs: int
    runs: int


@dataclass(frozen=True)
class Question:
    """A question that has a list for its answer."""

    name: str
    by_rpc: Callable[[RpcCallers], Answer]
    by_sdk: Callable[[Client], Awaitable[Sequence[Any]]]
    entries: int
    """Of the right answer by RPC; an answer with another number of entries is not measured."""


@dataclass(frozen=True)
class Middle:
    """Places in the middle of lists."""

    jobs: str
    """As list_jobs names it."""
    schedules: bytes
    """As Temporal does."""
    runs: str
    """As get_job_runs names it."""


def middle(callers: RpcCallers, runner: asyncio.Runner, client: Client, job: str, level: int) -> Middle:
    """Find the places in the middle of a list of so many jobs, and of as many runs of a job."""
    after: str | None = None
    before: str | None = None
    for size in _steps(level // 2):
        after = callers.answer(SERVICE, LIST, limit=size, after=after)[1]["next"]
        before = callers.answer(SERVICE, GET_RUNS, scheduler_id=job, limit=size, before=before)[1]["next"]
    token = runner.run(_token(client, level // 2))
    if not (after and token and before):
        raise RuntimeError(f"a list ends before its middle: {after}, {token!r}, {before}")
    return Middle(after, token, before)


def of_jobs(sizes: Sizes, level: int, place: Middle, prefix: str) -> list[Question]:
    """Return the questions for jobs; a list of a single page has no other page to be asked for."""
    page = sizes.jobs
    later = Question(
        LATER_PAGE, _jobs(page, after=place.jobs), _schedules(page, place.schedules), min(page, level - level // 2)
    )
    return [
        Question(FIRST_PAGE, _jobs(page), _schedules(page), page),
        *([later] if level > page else []),
        Question(
            BY_PREFIX,
            _jobs(page, prefix=prefix),
            _schedules(page, query=query_of(JobFilter(prefix=prefix))),
            min(page, level - 1),
        ),
        # Temporal does not know which jobs are overdue: by the SDK, too, one reads all.
        Question(OVERDUE, _jobs(page, overdue=True), _all_schedules, 0),
        Question(ALL, lambda callers: callers.answer(SERVICE, GET_ALL), _all_schedules, level),
    ]


def of_runs(sizes: Sizes, job: str, place: Middle, run_id: str) -> list[Question]:
    """Return the questions for the runs of a job, and for one of them."""

    def one_run(callers: RpcCallers) -> Answer:
        seconds, described = callers.answer(SERVICE, GET_RUN, run_id=run_id)
        return seconds, [described]

    async def describe(client: Client) -> Sequence[Any]:
        return [await client.get_workflow_handle(run_id).describe()]

    return [
        Question(FIRST_RUNS, runs_of(sizes.runs, job), _workflows(sizes.runs, job), sizes.runs),
        Question(LATER_RUNS, runs_of(sizes.runs, job, place.runs), _workflows(sizes.runs, job, place.runs), sizes.runs),
        Question(ONE_RUN, one_run, describe, 1),
    ]


def _jobs(limit: int, **wanted: Any) -> Callable[[RpcCallers], Answer]:
    def ask(callers: RpcCallers) -> Answer:
        seconds, page = callers.answer(SERVICE, LIST, limit=limit, **wanted)
        return seconds, page["jobs"]

    return ask


def runs_of(limit: int, job: str, before: str | None = None) -> Callable[[RpcCallers], Answer]:
    """Return what asks for a page of the runs of a job."""

    def ask(callers: RpcCallers) -> Answer:
        seconds, page = callers.answer(SERVICE, GET_RUNS, scheduler_id=job, limit=limit, before=before)
        return seconds, page["runs"]

    return ask


def _schedules(
    size: int, token: bytes | None = None, query: str = ALL_JOBS
) -> Callable[[Client], Awaitable[Sequence[Any]]]:
    async def ask(client: Client) -> Sequence[Any]:
        found = await client.list_schedules(query, page_size=size, next_page_token=token)
        await found.fetch_next_page()
        return found.current_page or ()

    return ask


async def _all_schedules(client: Client) -> Sequence[Any]:
    return [each async for each in await client.list_schedules(ALL_JOBS)]


def _workflows(size: int, job: str, before: str | None = None) -> Callable[[Client], Awaitable[Sequence[Any]]]:
    query = f"TemporalScheduledById='{schedule_id(job)}'" + (f" AND StartTime < '{before}'" if before else "")

    async def ask(client: Client) -> Sequence[Any]:
        found = client.list_workflows(query, page_size=size)
        await found.fetch_next_page()
        return found.current_page or ()

    return ask


async def _token(client: Client, entries: int) -> bytes | None:
    """Return Temporal's token of the place after so many schedules."""
    found = await client.list_schedules(ALL_JOBS)
    for size in _steps(entries):
        await found.fetch_next_page(page_size=size)
    return found.next_page_token


def _steps(entries: int) -> Iterator[int]:
    """Return the sizes of the pages that have so many entries together."""
    for read in range(0, entries, MOST_LISTED):
        yield min(MOST_LISTED, entries - read)
