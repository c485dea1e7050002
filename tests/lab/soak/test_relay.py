"""A relay that is cut passes nothing on and ends no connection; mended, it passes everything on."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from lab.parts.relay import Relay, relay
from lab.parts.waiting import eventually_async

QUIET = 0.3
"""Seconds in which something that is kept back does not arrive."""


@dataclass
class Echo:
    """A server that answers each line with the same line."""

    address: str = ""
    heard: list[bytes] = field(default_factory=list)
    ended: int = 0
    """Connections that a client ended."""
    writers: list[asyncio.StreamWriter] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writers.append(writer)
        async for line in reader:
            self.heard.append(line)
            writer.write(line)
        self.ended += 1
        writer.close()


@asynccontextmanager
async def echo_behind_a_relay() -> AsyncIterator[tuple[Echo, Relay]]:
    echo = Echo()
    server = await asyncio.start_server(echo.serve, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    async with server, relay(f"{host}:{port}") as made:
        yield echo, made


async def connected(to: Relay) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    host, _, port = to.address.rpartition(":")
    return await asyncio.open_connection(host, int(port))


async def test_bytes_go_both_ways() -> None:
    async with echo_behind_a_relay() as (_, way):
        reader, writer = await connected(way)
        for line in (b"one\n", b"two\n"):
            writer.write(line)
            assert await reader.readline() == line
        writer.close()


async def test_a_cut_relay_keeps_bytes_back_and_ends_nothing() -> None:
    async with echo_behind_a_relay() as (echo, way):
        reader, writer = await connected(way)
        writer.write(b"before\n")
        await reader.readline()
        way.cut()
        writer.write(b"client's\n")
        echo.writers[0].write(b"server's\n")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reader.read(1), QUIET)
        assert echo.heard == [b"before\n"]
        way.mend()
        assert [await reader.readline(), await reader.readline()] == [b"server's\n", b"client's\n"]
        assert echo.heard == [b"before\n", b"client's\n"]
        writer.close()


async def test_a_cut_relay_passes_no_end_on_before_it_is_mended() -> None:
    async with echo_behind_a_relay() as (echo, way):
        reader, writer = await connected(way)
        writer.write(b"before\n")
        await reader.readline()
        way.cut()
        writer.close()
        await asyncio.sleep(QUIET)
        assert echo.ended == 0
        way.mend()
        await eventually_async(lambda: asyncio.sleep(0, echo.ended == 1))


async def test_a_connection_that_is_made_while_the_relay_is_cut_waits() -> None:
    async with echo_behind_a_relay() as (echo, way):
        way.cut()
        reader, writer = await connected(way)
        writer.write(b"early\n")
        await asyncio.sleep(QUIET)
        assert not echo.writers
        way.mend()
        assert await reader.readline() == b"early\n"
        writer.close()


async def test_a_relay_that_lost_its_connections_passes_new_ones_on() -> None:
    async with echo_behind_a_relay() as (echo, way):
        reader, writer = await connected(way)
        writer.write(b"before\n")
        await reader.readline()
        way.lose()
        writer.write(b"lost\n")
        fresh, fresh_writer = await connected(way)
        fresh_writer.write(b"fresh\n")
        assert await fresh.readline() == b"fresh\n"
        way.mend()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reader.read(1), QUIET)
        assert echo.heard == [b"before\n", b"fresh\n"]
        for each in (writer, fresh_writer):
            each.close()


async def test_a_connection_ends_where_the_server_is_away() -> None:
    async with relay("127.0.0.1:1") as way:
        reader, writer = await connected(way)
        assert await reader.read() == b""
        writer.close()
