"""Lists of jobs, and of the runs of a job, with 100 to 10,000 of them: by RPC, and Temporal's own through the SDK."""

import asyncio
import tempfile
import time
from collections.abc import Callable, Collection, Iterator
from functools import partial
from itertools import product
from pathlib import Path
from statistics import median
from typing import Any

from pydantic import BaseModel
from temporalio.client import Client

from backup_scheduler.jobs.names import schedule_id
from devstack.running import StackInfo
from lab.bench import charts, figures, jobs, ours, questions
from lab.bench.callers import RpcCallers, rpc_callers
from lab.bench.figures import NOT_SHOWN, percentile_or_none, spread_text
from lab.bench.growth import list_all
from lab.bench.many_runs import ManyRuns
from lab.bench.plan import Plan
from lab.bench.processes import family
from lab.bench.questions import Question, Sizes
from lab.bench.results import Table
from lab.bench.target import target
from lab.bench.turns import System, in_turns, no_processes
from lab.parts.waiting import eventually

OURS, SDK = "ours", "bare SDK"
LEVELS = (100, 1_000, 10_000)
"""Jobs, and as many runs of one of them."""
SIZES = Sizes(jobs=100, runs=20)
REAL_RUNS = 100
"""Runs that the worker makes; the others are copies of one of them."""
_CALLS = 70
_SECONDS = 10.0
"""Calls of a round: so many, or as many as fit into that time, and at least one."""
_RUNNING_JOB = "with-many-runs"
_PREFIX = "job-000"
_PATIENCE = 300
_DRAWN = (questions.ALL, questions.OVERDUE, questions.FIRST_PAGE, questions.LATER_PAGE, questions.FIRST_RUNS)


class Sample(BaseModel):
    """The answers to a question in one round."""

    system: str
    level: int
    """Jobs, and runs of one of them."""
    question: str
    round: int
    calls: int
    median: float
    """Milliseconds."""


class Slowest(BaseModel):
    """The 95th percentile of all rounds, in milliseconds; None if there were too few calls for it."""

    system: str
    level: int
    question: str
    p95: float | None


class Measured(BaseModel):
    """All levels, in the order in which they were measured."""

    samples: list[Sample] = []
    slowest: list[Slowest] = []

    def medians(self, system: str, level: int, question: str) -> dict[int, float]:
        """Return the milliseconds of each round."""
        wanted = (system, level, question)
        found = [each for each in self.samples if (each.system, each.level, each.question) == wanted]
        return figures.by_round(found, lambda each: each.round, lambda each: each.median)

    def p95(self, system: str, level: int, question: str) -> float | None:
        """Return the milliseconds that one call of twenty exceeds."""
        wanted = (system, level, question)
        return next((each.p95 for each in self.slowest if (each.system, each.level, each.question) == wanted), None)

    def levels(self) -> list[int]:
        """Return the levels that were measured."""
        return sorted({each.level for each in self.samples})


def measure(plan: Plan) -> Measured:
    """Let one installation grow, and ask it and Temporal in turns."""
    levels = (5, 10) if plan.tiny else [level for level in LEVELS if level <= plan.most_listed]
    measured = Measured()
    with (
        tempfile.TemporaryDirectory(prefix="bench-lists-") as name,
        target(0) as goal,
        ours.ours(Path(name), goal.url) as stack,
        asyncio.Runner() as runner,
    ):
        growing = _Growing(plan, runner, runner.run(ours.connected(stack)), stack)
        for level in levels:
            asked = growing.to(level)
            taken: dict[tuple[str, str], list[float]] = {}
            measured.samples += in_turns(plan, growing.systems(level, asked, taken))
            for (system, question), seconds in taken.items():
                p95 = percentile_or_none(seconds, 0.95)
                found = p95 and round(p95 * 1000, 1)
                measured.slowest.append(Slowest(system=system, level=level, question=question, p95=found))
    return measured


class _Growing:
    def __init__(self, plan: Plan, runner: asyncio.Runner, client: Client, stack: StackInfo) -> None:
        self._plan = plan
        self._runner = runner
        self._client = client
        self._stack = stack
        self._sizes = Sizes(jobs=plan.size(SIZES.jobs, 3), runs=plan.size(SIZES.runs, 2))
        self._runs = ManyRuns(client, _RUNNING_JOB)
        self._made: list[str] = []
        self._have_run = {_RUNNING_JOB}

    def to(self, level: int) -> list[Question]:
        """Make jobs, and runs of one of them, until there are so many; return the questions for them."""
        new = [_RUNNING_JOB, *(f"job-{number:05}" for number in range(level - 1))][len(self._made) :]
        self._runner.run(jobs.create_all(self._client, [jobs.alignment(each) for each in new]))
        self._made += new
        with rpc_callers(self._stack.amqp_uri, 1, _PATIENCE) as callers:
            list_all(callers, "scheduler", level, _PATIENCE)
            self._runs.run(callers, min(level, self._plan.size(REAL_RUNS, 3)))
            self._runner.run(self._runs.all_ended())
            self._runner.run(self._runs.copy(level))
            place = questions.middle(callers, self._runner, self._client, _RUNNING_JOB, level)
            _, [run, *_] = questions.runs_of(self._sizes.runs, _RUNNING_JOB, place.runs)(callers)
            of_jobs = questions.of_jobs(self._sizes, level, place, _PREFIX)
            for question in of_jobs:
                if question.name in questions.PAGES:
                    self._let_run(question, callers)
        return [*of_jobs, *questions.of_runs(self._sizes, _RUNNING_JOB, place, run["run_id"])]

    def _let_run(self, question: Question, callers: RpcCallers) -> None:
        """Run each job of a page once: what became of last runs is a request of its own."""

        def listed() -> list[dict[str, Any]]:
            return [*question.by_rpc(callers)[1]]

        new = {each["job_id"] for each in listed()} - self._have_run
        for scheduler_id in new:
            self._runner.run(self._client.get_schedule_handle(schedule_id(scheduler_id)).trigger())
        self._have_run |= new
        eventually(lambda: all(each["last_outcome"] == "completed" for each in listed()), _PATIENCE)

    def systems(
        self, level: int, asked: list[Question], taken: dict[tuple[str, str], list[float]]
    ) -> list[System[Sample]]:
        """Return both systems, which answer all questions in each of their turns; `taken` gets the seconds of each."""

        def samples(system: str, number: int, ask: Callable[[Question], float]) -> Iterator[Sample]:
            ask(asked[0])  # the first calls of a connection, or after a pause, are slow
            for question in asked:
                seconds = self._calls(partial(ask, question))
                taken.setdefault((system, question.name), []).extend(seconds)
                yield Sample(
                    system=system,
                    level=level,
                    question=question.name,
                    round=number,
                    calls=len(seconds),
                    median=round(median(seconds) * 1000, 2),
                )

        def by_rpc(number: int) -> Iterator[Sample]:
            with rpc_callers(self._stack.amqp_uri, 1, _PATIENCE) as callers:
                yield from samples(OURS, number, lambda question: ask_by_rpc(question, callers))

        def by_sdk(number: int) -> Iterator[Sample]:
            yield from samples(SDK, number, self._ask_by_sdk)

        return [
            System(OURS, by_rpc, processes=lambda: family(self._stack.pids["rpc"])),
            System(SDK, by_sdk, no_processes),
        ]

    def _ask_by_sdk(self, question: Question) -> float:
        began = time.perf_counter()
        self._runner.run(_finished(question, self._client))
        return time.perf_counter() - began

    def _calls(self, ask: Callable[[], float]) -> list[float]:
        most, began = self._plan.size(_CALLS, 2), time.perf_counter()
        taken = [ask()]
        while len(taken) < most and time.perf_counter() - began < _SECONDS:
            taken.append(ask())
        return taken


def ask_by_rpc(question: Question, callers: RpcCallers) -> float:
    """Ask a question; return the seconds. Raises RuntimeError if the answer lacks entries, or has others."""
    seconds, entries = question.by_rpc(callers)
    if len(entries) != question.entries:
        raise RuntimeError(f"{question.name}: {len(entries)} entries instead of {question.entries}")
    return seconds


async def _finished(question: Question, client: Client) -> None:
    await question.by_sdk(client)


def tables(measured: Measured) -> list[Table]:
    """One table for jobs, and one for the runs of a job."""
    return [
        _table(measured, "lists", "Lists of jobs, a page has 100: ms with one caller", questions.OF_JOBS, "jobs"),
        _table(measured, "lists-runs", "Runs of one job, a page has 20: ms with one caller", questions.OF_RUNS, "runs"),
    ]


def _table(measured: Measured, name: str, title: str, asked: tuple[str, ...], entries: str) -> Table:
    rows = []
    for level, question in product(measured.levels(), asked):
        mine, sdk = (measured.medians(system, level, question) for system in (OURS, SDK))
        if mine:
            p95 = measured.p95(OURS, level, question)
            rows.append(
                [
                    f"{level:,}, {question}",
                    _milliseconds(mine.values()),
                    NOT_SHOWN if p95 is None else f"{p95:,.0f}",
                    _milliseconds(sdk.values()),
                    spread_text(figures.ratios(mine, sdk).values(), 2),
                ]
            )
    columns = [f"{entries}, call", "ours", "ours, p95", "through the SDK", "ours / SDK"]
    return Table(name=name, title=title, columns=columns, rows=rows)


def _milliseconds(rounds: Collection[float]) -> str:
    return spread_text(rounds, 0 if rounds and max(rounds) >= 100 else 1)


def draw(measured: Measured) -> dict[str, Any]:
    """Draw what each call of ours takes over the number of jobs or runs."""
    levels = measured.levels()
    series: dict[str, list[float | None]] = {}
    for question in _DRAWN:
        rounds = [list(measured.medians(OURS, level, question).values()) for level in levels]
        series[question] = [median(each) / 1000 if each else None for each in rounds]
    labels = [f"{level:,}" for level in levels]
    return {"lists": charts.growth("Time of a list", "seconds", labels, series, "jobs, or runs of one job")}
