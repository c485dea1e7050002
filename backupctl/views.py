"""What people see: tables and sentences; and lines of JSON for scripts."""

import errno
import json
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from operator import itemgetter
from typing import Any, Final

from rich.box import SIMPLE
from rich.console import Console
from rich.filesize import decimal
from rich.markup import escape
from rich.table import Column, Table

from backup_scheduler.texts import clean
from backupctl.clock import Clock
from backupctl.tables import longest, put


class _Output(Console):
    def on_broken_pipe(self) -> None:  # rich would exit here, with its own code
        raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))


people: Final = _Output(highlight=False, emoji=False)
_errors: Final = Console(stderr=True, highlight=False, emoji=False, soft_wrap=True)

_STYLES: Final = {
    "completed": "green",
    "completed with warnings": "yellow",
    "running": "cyan",
    "waiting": "cyan",
    "cancelled": "magenta",
}
"""Every other outcome is red."""


def _style(outcome: str) -> str:
    return _STYLES.get(outcome, "red")


def complain(sentence: str) -> None:
    """Say why a command failed."""
    _errors.print(f"backupctl: {clean(sentence)}", style="red", markup=False)


@contextmanager
def read_or_not() -> Iterator[None]:
    """Go on where nobody reads the output any more: the exit code is still waited for."""
    try:
        yield
    except BrokenPipeError:
        leave_unread()


def leave_unread() -> None:
    """Let all further output go nowhere, also what Python still holds and writes at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def print_json(found: Any) -> None:
    """Print one object a line: an object of the service, or each of a list."""
    if isinstance(found, dict) and isinstance(found.get("runs"), list):
        found = found["runs"]
    for each in found if isinstance(found, list) else [found]:
        sys.stdout.write(f"{json.dumps(each, ensure_ascii=not _writes_all())}\n")
    sys.stdout.flush()  # an error is told here, and not where Python ends


def _writes_all() -> bool:
    return (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"


_TERMS: Final = frozenset({"policy_name", "start_time", "duration"})
"""Everything else among the kwargs of a job is passed on to the backup."""


def show_job(job: dict[str, Any], clock: Clock | None) -> None:
    """Show a job."""
    terms = job["kwargs"]
    more = [f"{name}={value}" for name, value in terms.items() if name not in _TERMS]
    _rows(
        [
            ("job", job["job_id"]),
            ("policy", terms["policy_name"]),
            ("window", _window(terms)),
            ("next run", _ahead(job["next_run_time"], clock) if job["next_run_time"] else "none: paused or removed"),
            ("grace time", job["misfire_grace_time"] and f"{job['misfire_grace_time']:,} s"),
            *(("passed on", pair) for pair in more),
        ]
    )


def show_jobs(jobs: Iterable[dict[str, Any]], clock: Clock | None) -> None:
    """Show a table of jobs, as list_jobs describes them."""
    jobs = list(jobs)
    ids = Column("job", overflow="fold", min_width=longest(job["job_id"] for job in jobs))
    table = Table(ids, "policy", "window", "next run", "last run", box=SIMPLE, pad_edge=False)
    for job in jobs:
        terms = job["kwargs"]
        comes = _ahead(job["next_run_time"], clock)
        if job["paused"]:
            until = f" until {job['paused_until']}" if job["paused_until"] else ""
            comes = f"paused{until}: {job['paused_why']}" if job["paused_why"] else f"paused{until}"
            comes = f"{comes} ({job['paused_by']})" if job["paused_by"] else comes
        outcome = job["last_outcome"]
        last = f"[{_style(outcome)}]{_text(outcome)}[/]\n{_text(_ago(job['last_run'], clock))}" if outcome else "-"
        if job["overdue"]:
            last = f"[red]overdue[/]\n{last}"
        window = _window(terms) if job["days"] in (None, 1) else f"{_window(terms)}\nevery {job['days']} days"
        job_id, policy, comes = _texts(job["job_id"], terms["policy_name"] or "-", comes)
        table.add_row(job_id, policy, window, comes, last)
    put(table, people)


def show_receipt(receipt: dict[str, Any], clock: Clock | None) -> None:
    """Show what became of jobs that were meant at once."""
    names = {"changed": "changed", "already": "were so already", "left": "left as they are"}
    if receipt.get("dry_run"):
        names["changed"] = "would be changed"
    for key, name in names.items():
        people.print(f"{name}: {len(receipt[key])}  {', '.join(_texts(*receipt[key]))}".rstrip(), soft_wrap=True)
    for job, why in receipt["failed"].items():
        people.print(f"[red]failed[/]: {_text(job)}  {_text(why)}", soft_wrap=True)
    if receipt.get("timer"):
        people.print(f"They are resumed by the workflow {receipt['timer']}", markup=False)


def show_preview(preview: dict[str, Any], clock: Clock | None) -> None:
    """Show windows, and each clock change after the windows that open before it."""
    table = Table("opens", "closes", "starts", box=SIMPLE, pad_edge=False)
    rows = []
    for change in preview["clock_changes"]:
        shown = (f"[yellow]{change['at']}[/]", f"[yellow]clock: {change['from']} to {change['to']}[/]", "")
        rows.append((_without(change), shown))
    rows += [(each["opens"], (each["opens"], each["closes"], each["starts"] or "-")) for each in preview["windows"]]
    for _, row in sorted(rows, key=itemgetter(0)):  # of the same time, changes stay first
        table.add_row(*row)
    put(table, people)
    paused = "; the job is paused" if preview["paused"] else ""
    people.print(f"Times of {preview['timezone']}{paused}", markup=False)


def _without(change: dict[str, str]) -> str:
    """Return what the clock would show at a change of it without that change.

    What opens in an hour that is shown twice opens in the first, which is before the change, and earlier than this.
    """
    at, before = (datetime.fromisoformat(f"{change['at']}{change[offset]}") for offset in ("to", "from"))
    return str(at.astimezone(before.tzinfo).replace(tzinfo=None))


def show_run(run: dict[str, Any], clock: Clock | None) -> None:
    """Show a run."""
    answer = run["answer"]
    _rows(
        [
            ("run", run["run_id"]),
            ("job", run["job_id"]),
            ("policy", run["policy_name"]),
            ("outcome", run["outcome"]),
            ("message", run["message"]),
            ("started by", run["started_by"]),
            ("reason", run["reason"]),
            ("scheduled", run["scheduled_at"] and _ago(run["scheduled_at"], clock)),
            ("started", run["started_at"] and _ago(run["started_at"], clock)),
            ("ended", run["closed_at"] and _ago(run["closed_at"], clock)),
            ("took", _took(run, clock)),
            ("attempt", run["attempt"]),
            ("waits for", run["waits_for"]),
            ("progress", run["progress"] and _progress(run["progress"])),
            ("snapshot", run["snapshot_id"]),
            ("files", run["files"] is not None and f"{run['files']:,}"),
            ("size", run["bytes"] is not None and decimal(run["bytes"])),
            ("answer", answer and f"HTTP status {answer['status']}"),
        ],
        style=_style(run["outcome"]),
    )


def show_runs(page: dict[str, Any], clock: Clock | None) -> None:
    """Show a table of runs, each with what its caller or its end said below its id."""
    widest = longest(run["run_id"] for run in page["runs"])
    columns = (Column("run", overflow="fold", min_width=max(36, widest)), Column("outcome", max_width=13))
    table = Table(*columns, Column("started", min_width=16), Column("took", min_width=6), box=SIMPLE, pad_edge=False)
    for run in page["runs"]:
        style = _style(run["outcome"])
        said = [f"[dim]{_text(text)}[/]" for text in (run["reason"], run["message"]) if text]
        id_and_more = "\n".join([_text(run["run_id"]), *said])
        started = run["started_at"] and _ago(run["started_at"], clock, shown=16)  # without its seconds
        times = _texts(started or "-", _took(run, clock) or "-")
        table.add_row(id_and_more, f"[{style}]{_text(run['outcome'])}[/]", *times)
    put(table, people)
    if page["next"]:
        people.print(f"There are more: --all, or --before '{page['next']}'", markup=False)


def running(runs: Iterable[dict[str, Any]], clock: Clock, *, has_more: bool = False) -> Table:
    """Return a table of what runs at this moment; each step is below the id of its run, which names the job."""
    runs = list(runs)
    title = f"{'Runs' if runs else 'Nothing runs'} at {clock.now}"
    columns = (Column("run", overflow="fold"), Column("for", no_wrap=True))
    table = Table(*columns, box=SIMPLE, pad_edge=False, title=title, title_justify="left", min_width=len(title))
    table.caption = "More jobs run than are shown." if has_more else None
    for run in runs:
        step = _progress(run["progress"]) if run["progress"] else run["waits_for"] and f"waits for {run['waits_for']}"
        span = (run["started_at"] and clock.span(run["started_at"], clock.now)) or "-"
        run_id, step = _texts(run["run_id"], step or run["message"] or run["outcome"])
        table.add_row(f"{run_id}\n[dim]{step}[/]", span)
    return table


def _took(run: dict[str, Any], clock: Clock | None) -> str | None:
    """Return how long a run took, `-` if that is not known; None if it has not ended."""
    if run["closed_at"] is None:
        return None
    return (clock and clock.span(run["started_at"], run["closed_at"])) or "-"


def _ago(time: str | None, clock: Clock | None, shown: int = 19) -> str:
    return _beside(time and time[:shown], clock.ago(time) if clock and time else None)


def _ahead(time: str | None, clock: Clock | None) -> str:
    return _beside(time, clock.ahead(time) if clock and time else None)


def _beside(time: str | None, relative: str | None) -> str:
    return f"{time} ({relative})" if relative else time or "-"


_MARKS: Final = {"ok": "[green]ok[/]", "warning": "[yellow]look[/]", "fault": "[red]fault[/]"}


def show_checks(checks: Iterable[dict[str, Any]]) -> None:
    """Show what a check-up found."""
    table = Table("", "check", Column("found", overflow="fold", min_width=20), box=SIMPLE, pad_edge=False)
    for each in checks:
        check, found, todo = _texts(each["check"], each["found"], f"-> {each['todo']}" if each["todo"] else "")
        table.add_row(_MARKS[each["state"]], check, f"{found}\n{todo}" if todo else found)
    put(table, people)


def _rows(rows: Iterable[tuple[str, Any]], style: str = "") -> None:
    shown = [(name, value) for name, value in rows if value is not None and value is not False and value != ""]
    ids = longest(str(value) for name, value in shown if name in ("run", "job", "snapshot"))
    table = Table(
        Column(no_wrap=True), Column(overflow="fold", min_width=ids), box=None, show_header=False, pad_edge=False
    )
    for name, value in shown:
        table.add_row(*_texts(name, value), style=style if name == "outcome" else "")
    people.print(table, crop=False)


def _text(value: Any) -> str:
    """Return a text in which nothing is markup, nor a command to the terminal."""
    return escape(clean(str(value)))


def _texts(*values: Any) -> list[str]:
    return [_text(value) for value in values]


def _window(terms: dict[str, Any]) -> str:
    if terms["start_time"] is None:
        return "not known: the job is broken"
    return f"{terms['start_time']} + {terms['duration']} h" if terms["duration"] else str(terms["start_time"])


def _progress(now: dict[str, Any]) -> str:
    percent = now.get("percent")
    size = f"{decimal(now['bytes_done'])} of {decimal(now['bytes_total'])}" if now.get("bytes_total") else ""
    return ", ".join(part for part in (str(now["step"]), percent is not None and f"{percent:.0f} %", size) if part)
