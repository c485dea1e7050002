"""Connections to a broker with TLS, whose certificate has to have the host name of the URI."""

from typing import Any

from kombu import Connection
from kombu.transport.pyamqp import SSLTransport

from backup_scheduler.settings import load_settings


class _NameOfUri(dict[str, Any]):
    """TLS options that this module chose; each node of several has its own."""


class _CheckingTransport(SSLTransport):  # type: ignore[misc]  # kombu has no type information
    def establish_connection(self) -> Any:
        """Connect. Raises SSLError, an OSError, if the certificate is not good for the host."""
        node = self.client
        if node.ssl is True or isinstance(node.ssl, _NameOfUri):
            before = node.ssl.get("server_hostname") if node.ssl is not True else None
            # kombu has put an address in the place of this name when it connected before.
            was_localhost = (before, node.hostname) == ("localhost", "127.0.0.1")
            node.ssl = _NameOfUri(server_hostname=before if was_localhost else node.hostname)
            if certificate := load_settings().amqp_certificate:
                node.ssl["certfile"] = str(certificate)  # read anew for each connection
        return super().establish_connection()


class CheckingConnection(Connection):  # type: ignore[misc]  # kombu has no type information
    """A connection that checks the host name where TLS is asked for by `amqps://` alone.

    kombu checks the certificate, but not its name, and has no word for it in a URI. Options of nameko's AMQP_SSL stay
    as they are.
    """

    def get_transport_cls(self) -> Any:
        """Return the transport of the URI's scheme."""
        found = super().get_transport_cls()
        return _CheckingTransport if found is SSLTransport else found
