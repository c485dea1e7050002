"""The figures as tables for people."""

from rich.console import Console
from rich.table import Column, Table

from lab.soak.figures import Figures

_MOST = 20
"""Number of faults of one kind that are printed; the JSON file has all."""


def show(figures: Figures, console: Console) -> None:
    """Print the figures."""
    console.print(_parts(figures))
    console.print(_calls(figures))
    console.print(_methods(figures))
    console.print(_tallies(figures))
    console.print(
        f"{figures.backup_requests} requests reached the backup target, {figures.repeated_requests} of them repeated a "
        f"backup under the same Idempotency-Key. The slowest run ended {figures.slowest_run:.1f} s after it came due "
        f"({figures.slowest_allowed:g} s allowed). {figures.snapshots_restored} snapshots were restored and compared. "
        f"Stale restic locks: {figures.stale_locks}."
    )
    for tally in figures.tallies.values():
        for each in tally.doubled_by_server:
            console.print(f"{each}: Temporal was killed or split as it started it, and started it again", markup=False)
    if figures.at_once_by_server:
        number = len(figures.at_once_by_server)
        console.print(f"{number} pairs of runs of one job went on at once: Temporal's nodes could not reach each other")
    for kind, faults in figures.faults.items():
        for fault in faults[:_MOST]:
            console.print(f"{kind}: {fault}" if kind else fault, style="bold red", markup=False)
        if len(faults) > _MOST:
            console.print(f"{kind}: {len(faults) - _MOST} more", style="bold red", markup=False)
    if figures.passed:
        console.print("Nothing was lost, nothing ran twice, every answer was true.", style="bold green")


def _parts(figures: Figures) -> Table:
    names = ("kill -9", "SIGTERM", "SIGSTOP", "cut off", "longest to recover", "calls", "runs due", "ended by itself")
    table = Table(Column("part", no_wrap=True), *names, title_justify="left")
    table.title = f"{len(figures.outages)} outages in {figures.seconds / 60:.1f} minutes, seed {figures.seed}"
    for name, part in figures.parts.items():
        longest = "-" if part.longest_recovery is None else f"{part.longest_recovery:.1f} s"
        table.add_row(
            name,
            *map(str, (part.killed, part.terminated, part.frozen, part.cut_off)),
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
    table.add_row("nothing killed or recovering", str(calls.undisturbed), "")
    table.add_row("of which without a result", str(calls.undisturbed_without_result), "")
    table.add_row("answer of the past", str(calls.past), "")
    table.add_row("answer not true", str(len(calls.untrue)), "")
    return table


def _methods(figures: Figures) -> Table:
    table = Table("method", "calls", "answered 200")
    for method, numbers in figures.calls.by_method.items():
        table.add_row(method, *map(str, numbers))
    return table


def _tallies(figures: Figures) -> Table:
    names = ("", "certain", "open", "of which there", "lost", "doubled", "doubled by a killed server", "wrong")
    table = Table(*names, title="Audit", title_justify="left")
    for name, tally in figures.tallies.items():
        faults = (len(tally.lost), len(tally.doubled), len(tally.doubled_by_server), len(tally.wrong))
        table.add_row(name, *map(str, (tally.certain, tally.open, tally.open_found, *faults)))
    return table
