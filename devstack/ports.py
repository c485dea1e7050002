"""Finds free TCP ports, and keeps two stacks that start at the same time from choosing the same ones."""

import socket
from collections.abc import Iterable
from types import TracebackType
from typing import Self

from devstack.errors import StackError

_TRIES = 200


class Ports:
    """Ports that this process has chosen; no other stack gets them before this object is closed or the process dies."""

    def __init__(self) -> None:
        self._claims: list[socket.socket] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for claim in self._claims:
            claim.close()

    def claim(self, port: int) -> bool:
        """Take the port if nothing listens on it and no other stack has taken it.

        An abstract Unix socket marks it as taken: it is known on the whole machine, leaves no file and ends with the
        process.
        """
        claim = socket.socket(socket.AF_UNIX)
        try:
            claim.bind(f"\0backup-scheduler-port-{port}")
            with socket.socket() as listener:
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # connections of a past stack linger
                listener.bind(("", port))
        except OSError:
            claim.close()
            return False
        self._claims.append(claim)
        return True

    def claim_addresses(self, name: str, addresses: Iterable[tuple[str, int]]) -> bool:
        """Take addresses (host and port), all or none, as `claim` does; stacks that want the same use the same name."""
        claim = socket.socket(socket.AF_UNIX)
        try:
            claim.bind(f"\0backup-scheduler-addresses-{name}")
            for address in addresses:
                with socket.socket() as listener:
                    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                    listener.bind(address)
        except OSError:
            claim.close()
            return False
        self._claims.append(claim)
        return True

    def claim_from(self, first: int) -> int:
        """Take the first free port from `first` on.

        Not a port of the kernel's choice: before a slow service listens, an outgoing connection may get the same one.
        """
        for port in range(first, min(first + _TRIES, 65536)):
            if self.claim(port):
                return port
        raise StackError(f"No port is free from {first} to {first + _TRIES - 1}.")
