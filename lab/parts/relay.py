"""A TCP relay that can be cut: nothing passes any more, but no connection ends, as in a network that loses packets."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import Any

_MOST = 65536
"""Bytes that are read at a time."""


class Relay:
    """Passes connections on to an address, unless it is cut."""

    def __init__(self, leads_to: str) -> None:
        self._host, _, port = leads_to.rpartition(":")
        self._port = int(port)
        self._passing = asyncio.Event()
        self._passing.set()
        self._connections: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self.address = ""
        """Host and port at which it takes connections, once it is open."""

    async def open(self) -> None:
        """Take connections from now on, on a free port of the loopback interface."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        host, port = self._server.sockets[0].getsockname()
        self.address = f"{host}:{port}"

    async def close(self) -> None:
        """Break all connections; bytes that were kept back are lost."""
        assert self._server is not None  # noqa: S101  # it was opened
        self._server.close()
        for each in self._connections:
            each.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    def cut(self) -> None:
        """Pass nothing on from now on, neither bytes nor ends of connections nor new connections."""
        self._passing.clear()

    def lose(self) -> None:
        """Pass nothing on for ever on the connections that there are, as a firewall that forgot them."""
        self._passing.clear()
        self._passing = asyncio.Event()
        self._passing.set()

    def mend(self) -> None:
        """Pass everything on again, what was kept back first."""
        self._passing.set()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101  # a coroutine runs in one
        self._connections.add(task)
        passing = self._passing
        try:
            await passing.wait()
            with suppress(OSError):  # the server is away, or either side broke the connection
                their_reader, their_writer = await asyncio.open_connection(self._host, self._port)
                try:
                    await _both_ways(_one_way(reader, their_writer, passing), _one_way(their_reader, writer, passing))
                finally:
                    their_writer.transport.abort()
        except asyncio.CancelledError:  # the relay is closed, or the loop ends: asyncio would log it
            pass
        finally:
            writer.transport.abort()
            self._connections.discard(task)


async def _both_ways(*ways: Coroutine[Any, Any, None]) -> None:
    """Pass bytes on in both directions until one side ends the connection."""
    passing_on = [asyncio.create_task(way) for way in ways]
    try:
        await asyncio.wait(passing_on, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for each in passing_on:
            each.cancel()
        await asyncio.gather(*passing_on, return_exceptions=True)


async def _one_way(source: asyncio.StreamReader, target: asyncio.StreamWriter, passing: asyncio.Event) -> None:
    with suppress(OSError):
        while data := await source.read(_MOST):
            await passing.wait()
            target.write(data)
            await target.drain()
        await passing.wait()


@asynccontextmanager
async def relay(leads_to: str) -> AsyncIterator[Relay]:
    """Open a relay to an address (host and port) for the block."""
    made = Relay(leads_to)
    await made.open()
    try:
        yield made
    finally:
        await made.close()
