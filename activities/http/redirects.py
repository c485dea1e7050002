"""Pure functions on redirects: which are followed, and where the others point to.

Where a backup ends later, a page that answers 200 where a request was redirected to need not be the answer to the
request: it may be a login, or the page to which a proxy turns every request that came by http.
"""

from collections.abc import Callable
from http import HTTPStatus
from typing import Final, NamedTuple
from urllib.parse import SplitResult, urljoin, urlsplit

from backup_scheduler.texts import clean

REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})

_AS_IT_WAS: Final = frozenset({307, 308})
"""Redirects that keep the method and the body of a POST; after 301 and 302 every client asks by GET, without them."""

_LONGEST_PLACE: Final = 300
"""Characters; a header may have any text for a host."""


class Redirect(NamedTuple):
    """An answer that points to another URL."""

    status: int
    url: str
    """That of the request."""
    location: str
    """The other URL, as the header has it."""


Rule = Callable[[Redirect], bool]
"""Tells whether a redirect is followed. One that is not is the answer."""


def always(_: Redirect) -> bool:
    """Follow as requests does, 301, 302 and 303 by GET."""
    return True


def as_it_was(redirect: Redirect) -> bool:
    """Follow with the same POST alone."""
    return redirect.status in _AS_IT_WAS


def to_the_status(redirect: Redirect) -> bool:
    """Follow with a GET by a 303 to the same host, and by the others to the same path and query there."""
    if redirect.status == HTTPStatus.SEE_OTHER:
        return sees_other(redirect.status, redirect.url, redirect.location)
    old, new = urlsplit(redirect.url), _target(redirect.url, redirect.location)
    return new is not None and (old.hostname, _path(old), old.query) == (new.hostname, _path(new), new.query)


def sees_other(status: int, url: str, location: str | None) -> bool:
    """Return whether an answer is the 303 of a request that was taken: to a URL of the same host."""
    new = _target(url, location)
    return status == HTTPStatus.SEE_OTHER and new is not None and new.hostname == urlsplit(url).hostname


def place(url: str, location: str | None) -> str:
    """Return for people where an answer from `url` points to: no more than the host, as the rest may hold a key."""
    if not location:
        return "no other URL"
    new = _target(url, location)
    if new is None:
        return "a URL that is not valid"
    host = f"[{new.hostname}]" if ":" in (new.hostname or "") else new.hostname
    port = f":{new.port}" if new.port else ""
    which = "the same path" if _path(new) == _path(urlsplit(url)) else "another path"
    return clean(f"{which} at {new.scheme}://{host}{port}", _LONGEST_PLACE)


def _target(url: str, location: str | None) -> SplitResult | None:
    try:
        parts = urlsplit(urljoin(url, location)) if location else None
        is_valid = parts and parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        return None
    return parts if is_valid else None


def _path(parts: SplitResult) -> str:
    return parts.path.rstrip("/")
