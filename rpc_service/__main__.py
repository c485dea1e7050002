"""`python -m rpc_service`: the service alone, configured from the environment."""

import os
import sys

import eventlet

eventlet.monkey_patch()

from nameko.cli.run import run

from backup_scheduler import settings
from backup_scheduler.errors import ConfigurationError
from rpc_service.service import SchedulerService


def main() -> str | None:
    """Serve until SIGTERM or Ctrl-C, calls in flight are answered first; returns what is wrong with the settings."""
    try:
        current = settings.load()
    except ConfigurationError as error:
        return str(error)
    amqp_uri = os.environ.get("AMQP_URI") or "amqp://guest:guest@localhost:5672"
    run([SchedulerService], {"AMQP_URI": amqp_uri, "max_workers": current.rpc_workers})
    return None


if __name__ == "__main__":
    sys.exit(main())
