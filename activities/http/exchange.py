"""One exchange with a backup service, in its own thread, by `requests`: the client that backup services know."""

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

from activities.http.redirects import Redirect, Rule, always
from activities.http.trust import tls_context

# urllib3 logs whole URLs, which may hold a key.
logging.getLogger("urllib3").setLevel(logging.CRITICAL)

LONGEST_BODY = 64 * 1024
"""Bytes of an answer that the result keeps, as long as the history of the run (docs/api.md#what-a-run-does)."""

LONGEST_STATUS = 1 << 20
"""Bytes of a status that are read, to find the state in it (docs/operations.md#backups-that-end-later)."""


@dataclass(frozen=True)
class Answer:
    """The answer of a backup service, after redirects."""

    status: int
    reason: str
    headers: Mapping[str, str]
    body: bytes
    """The bytes as they were sent, at most one byte more than the exchange was to read."""
    fault: Exception | None = None
    """The fault that ended the body early."""


class Exchange:
    """One POST, or GET if there are no fields, with the requests to which it is redirected."""

    def __init__(
        self,
        url: str,
        fields: Mapping[str, Any] | None,
        headers: Mapping[str, str],
        token: str | None,
        *,
        follows: Rule = always,
        longest: int = LONGEST_BODY,
    ) -> None:
        """Prepare an exchange; a redirect that it does not follow is the answer.

        Of a body no more than one byte beyond the `longest` is read.
        """
        self.follows = follows
        self.longest = longest
        self.url = url
        """The last URL that was requested, or that could not be."""
        self.redirects = 0
        """Number of redirects so far."""
        self.is_connected = False
        """True once a connection for `url` was made."""
        self._fields = fields
        self._headers = headers
        self._token = token
        self._lock = threading.Lock()
        self._sockets: list[socket.socket] = []
        self._aborted = ""

    def send(self, wait: float) -> Answer:
        """Send the fields as a form, if there are any, and read the answer; `wait` limits each step, in seconds.

        Raises the errors of requests and of the libraries below it. An error in the body is no failure but the `fault`
        of the answer: the status tells the outcome of the request.
        """
        with (
            _Session(self) as session,
            session.request(
                "GET" if self._fields is None else "POST",
                self.url,
                data=self._fields,
                headers=self._headers,
                auth=self._authorize if self._token else None,  # else that of the URL or of .netrc
                timeout=wait,
                stream=True,
            ) as response,
        ):
            body = bytearray()
            fault: Exception | None = None
            try:
                while len(body) <= self.longest and (
                    part := response.raw.read1(self.longest + 1 - len(body), decode_content=False)
                ):
                    body += part
            except (HTTPError, http.client.HTTPException, OSError, ValueError) as error:
                fault = error
            if self._aborted and len(body) <= self.longest:  # for a body without a length, that looks like its end
                fault = ConnectionAbortedError(self._aborted)
            return Answer(response.status_code, response.reason or "", response.headers, bytes(body), fault)

    def _authorize(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request

    def abort(self, why: str) -> None:
        """End the exchange from another thread: it stops waiting for the service, and sends nothing more."""
        with self._lock:
            self._aborted = self._aborted or why
            for each in self._sockets:
                with suppress(OSError):  # not connected any more
                    # Not the TLS socket's own shutdown: another thread is using its TLS state.
                    socket.socket.shutdown(each, socket.SHUT_RDWR)

    def on_connect(self, connection: HTTPConnection) -> None:
        """Record a new connection. Raises ConnectionAbortedError when the exchange was aborted meanwhile."""
        with self._lock:
            if self._aborted:
                connection.close()
                raise ConnectionAbortedError(self._aborted)
            self.is_connected = True
            assert connection.sock  # noqa: S101  # it is connected
            self._sockets.append(connection.sock)


class _Session(requests.Session):
    """A session for one attempt: no cookie or other state passes to another run.

    Proxies, .netrc and certificates are those of the environment. Nothing is retried here.
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
        if not resp.is_redirect:
            return None
        location = resp.headers["Location"]
        if not self._exchange.follows(Redirect(resp.status_code, resp.url, location)):
            return None
        self._exchange.redirects += 1
        self._exchange.url = location
        resp.close()  # requests would read its whole body, of any length
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
        """Do nothing: the TLS context verifies."""

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
        """Read status and headers. A status of 1xx comes before the answer and is skipped (RFC 9110, 15.2)."""
        self._begin()
        while self.status < 200 and self.status != http.HTTPStatus.SWITCHING_PROTOCOLS:
            self.headers = self.msg = None  # type: ignore[assignment]  # as before the first line
            self._begin()

    def _begin(self) -> None:
        try:
            super().begin()
        except http.client.HTTPException:  # too long or too many headers
            status_read = isinstance(self.version, int)
            if not status_read or 300 <= self.status < 400:  # a redirect needs its headers
                raise
            self.headers = self.msg = http.client.HTTPMessage()
            self.chunked, self.length, self.will_close = False, 0, True
