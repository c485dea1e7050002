"""A backup service that answers with any bytes, broken HTTP too, which aiohttp cannot send; and the requests it got."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Asked:
    method: str
    target: str
    """The target of the request line, each byte a character."""
    headers: dict[str, str]
    body: bytes


@dataclass
class OddService:
    """Answers each path with bytes of the test's choice; `PORT` in them is its port. An unknown path answers 200."""

    port: int = 0
    answers: Mapping[str, bytes] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/start"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                line, *lines = head.removesuffix("\r\n\r\n").split("\r\n")
                method, target, _ = line.split(" ")
                headers = {name.lower(): value for name, value in (each.split(": ", 1) for each in lines)}
                body = await reader.readexactly(int(headers.get("content-length", "0")))
                self.asked.append(Asked(method, target, headers, body))
                answer = self.answers.get(target, ok())
                writer.write(answer.removesuffix(OPEN).replace(b"PORT", str(self.port).encode()))
                await writer.drain()
                if not answer.endswith(OPEN):
                    break
        except (asyncio.IncompleteReadError, ConnectionError):  # the caller has left
            pass
        finally:
            writer.close()


OPEN = b"<the connection stays open>"
"""End of an answer after which the connection stays open for the next request; else the service closes it."""


def ok(body: bytes = b"ok", *headers: bytes, status: bytes = b"200 OK") -> bytes:
    return answer(status, *headers, b"Content-Length: %d" % len(body), body=body) + OPEN


def answer(status: bytes, *headers: bytes, body: bytes = b"") -> bytes:
    """An answer that ends with the connection."""
    return b"\r\n".join([b"HTTP/1.1 " + status, *headers, b"", body])


def to(location: bytes, status: bytes = b"302 Found", *headers: bytes) -> bytes:
    return ok(b"", b"Location: " + location, *headers, status=status)


@asynccontextmanager
async def odd_service() -> AsyncIterator[OddService]:
    """Serve on a free port of 127.0.0.1."""
    service = OddService()
    server = await asyncio.start_server(service.serve, "127.0.0.1", 0, limit=1 << 20)
    service.port = server.sockets[0].getsockname()[1]
    async with server:
        yield service
