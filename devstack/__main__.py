"""Command line: `python -m devstack up`, `demo` or `health SERVICE`."""

import argparse
import os
import sys
from pathlib import Path


def main() -> int:
    """Run a command and return its exit code. Imports come when they are needed, because health checks run often."""
    parser = argparse.ArgumentParser(prog="python -m devstack", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    running = commands.add_parser("up", help="run the services of temporal-dev.yml until Ctrl-C")
    running.add_argument(
        "--keep-alive", type=float, metavar="SECONDS", help="start services again after SECONDS, however often they die"
    )
    commands.add_parser("demo", help="make, run, restore and remove a real backup job")
    health = commands.add_parser("health", help="exit with 0 when a service is healthy")
    health.add_argument("service", choices=["rpc", "worker"])
    arguments = parser.parse_args()
    if arguments.command == "up":
        from devstack.signals import StopSignals

        stop = StopSignals()  # before the slow imports
        from devstack.stack import up

        state_dir = Path(os.environ.get("SCHEDULER_STATE_DIR") or ".state")
        return up(os.environ, state_dir, stop, keep_alive=arguments.keep_alive)
    if arguments.command == "demo":
        from devstack.demo import main as demo

        return demo()
    from devstack.health import check

    fault = check(arguments.service)
    if fault:
        print(fault)  # noqa: T201  # a command line answers on its output
    return 1 if fault else 0


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # a client of Temporal can crash at exit (docs/temporal-facts.md#the-client-can-crash-at-exit)
