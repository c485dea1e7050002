"""The commands, each a call of the service (docs/backupctl.md)."""

import sys
from collections.abc import Callable
from enum import IntEnum
from typing import Annotated, Any, Final

import typer

from backup_scheduler.contract.methods import (
    ADD,
    CANCEL_RUN,
    CHECK,
    GET,
    GET_ALL,
    GET_RUN,
    GET_RUNS,
    MODIFY,
    PAUSE,
    PREVIEW,
    REMOVE,
    RESUME,
    RUN,
)
from backup_scheduler.texts import redact
from backupctl import progress, views
from backupctl.service import LIST_TIMEOUT, TIMEOUT, CallFailed, Service, broker, connected

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode=None, help=__doc__)


class Exit(IntEnum):
    """Exit codes; those of a run are restic's."""

    DONE = 0
    FAILED = 1
    """The call was answered `fail`, no answer came, or the run made no backup."""
    MISUSED = 2
    PARTIAL = 3
    """The run made a backup, and there is a doubt."""
    CANCELLED = 130


_OF_OUTCOME: Final = {
    "completed": Exit.DONE,
    "completed with warnings": Exit.PARTIAL,
    "cancelled": Exit.CANCELLED,
}
"""Every other end of a run is FAILED."""

Job = Annotated[str, typer.Argument(metavar="JOB", help="The scheduler_id of a job.")]
RunArgument = Annotated[str, typer.Argument(metavar="RUN", help="The run_id of a run.")]
Reason = Annotated[str | None, typer.Option(help="Shown with it, also in the Web UI.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON object a line, for scripts.")]


@app.callback()
def _options(
    context: typer.Context,
    uri: Annotated[
        str | None, typer.Option("--broker", metavar="AMQP_URI", help="By default AMQP_URI, or a stack that runs here.")
    ] = None,
) -> None:
    context.obj = uri


def _ask(context: typer.Context, work: Callable[[Service], int], timeout: float = TIMEOUT) -> None:
    """Do some work with the service, and exit with its code."""
    try:
        with connected(broker(context.obj), timeout) as service:
            code = work(service)
    except CallFailed as error:
        views.complain(str(error))
        code = Exit.FAILED
    raise typer.Exit(code)


def _show(
    context: typer.Context, method: str, view: Callable[[Any, str], None], *, as_json: bool, **arguments: Any
) -> None:
    def work(service: Service) -> int:
        _print(service, service.call(method, **arguments), view, as_json=as_json)
        return Exit.DONE

    _ask(context, work, LIST_TIMEOUT if method == GET_ALL else TIMEOUT)


def _print(service: Service, found: Any, view: Callable[[Any, str], None], *, as_json: bool) -> None:
    if as_json:
        views.print_json(found)
    else:
        view(found, service.call(CHECK, checks=False)["now"])


def _terms(given: list[str]) -> dict[str, str]:
    """Read the url_kwargs, each as NAME=VALUE."""
    pairs = [each.partition("=") for each in given]
    if wrong := [name for name, sign, _ in pairs if not sign or not name]:
        raise typer.BadParameter(f"{', '.join(map(repr, wrong))}: must be NAME=VALUE")
    return {name: value for name, _, value in pairs}


Policy = Annotated[str, typer.Option("--policy", help="Name of the policy that says how the backup is made.")]
Days = Annotated[int, typer.Option(help="Runs every so many days.")]
Start = Annotated[str, typer.Option("--at", metavar="HH:MM", help="Beginning of the window, on the scheduler's clock.")]
Duration = Annotated[int, typer.Option("--window", metavar="HOURS", help="Length of the window.")]
Grace = Annotated[
    int | None, typer.Option("--grace", metavar="SECONDS", help="How far back missed runs are made up for.")
]
More = Annotated[list[str], typer.Argument(metavar="[NAME=VALUE]...", help="Passed on to the backup.")]


@app.command()
def add(
    context: typer.Context,
    job: Job,
    policy: Policy,
    start: Start,
    more: More = [],  # noqa: B006  # typer copies it
    days: Days = 1,
    window: Duration = 0,
    grace: Grace = None,
    as_json: Json = False,
) -> None:
    """Make a job."""
    _put(context, ADD, job, policy, start, more, days, window, grace, as_json=as_json)


@app.command()
def modify(
    context: typer.Context,
    job: Job,
    policy: Policy,
    start: Start,
    more: More = [],  # noqa: B006  # typer copies it
    days: Days = 1,
    window: Duration = 0,
    grace: Grace = None,
    as_json: Json = False,
) -> None:
    """Replace all terms of a job; a paused one stays paused."""
    _put(context, MODIFY, job, policy, start, more, days, window, grace, as_json=as_json)


def _put(
    context: typer.Context,
    method: str,
    job: str,
    policy: str,
    start: str,
    more: list[str],
    days: int,
    window: int,
    grace: int | None,
    *,
    as_json: bool,
) -> None:
    terms = {"policy_name": policy, "days": days, "start_time": start, "duration": window, "misfire_grace_time": grace}
    _show(context, method, views.show_job, as_json=as_json, scheduler_id=job, **terms, **_terms(more))


@app.command()
def pause(context: typer.Context, job: Job, as_json: Json = False) -> None:
    """Start no more runs of a job; runs under way go on."""
    _show(context, PAUSE, views.show_job, as_json=as_json, scheduler_id=job)


@app.command()
def resume(context: typer.Context, job: Job, as_json: Json = False) -> None:
    """Start runs of a paused job again."""
    _show(context, RESUME, views.show_job, as_json=as_json, scheduler_id=job)


@app.command()
def remove(context: typer.Context, job: Job, as_json: Json = False) -> None:
    """Remove a job; a backup under way is left to finish."""
    _show(context, REMOVE, views.show_job, as_json=as_json, scheduler_id=job)


@app.command()
def get(context: typer.Context, job: Job, as_json: Json = False) -> None:
    """Show a job."""
    _show(context, GET, views.show_job, as_json=as_json, scheduler_id=job)


@app.command("list")
def list_all(context: typer.Context, as_json: Json = False) -> None:
    """List all jobs."""
    _show(context, GET_ALL, views.show_jobs, as_json=as_json)


@app.command()
def preview(
    context: typer.Context,
    policy: Policy,
    start: Start,
    more: More = [],  # noqa: B006  # typer copies it
    days: Days = 1,
    window: Duration = 0,
    grace: Grace = None,
    job: Annotated[str | None, typer.Option(help="A scheduler_id, for the very moments of its runs.")] = None,
    count: Annotated[int, typer.Option(help="Show so many windows.")] = 10,
    as_json: Json = False,
) -> None:
    """Show the next windows of a job with these terms, and the clock changes among them; add nothing."""
    terms = {"policy_name": policy, "days": days, "start_time": start, "duration": window, "misfire_grace_time": grace}
    own = {"scheduler_id": job, "count": count}
    _show(context, PREVIEW, views.show_preview, as_json=as_json, **terms, **own, **_terms(more))


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
        _print(service, begun, views.show_run, as_json=as_json)
        return _code_of(begun)

    _ask(context, work)


@app.command()
def runs(
    context: typer.Context,
    job: Job,
    limit: Annotated[int, typer.Option(help="Show so many at most.")] = 20,
    before: Annotated[str | None, typer.Option(metavar="MOMENT", help="Only runs that started before it.")] = None,
    outcome: Annotated[str | None, typer.Option(help="Only runs with this outcome, such as failed.")] = None,
    as_json: Json = False,
) -> None:
    """List runs of a job, the last one first."""
    arguments = {"limit": limit, "before": before, "outcome": outcome}
    _show(context, GET_RUNS, views.show_runs, as_json=as_json, scheduler_id=job, **arguments)


@app.command()
def show(context: typer.Context, run: RunArgument, as_json: Json = False) -> None:
    """Show a run: what it does or did, and why it failed."""
    _show(context, GET_RUN, views.show_run, as_json=as_json, run_id=run)


@app.command()
def cancel(context: typer.Context, run: RunArgument, reason: Reason = None, as_json: Json = False) -> None:
    """End a run without its backup."""
    _show(context, CANCEL_RUN, views.show_run, as_json=as_json, run_id=run, reason=reason)


@app.command()
def doctor(context: typer.Context, as_json: Json = False) -> None:
    """Check broker, service, Temporal and workers; say what to do. Exits with 1 for a fault, 3 for a warning."""
    uri = broker(context.obj)

    def work(service: Service) -> int:
        found = service.call(CHECK)
        answers = {"check": "RPC service", "state": "ok", "found": f"answers, release {found['version']}", "todo": ""}
        checks = [{"check": "broker", "state": "ok", "found": redact(uri), "todo": ""}, answers, *found["checks"]]
        views.print_json(checks) if as_json else views.show_checks(checks, found)
        states = {each["state"] for each in checks}
        return Exit.FAILED if "fault" in states else Exit.PARTIAL if "warning" in states else Exit.DONE

    _ask(context, work)


def _code_of(run: dict[str, Any]) -> Exit:
    if run["closed_at"] is None:
        return Exit.DONE  # nobody waited for its end
    return _OF_OUTCOME.get(run["outcome"], Exit.FAILED)


def main() -> None:
    """Run the command line."""
    try:
        app(prog_name="backupctl")
    except KeyboardInterrupt:
        sys.exit(Exit.CANCELLED)
