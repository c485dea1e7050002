"""All commands, each a call of the service (docs/backupctl.md)."""

import sys

import typer

from backup_scheduler.contract.methods import CHECK
from backup_scheduler.texts import redact
from backupctl import jobs, runs, views
from backupctl.app import Exit, Json, app, ask
from backupctl.service import Service, broker

__all__ = ["app", "jobs", "main", "runs"]


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

    ask(context, work)


def main() -> None:
    """Run the command line."""
    try:
        app(prog_name="backupctl")
    except KeyboardInterrupt:
        sys.exit(Exit.CANCELLED)
