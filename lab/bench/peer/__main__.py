"""The peer as a process: `python -m lab.bench.peer DATABASE NAME THREADS`.

AMQP_URI and PEER_BACKUP_URL are in the environment.
"""

import eventlet

eventlet.monkey_patch()

import os
import sys

from nameko.containers import ServiceContainer

from lab.bench.peer.service import service_named

if __name__ == "__main__":
    database, name, threads = sys.argv[1:]
    config = {"AMQP_URI": os.environ["AMQP_URI"], "max_workers": 50, "DATABASE": database, "THREADS": int(threads)}
    container = ServiceContainer(service_named(name), config)
    container.start()
    print("ready", flush=True)  # noqa: T201  # tells the benchmark so
    container.wait()
