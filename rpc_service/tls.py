"""Connections to a broker with TLS, whose certificate has to have the host name of the URI."""

from ssl import SSLError
from typing import Any

from kombu import Connection
from kombu.transport.pyamqp import SSLTransport

from backup_scheduler.contract.errors import ConfigurationError
from backup_scheduler.settings import load_settings


class _NameOfUri(dict[str, Any]):
    """TLS options that this module chose; each node of several has its own."""


class _CheckingTransport(SSLTransport):  # type: ignore[misc]  # kombu has no type information
    def establish_connection(self) -> Any:
        """Connect. Raises SSLError, an OSError, if a certificate is not good for the host, or cannot be read."""
        node = self.client
        if node.ssl is True or isinstance(node.ssl, _NameOfUri):
            before = node.ssl.get("server_hostname") if node.ssl is not True else None
            # kombu has put an address in the place of this name when it connected before.
            was_localhost = (before, node.hostname) == ("localhost", "127.0.0.1")
            node.ssl = _NameOfUri(server_hostname=before if was_localhost else node.hostname)
            try:
                certificate = load_settings().amqp_certificate  # read anew for each connection
            except ConfigurationError as error:  # somebody is at work on the file: the next attempt may find it whole
                raise SSLError(str(error)) from None
            if certificate:
                node.ssl["certfile"] = str(certificate)
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
