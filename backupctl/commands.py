"""All commands, each a call of the service (docs/backupctl.md)."""

import io
import os
import sys
from pathlib import Path

import typer

from backup_scheduler.contract.methods import CHECK
from backup_scheduler.texts import redact
from backupctl import jobs, runs, views
from backupctl.app import Exit, Json, app, ask, uri_of
from backupctl.service import Service

__all__ = ["app", "jobs", "main", "runs"]


@app.command()
def doctor(context: typer.Context, as_json: Json = False) -> None:
    """Check broker, service, Temporal and workers; say what to do. Exits with 1 for a fault, 3 for a warning."""
    uri = uri_of(context)

    def work(service: Service) -> int:
        found = service.call(CHECK)
        answers = {"check": "RPC service", "state": "ok", "found": f"answers, release {found['version']}", "todo": ""}
        checks = [{"check": "broker", "state": "ok", "found": redact(uri), "todo": ""}, answers, *found["checks"]]
        views.print_json(checks) if as_json else views.show_checks(checks, found)
        states = {each["state"] for each in checks}
        return Exit.FAILED if "fault" in states else Exit.PARTIAL if "warning" in states else Exit.DONE

    ask(context, work)


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
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python writes the rest of it at its end
        sys.exit(Exit.FAILED)
