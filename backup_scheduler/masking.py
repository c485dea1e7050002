"""Keeps secrets out of the output of the processes, the failures of runs and the answers that histories keep.

It masks two kinds of text: all that looks like credentials, and the values that this process knows to be secret.
"""

import base64
import json
import logging
import netrc
import re
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TextIO
from urllib.parse import parse_qsl, quote, quote_plus, unquote, urlsplit

from temporalio.api.failure.v1 import Failure
from temporalio.converter import DefaultFailureConverter, PayloadConverter
from temporalio.exceptions import FailureError

MASK = "***"

_SHORTEST = 6
"""Characters; a known value is masked wherever it occurs, but a shorter one may be any word."""

_NOT_SECRET = frozenset({"guest", "guest:guest"})

_CREDENTIALS = re.compile(
    r"""(?<=://)(?!user:password@|guest:guest@)(?:                # as examples and defaults have it
        [^\s:/?\#\["<>]*:(?!\d+[/?\#])(?:(?!://)[^\s"<>])+(?=@)  # user:password, whatever it forgot to encode
        | [^\s:/?\#@"<>]+(?=@)                                  # a user alone, which may be a token
    )""",
    re.VERBOSE,
)
_QUERY = re.compile(r"""(?P<before>://[^\s?#"<>]*\?)(?:[^\s#"'<>;]|'(?=[\w%&=]))+""")
"""A quote may be of the query, or end the URL. (In credentials RFC 3986 allows it; not so " and the angle brackets.)"""
_AUTHORIZATION = re.compile(r"\b(?P<scheme>Basic|Bearer) +[\w.~+/=-]{8,}")

_SECRET_NAMES = re.compile(
    r"PASSWORD$|PASSWD$|PASSPHRASE$|SECRET$|TOKEN$|KEY$|KEY_DATA$|_SAS$|SECRET_ACCESS_KEY$|^TEMPORAL_GRPC_META_"
)
"""Environment variables whose whole value is secret: Temporal's, and those that restic's back ends read."""
_URL_NAMES = re.compile(r"^AMQP_URI$|^SCHEDULER_BACKUP_URL$|^RESTIC_REPOSITORY$|_PROXY$", re.IGNORECASE)
"""Environment variables that hold URLs with credentials."""

_BACK_END = re.compile(r"^[a-z0-9]+:(?=[a-z]+://)")
"""The word with which restic's locations begin, such as `rest:https://host/`."""

_BETWEEN_URLS = re.compile(r";(?=\w+://)")

_known: set[str] = set()
_pattern: re.Pattern[str] | None = None


def hide(*secrets: str) -> None:
    """Mask these values from now on, however they are quoted; values that are so short that they may be words stay."""
    global _pattern
    new = {
        form
        for secret in secrets
        if len(secret) >= _SHORTEST and secret not in _NOT_SECRET
        for form in (
            secret,
            quote(secret, safe=""),
            quote(secret),
            quote_plus(secret),
            json.dumps(secret)[1:-1],
            json.dumps(secret, ensure_ascii=False)[1:-1],
            repr(secret)[1:-1],
        )
    }
    if new <= _known:
        return
    _known.update(new)
    _pattern = re.compile("|".join(re.escape(each) for each in sorted(_known, key=len, reverse=True)))


def hide_url(urls: str) -> None:
    """Mask the secrets in a URL, or in several URLs with ';' between them, as AMQP_URI may have."""
    for url in _BETWEEN_URLS.split(urls):
        credentials = url.partition("://")[2].rpartition("@")[0]  # or, after a port, part of a path: it does no harm
        if ":" in credentials:  # a user alone may be any word
            hide(credentials, credentials.partition(":")[2])
        try:
            parts = urlsplit(_BACK_END.sub("", url))
            user, password = parts.username or "", parts.password or ""
        except ValueError:  # not a URL; the code that uses it reports that
            continue
        hide(password)  # as it stands there
        _hide_password(unquote(user), unquote(password))
        hide(parts.query, *(value for _, value in parse_qsl(parts.query)))


def hide_environment(environ: Mapping[str, str]) -> None:
    """Mask the values of environment variables that hold secrets."""
    for name, value in environ.items():
        if _URL_NAMES.search(name):
            hide_url(value)
        elif _SECRET_NAMES.search(name.upper()):
            hide(value)


def hide_netrc(environ: Mapping[str, str]) -> None:
    """Mask the passwords that http backups may take from the user's .netrc."""
    path = Path(environ.get("NETRC") or Path(environ.get("HOME") or "/") / ".netrc")
    try:
        entries = netrc.netrc(path).hosts.values()
    except (OSError, ValueError, netrc.NetrcParseError):  # there is none, or it cannot be read
        return
    for user, _, password in entries:
        _hide_password(user, password or "")


def _hide_password(user: str, password: str) -> None:
    hide(password)
    if password and password not in _NOT_SECRET:
        hide(base64.b64encode(f"{user}:{password}".encode()).decode())


def without_known(text: str) -> str:
    """Mask only known secrets: for texts whose URLs are data."""
    return _pattern.sub(MASK, text) if _pattern else text


def masked(text: str) -> str:
    """Mask known secrets, credentials and queries of URLs, and values of HTTP's Authorization header."""
    text = _AUTHORIZATION.sub(rf"\g<scheme> {MASK}", without_known(text))
    if "://" not in text:
        return text
    return _QUERY.sub(rf"\g<before>{MASK}", _CREDENTIALS.sub(MASK, text))


class MaskedStream:
    """A text stream that masks all that is written to it: log lines, tracebacks, warnings and other output."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write the text, masked."""
        self._stream.write(masked(text))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        """Write the lines, masked."""
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def guard(environ: Mapping[str, str]) -> None:
    """Mask the secrets of this environment in stdout, in stderr and in the output of the present log handlers."""
    hide_environment(environ)
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is not None and not isinstance(stream, MaskedStream):
            setattr(sys, name, MaskedStream(stream))
    loggers = [logging.getLogger(), *map(logging.getLogger, logging.root.manager.loggerDict)]
    for handler in {handler for logger in loggers for handler in logger.handlers}:
        if not isinstance(handler.formatter, _MaskedFormatter):
            handler.setFormatter(_MaskedFormatter(handler.formatter or logging.Formatter()))


class _MaskedFormatter(logging.Formatter):
    """Masks the output of another formatter: a handler may have taken its stream before the stream was guarded."""

    def __init__(self, inner: logging.Formatter) -> None:
        super().__init__()
        self._inner = inner

    def format(self, record: logging.LogRecord) -> str:
        return masked(self._inner.format(record))


class MaskedFailures(DefaultFailureConverter):
    """Masks the texts of failures, which the history keeps and the Web UI shows.

    A failure that is meant as one has no stack trace: it would tell nothing of what happened, and hide the cause in the
    Web UI (docs/temporal-facts.md#stack-traces-come-first).
    """

    def to_failure(self, exception: BaseException, payload_converter: PayloadConverter, failure: Failure) -> None:
        """Convert an exception, its causes included."""
        super().to_failure(exception, payload_converter, failure)
        failure.message = masked(failure.message)
        failure.stack_trace = "" if isinstance(exception, FailureError) else masked(failure.stack_trace)
