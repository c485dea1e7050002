"""The tables that several benchmarks make together: goals beside what was measured, and the short table of README."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel

from backup_scheduler.contract.methods import LIST
from lab.bench import backups, burst, calls_tables, crash, growth, lists, questions
from lab.bench.callers import CALLS, OPERATIONS
from lab.bench.due_at_once import OURS
from lab.bench.figures import NOT_SHOWN, Spread, spread_text
from lab.bench.results import FOLDER, Result, Table

M = TypeVar("M", bound=BaseModel)

Rounds = Mapping[str, Sequence[float]]
"""Figures with a name, each of several rounds."""

_ADDED = 1.15
_TIMES_AS_FAST = 3.0
_SLOWER = 1.2
_OVER = 1.0
"""Seconds."""
_ALL_JOBS = 8.0
"""Seconds, with the most jobs that are measured."""
_PAGE = 150.0
"""Milliseconds."""


def verdict(figures: Rounds, is_met: Callable[[float], bool]) -> str:
    """Say for which figures a goal is met, and in how many rounds."""
    met: dict[str, list[str]] = {}
    for name, values in figures.items():
        count = sum(map(is_met, values))
        which = "met" if values and count == len(values) else f"met in {count} of {len(values)} rounds"
        met.setdefault("not met" if values and not count else which if values else "not measured", []).append(name)
    if len(met) == 1:
        return next(iter(met))
    return "; ".join(f"{which}: {', '.join(names)}" for which, names in met.items())


def _row(goal: str, figures: Rounds, is_met: Callable[[float], bool], digits: int = 2) -> list[str]:
    shown = "; ".join(f"{name} {spread_text(values, digits)}".strip() for name, values in figures.items())
    return [goal, shown, verdict(figures, is_met)]


def of_calls(measured: calls_tables.Measured) -> list[list[str]]:
    """Return the goals of throughput and of a single call."""
    goal = calls_tables.GOAL
    to_sdk = {operation: [*measured.to_sdk(operation).values()] for operation in OPERATIONS}
    added = {call: [each.in_empty_calls for each in measured.singles if each.call == call] for call in CALLS}
    return [
        _row(
            f"with {measured.callers} callers at least {goal} of the bare SDK's throughput",
            to_sdk,
            lambda ratio: ratio >= goal,
        ),
        _row(f"one call adds at most {_ADDED} of an empty nameko call", added, lambda ratio: ratio <= _ADDED),
    ]


def of_bursts(measured: burst.Measured, killed: crash.Measured | None) -> list[list[str]]:
    """Return the goals of a burst, and of a kill -9 in one."""
    faster = {system: [*burst.against_ours(measured, system).values()] for system in burst.SYSTEMS[1:]}
    ours = {"in a burst": measured.of(OURS), "by kill -9": killed.of(OURS) if killed else []}
    lost = {name: [float(each.lost) for each in outcomes] for name, outcomes in ours.items()}
    counted = [
        f"{name} {sum(each.lost for each in outcomes)} of {sum(each.jobs for each in outcomes):,}"
        for name, outcomes in ours.items()
    ]
    return [
        _row(
            f"{burst.SIZE:,} jobs due at one moment: three times as fast as the peer",
            faster,
            lambda ratio: ratio >= _TIMES_AS_FAST,
        ),
        [
            "no run lost in a burst, nor by kill -9 in one",
            "; ".join(counted),
            verdict(lost, lambda number: number == 0),
        ],
    ]


def of_growth(measured: growth.Measured) -> list[list[str]]:
    """Return the goal of an installation that grows."""
    level = measured.levels()[-1]
    figures = {field: [*measured.against_few("ours", level, field).values()] for field in ("add", "get")}
    goal = f"add and get stay as fast ({_SLOWER} of {growth.FEW_JOBS} jobs) with {level:,} jobs"
    return [_row(goal, figures, lambda ratio: ratio <= _SLOWER)]


def of_lists(measured: lists.Measured) -> list[list[str]]:
    """Return the goals of the list of all jobs, and of a page."""

    def of(level: int, question: str) -> list[float]:
        return [*measured.medians(lists.OURS, level, question).values()]

    levels = measured.levels()
    most = levels[-1]
    pages = {
        f"{question.removeprefix(LIST).strip(', ')} of {level:,}": of(level, question)
        for question in (*questions.PAGES, questions.OVERDUE)
        for level in (levels if question == questions.FIRST_PAGE else [most])
    }
    return [
        _row(
            f"{most:,} jobs by get_jobs in at most {_ALL_JOBS:.0f} s",
            {"": [milliseconds / 1000 for milliseconds in of(most, questions.ALL)]},
            lambda seconds: seconds <= _ALL_JOBS,
            1,
        ),
        _row(
            f"a page of {lists.SIZES.jobs} by list_jobs in at most {_PAGE:.0f} ms, however many jobs there are",
            pages,
            lambda milliseconds: milliseconds <= _PAGE,
            0,
        ),
    ]


def of_backups(measured: backups.Measured) -> list[list[str]]:
    """Return the goal of a backup by restic."""
    seconds = {data: [*backups.over(measured, data).values()] for data in backups.DATA}
    goal = "a backup takes at most 1.05 of restic alone and a second: seconds over 1.05"
    return [_row(goal, seconds, lambda over: over <= _OVER)]


def beside_the_peer(measured: burst.Measured, killed: crash.Measured) -> Table:
    """Return what README shows: how long a burst takes, and what a kill -9 in the middle of one costs."""
    rows = []
    for system in burst.SYSTEMS:
        crashes = killed.of(system)
        lost = Spread.of(each.lost for each in crashes).text(0) if crashes else NOT_SHOWN
        rows.append([system, spread_text(measured.times(system).values(), 0), lost])
    return Table(
        name="beside-the-peer",
        title="Many jobs due at one moment, each takes the backup target a second",
        columns=["", f"{burst.SIZE:,} jobs: seconds", f"lost of {crash.SIZE} by kill -9 in the middle"],
        rows=rows,
    )


def tables(folder: Path = FOLDER) -> list[Table]:
    """Make the tables from the results of a folder; a benchmark without a result is left out."""
    calls, bursts = _read(folder, "calls", calls_tables.Measured), _read(folder, "burst", burst.Measured)
    killed, growing = _read(folder, "crash", crash.Measured), _read(folder, "growth", growth.Measured)
    restic, listed = _read(folder, "backups", backups.Measured), _read(folder, "lists", lists.Measured)
    rows = [
        *(of_calls(calls) if calls else []),
        *(of_bursts(bursts, killed) if bursts else []),
        *(of_growth(growing) if growing else []),
        *(of_lists(listed) if listed else []),
        *(of_backups(restic) if restic else []),
    ]
    goals = Table(name="goals", title="Goals", columns=["goal", "measured", ""], rows=rows, is_words=True)
    made = [goals] if rows else []
    return [*made, *([beside_the_peer(bursts, killed)] if bursts and killed else [])]


def _read(folder: Path, name: str, model: type[M]) -> M | None:
    file = folder / f"{name}.json"
    return model.model_validate(Result.model_validate_json(file.read_bytes()).measured) if file.exists() else None
