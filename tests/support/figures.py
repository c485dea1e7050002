"""One line of print_runs_row for each fault, as docs/reliability.md shows them: `pytest -rP` prints them."""

from collections.abc import Sequence
from datetime import timedelta

from tests.support.callers import Call


def print_calls_row(
    fault: str, times: int, calls: Sequence[Call], *, recovery: float, lost: int = 0, doubled: int = 0
) -> None:
    """Print a row: fault, times done, calls involved, lost, doubled, longest time to recover."""
    print(f"\n| {fault} | {times} | {len(calls):,} | {lost} | {doubled} | {recovery:.1f} s |")  # noqa: T201  # shown by -rP


def print_input_row(kind: str, count: int, grown: int) -> None:
    """Print a row about input: its kind, its number, and the bytes by which the service's memory grew."""
    print(f"\n| {count:,} {kind} | {count:,} | 0 unanswered | grown by {grown / 2**20:.1f} MiB |")  # noqa: T201  # shown by -rP


def print_runs_row(fault: str, times: int, runs: int, lost: int, doubled: int, recovery: timedelta, test: str) -> None:
    """Print a row of measured print_runs_row (`pytest -rP` shows them)."""
    command = f"`make test ARGS='-rP tests/faults/{test}'`"
    seconds = f"{recovery.total_seconds():.1f} s"
    print(f"\n| {fault} | {times} | {runs} | {lost} | {doubled} | {seconds} | {command} |")  # noqa: T201  # shown by -rP
