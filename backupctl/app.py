"""The application, and what its commands share: options, calls, exit codes."""

from collections.abc import Callable, Mapping
from enum import IntEnum
from typing import Annotated, Any

import typer

from backup_scheduler.broker_uri import fault_of
from backup_scheduler.contract.methods import CHECK, GET_ALL, LIST, PAUSE_ALL, RESUME_ALL
from backupctl import views
from backupctl.clock import Clock
from backupctl.service import BULK_TIMEOUT, LIST_TIMEOUT, TIMEOUT, CallFailed, Service, broker, connected

_TIMEOUTS = {GET_ALL: LIST_TIMEOUT, LIST: LIST_TIMEOUT, PAUSE_ALL: BULK_TIMEOUT, RESUME_ALL: BULK_TIMEOUT}
"""Of methods about many jobs."""

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
    """The call was answered `fail`, no answer came, a job was not changed, or the run made no backup."""
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


def uri_of(context: typer.Context) -> str:
    """Return the broker's URI. Raises BadParameter if it can be none."""
    uri = broker(context.obj)
    if fault := fault_of(uri):
        raise typer.BadParameter(fault, param_hint="AMQP_URI, or --broker,")
    return uri


def ask(context: typer.Context, work: Callable[[Service], int], timeout: float = TIMEOUT) -> None:
    """Do some work with the service, and exit with its code."""
    uri = uri_of(context)
    try:
        if timeout == BULK_TIMEOUT:  # nobody waits so long for a service that is not there
            with connected(uri) as service:
                service.call(CHECK, checks=False)
        with connected(uri, timeout) as service:
            code = work(service)
    except CallFailed as error:
        views.complain(str(error))
        code = Exit.FAILED
    raise typer.Exit(code)


def show(
    context: typer.Context,
    method: str,
    view: Callable[[Any, Clock | None], None],
    arguments: Mapping[str, Any],
    *,
    as_json: bool,
) -> None:
    """Call a method, show what it answers, and exit: with FAILED if that names jobs that failed."""

    def work(service: Service) -> int:
        found = service.call(method, **arguments)
        put_out(service, found, view, as_json=as_json)
        return Exit.FAILED if method in (PAUSE_ALL, RESUME_ALL) and found["failed"] else Exit.DONE

    ask(context, work, _TIMEOUTS.get(method, TIMEOUT))


def put_out(service: Service, found: Any, view: Callable[[Any, Clock | None], None], *, as_json: bool) -> None:
    """Print what was found, for a script or for people; `view` is given the scheduler's clock, too, if it is told.

    What was asked for is done by now: without the clock it is shown without `3 h ago`.
    """
    if as_json:
        views.print_json(found)
    else:
        view(found, service.clock())
