"""A way between two machines of a network is cut and mended; a program of its own, because the network begins with it.

`unshare --net --mount python -m tests.support.cut_way` ends with 0 if all is as it should be.
"""

import socket
import socketserver
import subprocess
import sys
import time

from lab.cluster import network

MACHINE, OUTSIDE = f"{network.NETWORK}.2", f"{network.NETWORK}.10"
PORT = 7000


class Echo(socketserver.StreamRequestHandler):
    """Sends each line back."""

    def handle(self) -> None:
        """Serve one connection."""
        for line in self.rfile:
            self.wfile.write(line)


def connected(host: str) -> socket.socket:
    """Connect to a server that is just starting."""
    while True:
        try:
            return socket.create_connection((host, PORT), timeout=2)
        except ConnectionRefusedError:
            time.sleep(0.05)


def echo(connection: socket.socket, timeout: float) -> bytes:
    """Send a line; return what comes back."""
    connection.settimeout(timeout)
    connection.sendall(b"line\n")
    try:
        return connection.recv(100)
    except TimeoutError:
        return b""


def client() -> None:
    """Be the machine whose way to another one is cut."""
    way = network.Way("here", [MACHINE])
    machine, outside = connected(MACHINE), connected(OUTSIDE)
    assert echo(machine, 9) == echo(outside, 9) == b"line\n"
    way.cut()
    assert echo(machine, 1) == b""
    assert echo(outside, 9) == b"line\n", "the other way stays open"
    try:
        connected(MACHINE)
        raise AssertionError("a new connection was made")
    except TimeoutError:
        pass
    way.mend()
    machine.settimeout(30)
    assert machine.recv(100) == b"line\n", "what was sent arrives late"


def main() -> None:
    """Make the network, two servers and the client."""
    network.make({"there": 2, "here": 3}, [10])
    this = [sys.executable, "-m", "tests.support.cut_way"]
    servers = [
        subprocess.Popen([*network.inside("there"), *this, MACHINE]),
        subprocess.Popen([*this, OUTSIDE]),
    ]
    try:
        subprocess.run([*network.inside("here"), *this, "client"], check=True)
    finally:
        for server in servers:
            server.kill()
            server.wait()


if __name__ == "__main__":
    if sys.argv[1:] == ["client"]:
        client()
    elif sys.argv[1:]:
        socketserver.ThreadingTCPServer((sys.argv[1], PORT), Echo).serve_forever()
    else:
        main()
