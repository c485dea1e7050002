"""The certificate authorities for http targets: those that `requests` trusts, read once."""

import ssl
from functools import lru_cache
from pathlib import Path

from requests.utils import DEFAULT_CA_BUNDLE_PATH
from urllib3.util.ssl_ import create_urllib3_context


def tls_context(verify: bool | str | None) -> ssl.SSLContext:
    """Return a context that all threads share. It trusts the file or folder in REQUESTS_CA_BUNDLE, else certifi's.

    requests itself reads the authorities for each exchange: 60 ms of CPU time and 1.7 MiB. Raises OSError.
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
    # urllib3 sets the protocols for each connection; OpenSSL would free a list that another thread is reading.
    context.set_alpn_protocols = lambda _: None  # type: ignore[method-assign, assignment]  # replaced for this one context
    return context
