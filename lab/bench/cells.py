"""Cells of a table of calls: one operation of one system in one round, as long as its figure needs."""

import uuid
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from itertools import count, cycle
from math import ceil

from lab.bench import figures
from lab.bench.calls_tables import Cell, Latencies
from lab.bench.supply import Least, Supply, Timing

Carry = Callable[[str, Supply, int], Timing]
"""Carries an operation out, as long as there is supply, for so many callers."""


@dataclass(frozen=True)
class Subject:
    """A system that is called."""

    name: str
    operations: tuple[str, ...]
    connect: Callable[[], AbstractContextManager[Carry]]
    prepare: Callable[[list[str]], object]
    """Makes jobs, without being measured."""
    surroundings: Callable[[], AbstractContextManager[None]] = nullcontext


class Cells:
    """Measures cells, and keeps their latencies until all rounds are over."""

    def __init__(self, least: Least, cpu: Callable[[], dict[str, float]], at_once: int) -> None:
        self._least = least
        self._cpu = cpu
        """Returns the CPU time that each part has used up to now, in seconds."""
        self._at_once = at_once
        self._taken: dict[tuple[str, str], list[float]] = {}

    def of(self, subject: Subject) -> Callable[[int], Iterator[Cell]]:
        """Return what measures a system in a round."""

        def measure(number: int) -> Iterator[Cell]:
            with subject.connect() as carry, subject.surroundings():
                self._warm_up(subject, carry)
                ids: list[str] = []
                for operation in subject.operations:
                    yield self._cell(subject, carry, operation, ids, number)
                if ids:  # as many jobs are there for the next system
                    carry("remove", Supply(ids), self._at_once)

        return measure

    def _warm_up(self, subject: Subject, carry: Carry) -> None:
        """Carry each operation out once: the first calls of a connection, or after a pause, are slow."""
        warm_up = _new_id()
        for operation in subject.operations:
            carry(operation, Supply([warm_up]), 1)

    def _cell(self, subject: Subject, carry: Carry, operation: str, ids: list[str], number: int) -> Cell:
        timing, used = Timing(), dict.fromkeys(self._cpu(), 0.0)
        while not self._least.is_reached(timing.seconds, timing.operations):
            rest = self._least.after(timing)
            if not ids and operation == "remove":  # faster than what made them
                ids += [_new_id() for _ in range(self._at_once + _needed(timing, rest))]
                subject.prepare(ids)
            supply = Supply(_source(operation, ids), rest)
            before = self._cpu()
            timing += carry(operation, supply, self._at_once)
            for name, seconds in self._cpu().items():
                used[name] += round(seconds - before[name], 2)
            if operation == "add":
                ids += supply.taken
            if operation == "remove":
                del ids[: len(supply.taken)]
        self._taken.setdefault((subject.name, operation), []).extend(timing.latencies)
        return Cell(
            system=subject.name,
            operation=operation,
            round=number,
            seconds=round(timing.seconds, 3),
            operations=timing.operations,
            cpu_ms={name: round(seconds * 1000 / timing.operations, 3) for name, seconds in used.items()},
        )

    def latencies(self, system: str) -> list[Latencies]:
        """Return the percentiles of each operation, of all rounds together."""
        return [
            Latencies(
                operation=operation,
                samples=len(taken),
                **{f"p{share}": _milliseconds(taken, share / 100) for share in (50, 95, 99)},
            )
            for (name, operation), taken in self._taken.items()
            if name == system
        ]


def _source(operation: str, ids: list[str]) -> Iterable[str]:
    """Return the jobs of an operation: new ones, those that are left, or the same ones again and again."""
    if operation in ("add", "nothing"):
        return (_new_id() for _ in count())
    return list(ids) if operation == "remove" else cycle(list(ids))


def _needed(timing: Timing, rest: Least) -> int:
    """Estimate how many operations are still needed, by the pace up to now, and a tenth more."""
    pace = timing.operations / timing.seconds if timing.seconds else 0.0
    return ceil(1.1 * max(rest.operations, rest.seconds * pace))


def _new_id() -> str:
    return f"call-{uuid.uuid4().hex}"


def _milliseconds(taken: Collection[float], share: float) -> float | None:
    seconds = figures.percentile_or_none(list(taken), share)
    return None if seconds is None else round(seconds * 1000, 2)
