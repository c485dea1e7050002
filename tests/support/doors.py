"""A TCP door between an RPC service and a server; it can hold back the bytes of the service."""

import socket
import threading
import time
from contextlib import AbstractContextManager, suppress
from types import TracebackType


class Door(AbstractContextManager["Door"]):
    """Passes connections on to an address; while held, it keeps the bytes of clients and passes the server's on."""

    def __init__(self, leads_to: str) -> None:
        self._host, _, port = leads_to.rpartition(":")
        self._port = int(port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._sockets: list[socket.socket] = []
        self._passing = threading.Event()
        self._passing.set()
        self._closed = False
        self.delay = 0.0
        """Seconds for which the bytes of clients are kept back."""
        self.held = False
        """Whether a client has sent anything since the door is held."""
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def hold(self) -> None:
        """Keep back the bytes of clients from now on."""
        self.held = False
        self._passing.clear()

    def let_through(self) -> None:
        """Pass on the bytes kept back, and those to come."""
        self._passing.set()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Break all connections; the bytes kept back are lost."""
        self._closed = True
        for each in (self._listener, *self._sockets):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()
        self._passing.set()

    def _accept(self) -> None:
        with suppress(OSError):  # closed
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection((self._host, self._port))
                self._sockets += (client, server)
                threading.Thread(target=self._pass_on, args=(client, server, self._passing), daemon=True).start()
                threading.Thread(target=self._pass_on, args=(server, client, None), daemon=True).start()

    def _pass_on(self, source: socket.socket, target: socket.socket, passing: threading.Event | None) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                if passing is not None and not passing.is_set():
                    self.held = True
                    passing.wait()
                if passing is not None:
                    time.sleep(self.delay)
                if self._closed:
                    return
                target.sendall(data)
        with suppress(OSError):
            target.shutdown(socket.SHUT_RDWR)
