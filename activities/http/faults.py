"""Sentences for people that say why an exchange brought no answer.

They quote only the host of a URL: the rest of the URL may hold a key, and so may the texts of the errors.
"""

import http.client
import os
import socket
import ssl
from urllib.parse import urlsplit

from requests import exceptions, models
from requests.utils import get_environ_proxies, select_proxy

from activities.http.exchange import Exchange


def explain(error: Exception, exchange: Exchange, host: str) -> tuple[str, bool]:
    """Return why the exchange with a host brought no answer, and whether that is transient."""
    chain = _chain(error)
    asked = _host(exchange.url) or host
    proxy = " through the proxy" if isinstance(error, exceptions.ProxyError) else ""
    if isinstance(error, exceptions.TooManyRedirects):
        return f"{host} redirected more than {models.DEFAULT_REDIRECT_LIMIT} times", False
    if isinstance(error, ValueError):  # only the URL is checked before the request is sent
        return _bad_url(exchange, host), False
    for each in chain:
        if isinstance(each, ssl.SSLCertVerificationError):
            return f"{asked} has no valid TLS certificate: {each.verify_message}", True
    what = "the exchange with {} broke off" if exchange.is_connected else "no connection to {}"
    return f"{what.format(asked + proxy)}: {reason(chain[-1])}", True


def reason(error: BaseException) -> str:
    """Return the text of the root cause of an error."""
    match _chain(error)[-1]:
        case http.client.RemoteDisconnected():
            return "the connection was closed without an answer"
        case http.client.BadStatusLine() as bad:
            return f"the answer is not HTTP but begins with {str(bad)[:60]!r}"
        case ssl.SSLError(reason=str(words)):
            return f"TLS: {words.replace('_', ' ').lower()}"
        # A gaierror has numbers of its own, which strerror does not know.
        case OSError(errno=int(number)) as fault if not isinstance(fault, socket.gaierror):
            return os.strerror(number)
        case OSError(strerror=str(words)):
            return words
        case last:
            return str(last) or type(last).__name__


def _bad_url(exchange: Exchange, host: str) -> str:
    if exchange.redirects:
        bad, sentence = exchange.url, f"{host} redirected to a URL that is not valid"
    elif select_proxy(exchange.url, get_environ_proxies(exchange.url)):
        return f"the URL of the proxy that the worker's environment names for {host} cannot be used"
    else:
        bad, sentence = exchange.url, f"the URL of {host} is not valid"
    scheme = bad.partition(":")[0]
    if ":" in bad and scheme.lower() not in ("http", "https") and scheme.isalnum():
        return f"{sentence}: it begins with {scheme[:20]!r} and not with 'http' or 'https'"
    named = _host(bad)
    return f"{sentence}: the host or port of {named!r} cannot be" if named else sentence


def _host(url: str) -> str | None:
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None


def _chain(error: BaseException) -> list[BaseException]:
    """Return an error and its causes: urllib3 and requests wrap errors in several ways."""
    chain = [error]
    while True:
        last = chain[-1]
        context = None if last.__suppress_context__ else last.__context__
        behind = (getattr(last, "reason", None), *last.args, last.__cause__, context)
        inner = next((each for each in behind if isinstance(each, BaseException) and each not in chain), None)
        if inner is None:
            return chain
        chain.append(inner)
