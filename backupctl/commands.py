"""All commands, each a call of the service (docs/backupctl.md)."""

import io
import os
import sys
from pathlib import Path
from typing import Final

import typer

from backup_scheduler.contract.methods import CHECK
from backup_scheduler.texts import redact
from backupctl import jobs, runs, views
from backupctl.app import Exit, Json, app, uri_of
from backupctl.service import BrokerFailed, CallFailed, connected

__all__ = ["app", "jobs", "main", "runs"]

_BROKER_TODO: Final = (
    "see that RabbitMQ runs, and that AMQP_URI, or --broker, has its host, its port, and a user, a password and a "
    "virtual host that it knows"
)
_SERVICE_TODO: Final = (
    "see that backup-scheduler-rpc runs, with this broker and virtual host, and is of this release; its log says more"
)


@app.command()
def doctor(context: typer.Context, as_json: Json = False) -> None:
    """Check broker, service, Temporal and workers; say what to do. Exits with 1 for a fault, 3 for a warning."""
    checks = _checks(uri_of(context))
    views.print_json(checks) if as_json else views.show_checks(checks)
    states = {each["state"] for each in checks}
    raise typer.Exit(Exit.FAILED if "fault" in states else Exit.PARTIAL if "warning" in states else Exit.DONE)


def _checks(uri: str) -> list[dict[str, str]]:
    """Return what check_scheduler finds, behind what is found on the way to it."""
    there = _check("broker", redact(uri))
    try:
        with connected(uri) as service:
            found = service.call(CHECK)
    except BrokerFailed as error:
        return [_check("broker", str(error), _BROKER_TODO)]
    except CallFailed as error:
        return [there, _check("RPC service", str(error), _SERVICE_TODO)]
    answers = _check("RPC service", f"answers, release {found['version']}")
    return [there, answers, _check("time zone", f"{found['timezone']}: {found['now']}"), *found["checks"]]


def _check(name: str, found: str, todo: str = "") -> dict[str, str]:
    return {"check": name, "state": "fault" if todo else "ok", "found": found, "todo": todo}


def main() -> None:
    """Run the command line."""
    sys.stdout = sys.stdout or Path(os.devnull).open("w")  # noqa: SIM115  # the caller closed it; Python closes this
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # for a terminal that lacks a character
    try:
        app(prog_name="backupctl")
    except KeyboardInterrupt:
        sys.exit(Exit.CANCELLED)
    except OSError as error:  # such as a full disk; those of the broker are CallFailed
        views.complain(f"{error.filename or 'the output'} cannot be written: {error.strerror or error}")
        views.leave_unread()
        sys.exit(Exit.FAILED)
