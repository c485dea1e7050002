"""The figures as tables for people."""

from rich.console import Console
from rich.table import Table

from lab.soak.figures import Figures

_MOST = 20
"""Number of faults of one kind that are printed; the JSON file has all."""


def show(figures: Figures, console: Console) -> None:
    """Print the figures."""
    console.print(_parts(figures))
    console.print(_calls(figures))
    console.print(_tallies(figures))
    console.print(
        f"{figures.backup_requests} requests reached the backup target, {figures.repeated_requests} of them repeated a "
        f"backup under the same Idempotency-Key. The slowest run ended {figures.latest_run:.1f} s after it came due. "
        f"{figures.snapshots_restored} snapshots were restored and compared. Stale restic locks: {figures.stale_locks}."
    )
    faults = [f"untrue answer: {fault}" for fault in figures.calls.untrue[:_MOST]] + figures.complaints[:_MOST]
    for name, tally in figures.tallies.items():
        for kind, found in (("lost", tally.lost), ("doubled", tally.doubled), ("wrong", tally.wrong)):
            faults += [f"{name}, {kind}: {each}" for each in found[:_MOST]]
    for fault in faults:
        console.print(fault, style="bold red", markup=False)
    if figures.passed:
        console.print("Nothing was lost, nothing ran twice, every answer was true.", style="bold green")


def _parts(figures: Figures) -> Table:
    table = Table(
        "part", "kill -9", "SIGTERM", "longest to recover", "calls", "runs due", "ended by itself", title_justify="left"
    )
    table.title = f"Killed in {figures.seconds / 60:.1f} minutes, seed {figures.seed}"
    for name, part in figures.parts.items():
        longest = "-" if part.longest_recovery is None else f"{part.longest_recovery:.1f} s"
        table.add_row(
            name,
            str(part.killed),
            str(part.terminated),
            longest,
            *map(str, (part.calls, part.runs, part.ended_by_itself)),
        )
    return table


def _calls(figures: Figures) -> Table:
    calls = figures.calls
    table = Table("calls", "number", "slowest", title="RPC calls", title_justify="left")
    table.add_row("made", str(calls.made), "")
    table.add_row("of which changing", str(calls.changing), "")
    for code, number in sorted(calls.answered.items()):
        table.add_row(f"answered {code}", str(number), f"{calls.longest[code]:.1f} s")
    for error, number in sorted(calls.unanswered.items()):
        table.add_row(f"not answered ({error})", str(number), "")
    table.add_row("answer not true", str(len(calls.untrue)), "")
    return table


def _tallies(figures: Figures) -> Table:
    table = Table(
        "", "expected", "found", "either way", "lost", "doubled", "wrong", title="Audit", title_justify="left"
    )
    for name, tally in figures.tallies.items():
        numbers = (tally.expected, tally.found, tally.either, len(tally.lost), len(tally.doubled), len(tally.wrong))
        table.add_row(name, *map(str, numbers))
    return table
