"""The application, and what its commands share: options, calls, exit codes."""

from collections.abc import Callable
from enum import IntEnum
from typing import Annotated, Any

import typer

from backup_scheduler.contract.methods import CHECK, GET_ALL, LIST, PAUSE_ALL, RESUME_ALL
from backupctl import views
from backupctl.service import LIST_TIMEOUT, TIMEOUT, CallFailed, Service, broker, connected

_LONG = {GET_ALL, LIST, PAUSE_ALL, RESUME_ALL}
"""Methods about many jobs."""

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Jobs and runs of the backup scheduler.",
)


class Exit(IntEnum):
    """Exit codes; those of a run are restic's."""

    DONE = 0
    FAILED = 1
    """The call was answered `fail`, no answer came, or the run made no backup."""
    MISUSED = 2
    PARTIAL = 3
    """The run made a backup, and there is a doubt."""
    CANCELLED = 130


Job = Annotated[str, typer.Argument(metavar="JOB", help="The scheduler_id of a job.")]
Reason = Annotated[str | None, typer.Option(help="Shown with it, also in the Web UI.")]
Until = Annotated[str | None, typer.Option(metavar="MOMENT", help="Resume by itself then: '2026-11-30 06:00:00'.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON object a line, for scripts.")]


@app.callback()
def _options(
    context: typer.Context,
    uri: Annotated[
        str | None, typer.Option("--broker", metavar="AMQP_URI", help="By default AMQP_URI, or a stack that runs here.")
    ] = None,
) -> None:
    context.obj = uri


def ask(context: typer.Context, work: Callable[[Service], int], timeout: float = TIMEOUT) -> None:
    """Do some work with the service, and exit with its code."""
    try:
        with connected(broker(context.obj), timeout) as service:
            code = work(service)
    except CallFailed as error:
        views.complain(str(error))
        code = Exit.FAILED
    raise typer.Exit(code)


def show(
    context: typer.Context, method: str, view: Callable[[Any, str], None], *, as_json: bool, **arguments: Any
) -> None:
    """Call a method, show what it answers, and exit."""

    def work(service: Service) -> int:
        put_out(service, service.call(method, **arguments), view, as_json=as_json)
        return Exit.DONE

    ask(context, work, LIST_TIMEOUT if method in _LONG else TIMEOUT)


def put_out(service: Service, found: Any, view: Callable[[Any, str], None], *, as_json: bool) -> None:
    """Print what was found, for a script or for people; `view` is given the scheduler's clock, too."""
    if as_json:
        views.print_json(found)
    else:
        view(found, service.call(CHECK, checks=False)["now"])
