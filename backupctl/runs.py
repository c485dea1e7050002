"""Commands about runs."""

import time
from contextlib import nullcontext
from typing import Annotated, Any, Final

import typer
from rich.live import Live
from rich.text import Text

from backup_scheduler.contract.methods import CANCEL_RUN, CHECK, GET_RUN, GET_RUNS, LIST, RUN
from backupctl import progress, views
from backupctl.app import Exit, Job, Json, Reason, app, ask, put_out, show
from backupctl.clock import Clock
from backupctl.service import LIST_TIMEOUT, CallFailed, Service

_OF_OUTCOME: Final = {
    "completed": Exit.DONE,
    "completed with warnings": Exit.PARTIAL,
    "cancelled": Exit.CANCELLED,
}
"""Every other end of a run is FAILED."""

_MOST_WATCHED: Final = 50
"""Runs that are looked at, each with a call of its own."""

_OF_A_PAGE: Final = 100
"""Runs that one call asks for where all are wanted; it is answered within seconds."""

RunArgument = Annotated[str, typer.Argument(metavar="RUN", help="The run_id of a run.")]


@app.command()
def run(
    context: typer.Context,
    job: Job,
    at: Annotated[
        str | None,
        typer.Option(
            metavar="MOMENT", help="Names the run, such as '2026-11-28 02:30:00': the same one never starts twice."
        ),
    ] = None,
    reason: Reason = None,
    wait: Annotated[bool, typer.Option(help="Show its progress until it ends.")] = True,
    as_json: Json = False,
) -> None:
    """Run a job now, and exit with the code of its outcome."""

    def work(service: Service) -> int:
        begun = service.call(RUN, scheduler_id=job, at=at, reason=reason)
        if wait:
            begun = progress.follow(service, begun, quiet=as_json)
        with views.read_or_not():
            put_out(service, begun, views.show_run, as_json=as_json)
        return _code_of(begun)

    ask(context, work)


@app.command()
def runs(
    context: typer.Context,
    job: Job,
    limit: Annotated[int | None, typer.Option(help="Show so many at most; by default 20.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Show all that Temporal still keeps.")] = False,
    before: Annotated[str | None, typer.Option(metavar="MOMENT", help="Only runs that started before it.")] = None,
    outcome: Annotated[str | None, typer.Option(help="Only runs with this outcome, such as failed.")] = None,
    as_json: Json = False,
) -> None:
    """List runs of a job, the last one first."""
    if every and limit is not None:
        raise typer.BadParameter("cannot be given beside --limit", param_hint="--all")

    def work(service: Service) -> int:
        wanted = {"scheduler_id": job, "outcome": outcome, "limit": _OF_A_PAGE if every else limit}
        page = service.call(GET_RUNS, **wanted, before=before)
        found = page["runs"]
        while every and page["next"]:
            page = service.call(GET_RUNS, **wanted, before=page["next"])
            found += page["runs"]
        put_out(service, page | {"runs": found}, views.show_runs, as_json=as_json)
        return Exit.DONE

    ask(context, work)


@app.command("show")
def show_one(context: typer.Context, run: RunArgument, as_json: Json = False) -> None:
    """Show a run: what it does or did, and why it failed."""
    show(context, GET_RUN, views.show_run, {"run_id": run}, as_json=as_json)


@app.command()
def cancel(context: typer.Context, run: RunArgument, reason: Reason = None, as_json: Json = False) -> None:
    """End a run without its backup."""
    show(context, CANCEL_RUN, views.show_run, {"run_id": run, "reason": reason}, as_json=as_json)


@app.command()
def watch(
    context: typer.Context,
    every: Annotated[float, typer.Option(metavar="SECONDS", min=0.1, help="Look so often.")] = 2,
    once: Annotated[bool, typer.Option("--once", help="Look once.")] = False,
    as_json: Json = False,
) -> None:
    """Show what runs now, until Ctrl-C."""

    def work(service: Service) -> int:
        screen = None
        if views.people.is_terminal and not (once or as_json):
            screen = Live(console=views.people, auto_refresh=False, screen=True)
        with screen or nullcontext():
            while True:
                try:
                    found, has_more = _running(service)
                    if as_json:
                        views.print_json(found)
                    else:
                        clock = Clock.of(service.call(CHECK, checks=False))
                        table = views.running(found, clock, has_more=has_more)
                        screen.update(table, refresh=True) if screen else views.people.print(table)
                except CallFailed as error:
                    if once or error.code not in progress.PASSING:
                        raise
                    screen.update(Text(str(error)), refresh=True) if screen else views.complain(str(error))
                if once:
                    return Exit.DONE
                time.sleep(every)

    ask(context, work, LIST_TIMEOUT)


def _running(service: Service) -> tuple[list[dict[str, Any]], bool]:
    """Return runs that go on, and whether there are more."""
    page = service.call(LIST, last_outcome="running", limit=_MOST_WATCHED)
    last = [service.call(GET_RUNS, scheduler_id=job["job_id"], limit=1)["runs"] for job in page["jobs"]]
    return [run for runs in last for run in runs if run["closed_at"] is None], page["next"] is not None


def _code_of(run: dict[str, Any]) -> Exit:
    if run["closed_at"] is None:
        return Exit.DONE  # nobody waited for its end
    return _OF_OUTCOME.get(run["outcome"], Exit.FAILED)
