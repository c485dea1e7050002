"""The authorities whose certificates http targets may have: those that `requests` trusts, read once."""

import ssl
from functools import lru_cache
from pathlib import Path

from requests.utils import DEFAULT_CA_BUNDLE_PATH
from urllib3.util.ssl_ import create_urllib3_context


def tls_context(verify: bool | str | None) -> ssl.SSLContext:
    """Return a context that all threads share, for the file or folder that REQUESTS_CA_BUNDLE names, else certifi's.

    requests itself reads the authorities anew for each exchange: 60 ms of CPU time and 1.7 MiB. Raises OSError.
    """
    bundle = Path(verify if isinstance(verify, str) else DEFAULT_CA_BUNDLE_PATH)
    try:
        return _read(bundle, bundle.stat().st_mtime_ns)
    except OSError as error:
        raise OSError(f"the certificates in {bundle} cannot be read: {error.strerror or error}") from None


@lru_cache(maxsize=4)
def _read(bundle: Path, _changed: int) -> ssl.SSLContext:
    context = create_urllib3_context()
    if bundle.is_dir():
        context.load_verify_locations(capath=bundle)
    else:
        context.load_verify_locations(cafile=bundle)
    context.set_alpn_protocols(["http/1.1"])
    # urllib3 sets them for each connection, and OpenSSL would free what another thread is reading.
    context.set_alpn_protocols = lambda _: None  # type: ignore[method-assign, assignment]  # of this one context
    return context
