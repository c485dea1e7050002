"""Rules for AMQP_URI. Without them a fault shows as a traceback, as endless attempts or as a wrong broker."""

import re
from urllib.parse import SplitResult, urlsplit

EXAMPLE = "amqp://user:password@rabbitmq.example.org:5672/"

_SCHEMES = ("amqp", "amqps", "pyamqp")
_ENCODE = "user and password must be percent-encoded where they have characters such as # / ? @ ('#' is '%23')"


def fault_of(uris: str) -> str | None:
    """Return the first fault of an AMQP URI, or of several URIs with ';' between them; None if there is no fault.

    The text never quotes what may be part of a password.
    """
    nodes = uris.split(";")
    for number, node in enumerate(nodes, 1):
        if fault := _fault(node):
            which = f"node {number}: " if len(nodes) > 1 else ""
            return f"{which}{fault}, such as {EXAMPLE!r}"
    return None


def _fault(uri: str) -> str | None:
    if re.search(r"\s", uri):
        return "must be a URI without blanks"
    scheme, separator, _ = uri.partition("://")
    if not separator:
        return "must begin with amqp:// or amqps://"
    if scheme not in _SCHEMES:
        given = f", not {scheme}://" if scheme.isascii() and scheme.isalpha() and len(scheme) < 10 else ""
        return f"must begin with amqp:// or amqps://{given}"
    try:
        parts = urlsplit(uri)
        odd = bool(parts.fragment) or uri.endswith("#") or "@" in parts.path + parts.query
    except ValueError:  # brackets that are no IPv6 address
        return f"cannot be read: {_ENCODE}"
    if odd:
        return f"cannot be read: {_ENCODE}"
    try:
        (parts.hostname or "").encode("idna")
    except UnicodeError:  # a part between two dots is empty or too long
        return "must have the name of a host"
    return _fault_of_port(parts)


def _fault_of_port(parts: SplitResult) -> str | None:
    after = parts.netloc.rpartition("@")[2]
    _, colon, port = after.rpartition("]")[2].rpartition(":")
    if not colon or (port.isascii() and port.isdecimal() and 0 < int(port) < 65536):
        return None
    if "@" in parts.netloc:
        return "must have a port from 1 to 65535"
    # This text may be the beginning of a password with a '/' in it, and not a port.
    return f"must have a port from 1 to 65535; {_ENCODE}"
