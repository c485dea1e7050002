"""`backup-scheduler-rpc` or `python -m rpc_service`: the service alone, configured from the environment."""

import os
import sys

import eventlet

eventlet.monkey_patch()

from nameko.cli.run import run

from backup_scheduler import masking
from backup_scheduler.contract.errors import ConfigurationError
from backup_scheduler.settings import load_settings
from rpc_service.service import SchedulerService


def main() -> int:
    """Serve until SIGTERM or Ctrl-C, then answer the calls in flight. Return the exit code: 2 for wrong settings."""
    masking.guard(os.environ)
    try:
        settings = load_settings()
    except ConfigurationError as error:
        print(f"rpc_service: {error}", file=sys.stderr)  # noqa: T201  # logs are not set up yet
        return 2
    run([SchedulerService], {"AMQP_URI": settings.amqp_uri.get_secret_value(), "max_workers": settings.rpc_workers})
    return 0


if __name__ == "__main__":
    sys.exit(main())
