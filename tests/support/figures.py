"""Rows of docs/reliability.md, one for each fault: `pytest -rP` prints them."""

from collections.abc import Sequence
from datetime import timedelta

from tests.support.callers import Call
from tests.support.counts import Counted


def print_calls_row(fault: str, times: int, calls: Sequence[Call], counted: Counted, *, recovery: float) -> None:
    """Print a row: fault, times done, calls involved, lost, doubled, longest time to recover."""
    print(f"\n| {fault} | {times} | {len(calls):,} | {cells(counted)} | {recovery:.1f} s |")  # noqa: T201  # shown by -rP


def print_input_row(kind: str, count: int, unanswered: int | None, grown: int) -> None:
    """Print a row about input: its kind, its number, how many were not answered, and the growth of memory in bytes."""
    lost = "-" if unanswered is None else f"{unanswered} unanswered"
    print(f"\n| {kind} | {count:,} | {lost} | - | memory grew by {grown / 2**20:.1f} MiB |")  # noqa: T201  # shown by -rP


def print_runs_row(fault: str, times: int, runs: int, counted: Counted, recovery: timedelta, test: str) -> None:
    """Print a row: fault, times done, runs involved, lost, doubled, longest time to recover, command."""
    command = f"`make test ARGS='-rP tests/faults/{test}'`"
    seconds = f"{recovery.total_seconds():.1f} s"
    print(f"\n| {fault} | {times} | {runs} | {cells(counted)} | {seconds} | {command} |")  # noqa: T201  # shown by -rP


def cells(counted: Counted) -> str:
    """Return the cells `lost` and `doubled` of a row; what nobody counted is a dash."""
    return " | ".join("-" if number is None else str(number) for number in (counted.lost, counted.doubled))
