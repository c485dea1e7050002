"""A nameko service that does nothing, to measure RPC alone: `python -m lab.bench.empty_service`."""

import os

import eventlet

eventlet.monkey_patch()

from typing import Any

from nameko.containers import ServiceContainer
from nameko.rpc import rpc

NAME = "empty"


class EmptyService:
    """Answers at once."""

    name = NAME

    @rpc  # type: ignore[untyped-decorator]  # nameko has no type information
    def nothing(self, seconds: float = 0, **arguments: Any) -> None:
        """Take any arguments and do nothing, or wait as a call waits for Temporal."""
        if seconds:
            eventlet.sleep(seconds)


if __name__ == "__main__":
    container = ServiceContainer(EmptyService, {"AMQP_URI": os.environ["AMQP_URI"], "max_workers": 50})
    container.start()
    print("ready", flush=True)  # noqa: T201  # tells the benchmark so
    container.wait()
