"""Command line: `python -m lab.soak`, which `make soak` runs."""

import argparse
import asyncio
import os
import signal
import sys
import time
from functools import partial
from itertools import islice
from pathlib import Path
from random import SystemRandom

from rich.console import Console

from devstack.errors import StackError
from lab.cluster import network
from lab.cluster.plan import HOSTS, SERVER, build
from lab.cluster.upgrade import EARLIER_SERVER
from lab.soak.faults import splits, steps, upgrades
from lab.soak.session import Plan, Soak
from lab.soak.sites import CLUSTER, CLUSTER_OF_MACHINES, DEVELOPMENT, Site
from lab.soak.table import show

_LONGEST = 150
"""Minutes; a window of a caller's job opens three hours ahead at the earliest."""

_MANY = 1000
"""Steps among which every fault is."""

_SLOWEST = 240.0
"""Seconds from when a run comes due to its end, at most: a lost worker is noticed after 30 s, and then the next attempt
of restic waits for 15 s; it may be handed to a worker that is cut off, or another fault may come meanwhile; and the
runs of a job wait for one another."""

_SLOWEST_IN_SPLIT = 600.0
"""The same where Temporal's nodes cannot reach each other: a server tries some steps of a run again after 3 minutes."""

_SLOWEST_UNDISTURBED = 30.0
"""The same without faults: a backup that was refused is tried again within seconds."""


def main() -> int:
    """Run a soak; returns 0 when it has found nothing wrong."""
    parser = argparse.ArgumentParser(prog="python -m lab.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10, help="how long to call and to make faults (default: 10)")
    parser.add_argument("--seed", type=int, help="repeats the calls and faults of another soak (default: a random one)")
    parser.add_argument("--cluster", action="store_true", help="on a cluster, as `make cluster` runs it")
    parser.add_argument("--every", type=float, default=20, help="seconds from one fault to the next (default: 20)")
    parser.add_argument("--faults", type=int, default=1_000_000, help="make no more than so many")
    parser.add_argument("--only", default="", help="only faults that have this in their names, which the soak prints")
    parser.add_argument("--callers", type=int, default=5, help="callers at once (default: 5)")
    parser.add_argument("--pause", type=float, default=0.5, help="seconds between two calls of a caller (default: 0.5)")
    parser.add_argument("--down", type=float, default=4, help="seconds before a killed part is started again (4)")
    parser.add_argument(
        "--upgrade-from",
        default="",
        metavar="REVISION",
        help="begin with Temporal 1.31 and this revision of the project, and upgrade each process; no other faults",
    )
    parser.add_argument(
        "--split", action="store_true", help="cut Temporal nodes off from each other, and no other faults"
    )
    parser.add_argument("--clock", type=float, default=0, help="seconds that the clock of one worker is ahead (0)")
    parser.add_argument("--slowness", type=float, default=1.5, help="seconds that most backups take at most (1.5)")
    parser.add_argument(
        "--slowest", type=float, help="seconds that a run may take from when it comes due (240, without faults 30)"
    )
    arguments = parser.parse_args()
    console = Console(highlight=False, emoji=False, soft_wrap=True)
    site = _cluster(console, upgrade=bool(arguments.upgrade_from)) if arguments.cluster else DEVELOPMENT
    if arguments.minutes > _LONGEST:
        parser.error(f"at most {_LONGEST} minutes: later the jobs of the callers would come due by themselves")
    if not any(arguments.only in str(step) for step in islice(steps(SystemRandom(), site), _MANY)):
        parser.error(f"no fault has {arguments.only!r} in its name")
    drill = upgrades(site) if arguments.upgrade_from else splits(site) if arguments.split else None
    if drill is not None:
        if not site.machines:
            parser.error("this drill needs --cluster and network namespaces")
        arguments.faults = len(drill)
    seed = SystemRandom().randrange(10_000) if arguments.seed is None else arguments.seed
    plan = Plan(
        site=site,
        steps=partial(steps, site=site) if drill is None else lambda _: iter(drill),
        seed=seed,
        seconds=60 * arguments.minutes,
        every=arguments.every,
        faults=arguments.faults,
        only=arguments.only,
        callers=arguments.callers,
        pause=arguments.pause,
        down=arguments.down,
        clock=arguments.clock,
        upgrade_from=arguments.upgrade_from,
        slowness=arguments.slowness,
        slowest=arguments.slowest or _slowest(arguments),
    )
    place = Path(os.environ.get("SCHEDULER_STATE_DIR") or ".state")
    folder = place.absolute() / "soak" / f"{time.strftime('%Y%m%d-%H%M%S')}-seed-{seed}"
    folder.mkdir(parents=True)
    console.print(f"SEED={seed} repeats the calls and faults of this soak. Logs and figures: {folder}", markup=False)
    return asyncio.run(_run(plan, folder, console))


def _slowest(arguments: argparse.Namespace) -> float:
    if arguments.split:
        return _SLOWEST_IN_SPLIT
    return _SLOWEST if arguments.faults else _SLOWEST_UNDISTURBED


def _cluster(console: Console, *, upgrade: bool) -> Site:
    """Return a cluster of machines where network namespaces can be made; this program then begins again inside."""
    if network.entered(os.environ):
        outside = [number for number, _ in HOSTS.values() if number not in CLUSTER_OF_MACHINES.machines.values()]
        network.make(CLUSTER_OF_MACHINES.machines, outside)
        return CLUSTER_OF_MACHINES
    if reason := network.why_not():
        console.print(f"No network namespaces: {reason}. Relays cut its own processes off; no drills.")
        return CLUSTER
    for server in (SERVER, EARLIER_SERVER) if upgrade else (SERVER,):
        build(server)  # a network of machines does not lead out
    network.enter()
    raise AssertionError("unreachable")


async def _run(plan: Plan, folder: Path, console: Console) -> int:
    stop = asyncio.Event()
    running = asyncio.create_task(Soak(plan, folder, console, stop).run())
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        # The first one leads to the audit, a second one only ends the stack.
        asyncio.get_running_loop().add_signal_handler(number, lambda: running.cancel() if stop.is_set() else stop.set())
    try:
        figures = await running
    except asyncio.CancelledError:
        console.print("Stopped without an audit. Nothing is left running.", style="bold red")
        return 130
    except StackError as error:
        console.print(str(error), style="bold red", markup=False)
        return 1
    (folder / "figures.json").write_text(figures.model_dump_json(indent=2) + "\n")
    show(figures, console)
    return 0 if figures.passed else 1


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # a client of Temporal can crash while the interpreter shuts down, and callers may still wait
