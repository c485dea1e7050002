"""Command line: `python -m lab.cluster up`, which `make cluster` runs."""

import argparse
import os
import sys
from pathlib import Path

from devstack.signals import StopSignals


def main() -> int:
    """Run the cluster until Ctrl-C, and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m lab.cluster", description=__doc__)
    parser.add_argument("command", choices=["up"], help="run it until Ctrl-C")
    parser.add_argument(
        "--keep-alive", type=float, metavar="SECONDS", help="start services again after SECONDS, however often they die"
    )
    arguments = parser.parse_args()
    stop = StopSignals()  # before the slow imports
    from devstack.stack import up
    from lab.cluster.plan import FILE, plan

    state_dir = Path(os.environ.get("SCHEDULER_STATE_DIR") or ".state/cluster")
    return up(os.environ, state_dir, stop, keep_alive=arguments.keep_alive, file=FILE, plan=plan)


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # a client of Temporal can crash at exit (docs/temporal-facts.md#the-client-can-crash-at-exit)
