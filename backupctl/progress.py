"""The progress of a run, live, until it ends."""

import time
from typing import Any, Final

from rich.progress import BarColumn, DownloadColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

from backup_scheduler.contract.methods import GET_RUN
from backup_scheduler.texts import clean
from backupctl import views
from backupctl.service import CallFailed, Service
from backupctl.views import people

_LOOKS_EVERY: Final = 0.5
"""Seconds."""

PASSING: Final = frozenset({503, 504})
"""Codes of a service whose Temporal is away for a while."""


def follow(service: Service, run: dict[str, Any], *, quiet: bool) -> dict[str, Any]:
    """Show the progress of a run until it has ended, and return it as it is then. Raises CallFailed.

    The run goes on if this ends before, and its id is told.
    """
    try:
        return _followed(service, run, quiet=quiet)
    except BaseException:
        views.complain(f"see what became of the run: backupctl show {run['run_id']}")
        raise


def _followed(service: Service, run: dict[str, Any], *, quiet: bool) -> dict[str, Any]:
    columns = (
        TextColumn("{task.description}", markup=False),
        *(BarColumn(), TaskProgressColumn(), DownloadColumn(), TimeElapsedColumn()),
    )
    with Progress(*columns, console=people, disable=quiet or not people.is_terminal, transient=True) as bar:
        task = bar.add_task(_step(run), total=None)
        said = ""
        while run["closed_at"] is None:
            now = run["progress"] or {}
            bar.update(task, description=_step(run), completed=now.get("bytes_done") or 0, total=now.get("bytes_total"))
            if not quiet and not people.is_terminal and _step(run) != said:
                said = _step(run)
                with views.read_or_not():
                    people.print(said, markup=False)
            time.sleep(_LOOKS_EVERY)
            try:
                run = service.call(GET_RUN, run_id=run["run_id"])
            except CallFailed as error:
                if error.code not in PASSING:
                    raise
    return run


def _step(run: dict[str, Any]) -> str:
    now = run["progress"] or {}
    # A backup that goes on at a backup service tells percent, and no bytes for the bar.
    percent = f" ({now['percent']:g} %)" if "percent" in now and "bytes_total" not in now else ""
    step = f"{now['step']}{percent}" if "step" in now else None
    if run["waits_for"]:
        return clean(": ".join(filter(None, [f"waits for {run['waits_for']}", step])))
    step = step or run["outcome"]
    return clean(f"attempt {run['attempt']}: {step}" if (run["attempt"] or 1) > 1 else str(step))
