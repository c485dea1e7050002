"""One exchange with a backup service by `requests`, the client that backup services know, in a thread of its own."""

import http.client
import logging
import socket
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection
from urllib3.exceptions import HTTPError

from activities.http.trust import tls_context

# It logs whole URLs, which may hold a key.
logging.getLogger("urllib3").setLevel(logging.CRITICAL)

LONGEST_BODY = 64 * 1024
"""Bytes of an answer that are kept (contract); the result stands in the run's history for ever."""


@dataclass(frozen=True)
class Answer:
    """What a backup service answered, redirects followed."""

    status: int
    reason: str
    headers: Mapping[str, str]
    body: bytes
    """As it was sent, at most one byte more than LONGEST_BODY."""
    fault: Exception | None = None
    """What kept the rest of the body from being read."""


class Exchange:
    """One POST and what it is redirected to."""

    def __init__(self, url: str, fields: Mapping[str, Any], headers: Mapping[str, str], token: str | None) -> None:
        self.url = url
        """What was asked for last, or could not be."""
        self.redirects = 0
        """How many were met."""
        self.is_connected = False
        """Whether a connection for `url` was made."""
        self._fields = fields
        self._headers = headers
        self._token = token
        self._lock = threading.Lock()
        self._sockets: list[socket.socket] = []
        self._aborted = ""

    def post(self, wait: float) -> Answer:
        """Send the fields as a form and read the answer; `wait`, in seconds, is for each single step.

        Raises whatever requests and the libraries below it raise, but not for a body: with the status it is known what
        became of the request.
        """
        with (
            _Session(self) as session,
            session.post(
                self.url,
                data=self._fields,
                headers=self._headers,
                auth=self._authorize if self._token else None,  # else that of the URL, or .netrc's
                timeout=wait,
                stream=True,
            ) as response,
        ):
            body = bytearray()
            fault: Exception | None = None
            try:
                while len(body) <= LONGEST_BODY and (
                    part := response.raw.read1(LONGEST_BODY + 1 - len(body), decode_content=False)
                ):
                    body += part
            except (HTTPError, http.client.HTTPException, OSError, ValueError) as error:
                fault = error
            if self._aborted and len(body) <= LONGEST_BODY:  # to a body without a length, that looks like its end
                fault = ConnectionAbortedError(self._aborted)
            return Answer(response.status_code, response.reason or "", response.headers, bytes(body), fault)

    def _authorize(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request

    def abort(self, why: str) -> None:
        """End the exchange from another thread: what waits for the service stops waiting, and nothing more is sent."""
        with self._lock:
            self._aborted = self._aborted or why
            for each in self._sockets:
                with suppress(OSError):  # not connected any more
                    # Not the shutdown of a TLS socket, which another thread is using.
                    socket.socket.shutdown(each, socket.SHUT_RDWR)

    def on_connect(self, connection: HTTPConnection) -> None:
        """Take a new connection in, unless the exchange was cut while it was made; raises ConnectionAbortedError."""
        with self._lock:
            if self._aborted:
                connection.close()
                raise ConnectionAbortedError(self._aborted)
            self.is_connected = True
            assert connection.sock  # noqa: S101  # it is connected
            self._sockets.append(connection.sock)


class _Session(requests.Session):
    """A session for one attempt: nothing of it, like a cookie, is left over for another run.

    It heeds proxies, .netrc and certificates as the environment says, and tries nothing again by itself.
    """

    def __init__(self, exchange: Exchange) -> None:
        super().__init__()
        self._exchange = exchange
        for scheme in ("http://", "https://"):
            self.mount(scheme, _Adapter(exchange))

    def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:
        self._exchange.url, self._exchange.is_connected = request.url or "", False
        return super().send(request, **options)

    def get_redirect_target(self, resp: requests.Response) -> str | None:
        if resp.is_redirect:
            self._exchange.redirects += 1
            self._exchange.url = resp.headers["Location"]
            resp.close()  # requests would read all of its body, however long it is
        target: str | None = super().get_redirect_target(resp)
        return target


class _Adapter(HTTPAdapter):
    def __init__(self, exchange: Exchange) -> None:
        super().__init__()
        self._exchange = exchange

    def build_connection_pool_key_attributes(
        self, request: requests.PreparedRequest, verify: bool | str | None, cert: Any = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        host, pool = super().build_connection_pool_key_attributes(request, True, cert)
        if host["scheme"] == "https":
            pool["ssl_context"] = tls_context(verify)
        return host, pool

    def cert_verify(self, *_: Any) -> None:
        """Leave it to the context."""

    def get_connection_with_tls_context(self, *arguments: Any, **options: Any) -> Any:
        pool = super().get_connection_with_tls_context(*arguments, **options)
        pool.ConnectionCls = _watched(type(pool).ConnectionCls, self._exchange)
        return pool


def _watched(kind: type[Any], exchange: Exchange) -> type[HTTPConnection]:
    class Watched(kind):  # type: ignore[misc]  # mypy knows no base that is a variable
        response_class = _Response

        def connect(self) -> None:
            super().connect()
            exchange.on_connect(self)

    return Watched


class _Response(http.client.HTTPResponse):
    def begin(self) -> None:
        """Read status and headers; what comes with a status of 1xx is not the answer yet (RFC 9110, 15.2)."""
        self._begin()
        while self.status < 200 and self.status != http.HTTPStatus.SWITCHING_PROTOCOLS:
            self.headers = self.msg = None  # type: ignore[assignment]  # as before it began
            self._begin()

    def _begin(self) -> None:
        try:
            super().begin()
        except http.client.HTTPException:  # headers that are too long or too many
            status_read = isinstance(self.version, int)
            if not status_read or 300 <= self.status < 400:  # a redirect is nothing without its headers
                raise
            self.headers = self.msg = http.client.HTTPMessage()
            self.chunked, self.length, self.will_close = False, 0, True
