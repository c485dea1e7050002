"""Why an exchange brought no answer, as people read it: pure functions of errors; and the TLS that it offers."""

import errno
import http.client
import os
import socket
import ssl
from pathlib import Path

import pytest
from requests import exceptions
from urllib3.exceptions import MaxRetryError

from activities.http.exchange import Exchange
from activities.http.faults import explain, reason
from activities.http.trust import tls_context


def exchange(url: str = "http://u:sesame@h:80/?k=sesame", *, redirects: int = 0, connected: bool = False) -> Exchange:
    made = Exchange(url, {}, {}, None)
    made.redirects, made.is_connected = redirects, connected
    return made


def wrapped(error: Exception) -> exceptions.ConnectionError:
    """Wrap an error as requests and urllib3 do."""
    return exceptions.ConnectionError(MaxRetryError(None, "/?k=sesame", error))  # type: ignore[arg-type]  # no pool


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (http.client.RemoteDisconnected("sesame"), "the connection was closed without an answer"),
        (http.client.BadStatusLine("x" * 99), f"the answer is not HTTP but begins with '{'x' * 60}'"),
        (ConnectionResetError(errno.ECONNRESET, "sesame"), "Connection reset by peer"),
        (socket.gaierror(-2, "Name or service not known"), "Name or service not known"),
        (OSError("given up"), "given up"),
        (OSError(), "OSError"),
        (wrapped(ConnectionRefusedError(errno.ECONNREFUSED, "sesame")), "Connection refused"),
    ],
)
def test_the_root_cause_of_an_error_is_said(error: Exception, words: str) -> None:
    assert reason(error) == words


def test_a_fault_of_tls_is_said_in_its_own_words() -> None:
    fault = ssl.SSLError(1, "[SSL: WRONG_VERSION_NUMBER] wrong version number (_ssl.c:1006)")
    fault.reason = "WRONG_VERSION_NUMBER"
    assert reason(fault) == "TLS: wrong version number"


def test_an_error_is_followed_to_the_one_that_caused_it_but_not_to_one_that_it_hides() -> None:
    def raised(error: Exception, cause: BaseException | None) -> Exception:
        try:
            try:
                raise OSError(errno.EIO, "hidden")
            except OSError:
                raise error from cause
        except Exception as caught:
            return caught

    assert reason(raised(ValueError("a"), OSError(errno.ENOENT, ""))) == "No such file or directory"
    assert reason(raised(ValueError("a"), None)) == "a"
    implicit = ValueError("a")
    implicit.__context__ = OSError(errno.EIO, "")
    assert reason(implicit) == "Input/output error"
    circle, back = ValueError("a"), ValueError("b")
    circle.__cause__, back.__cause__ = back, circle
    assert reason(circle) == "b"


NOT_VALID = "the URL of first is not valid"


@pytest.mark.parametrize(
    ("error", "made", "sentence", "transient"),
    [
        (
            wrapped(ConnectionRefusedError(errno.ECONNREFUSED, "")),
            exchange(),
            "no connection to h: Connection refused",
            True,
        ),
        (
            wrapped(ConnectionResetError(errno.ECONNRESET, "")),
            exchange(connected=True),
            "the exchange with h broke off: Connection reset by peer",
            True,
        ),
        (wrapped(OSError("x")), exchange("/relative"), "no connection to first: x", True),
        (wrapped(OSError("x")), exchange("http://[::1"), "no connection to first: x", True),
        (
            exceptions.ProxyError(wrapped(OSError("refused"))),
            exchange(),
            "no connection to h through the proxy: refused",
            True,
        ),
        (exceptions.TooManyRedirects("sesame"), exchange(redirects=31), "first redirected more than 30 times", False),
        (exceptions.InvalidURL("sesame"), exchange(), f"{NOT_VALID}: the host or port of 'h' cannot be", False),
        (
            exceptions.InvalidURL("sesame"),
            exchange(redirects=1),
            "first redirected to a URL that is not valid: the host or port of 'h' cannot be",
            False,
        ),
        (
            exceptions.InvalidSchema("sesame"),
            exchange("FTP://h/"),
            f"{NOT_VALID}: it begins with 'FTP' and not with 'http' or 'https'",
            False,
        ),
        (
            exceptions.InvalidSchema("sesame"),
            exchange(f"{'x' * 30}:y"),
            f"{NOT_VALID}: it begins with '{'x' * 20}' and not with 'http' or 'https'",
            False,
        ),
        (exceptions.MissingSchema("sesame"), exchange("ftp"), NOT_VALID, False),
        (exceptions.InvalidSchema("sesame"), exchange("a b:c"), NOT_VALID, False),
        (
            exceptions.InvalidURL("sesame"),
            exchange("http://[::1/", redirects=1),
            "first redirected to a URL that is not valid",
            False,
        ),
    ],
)
def test_an_exchange_without_an_answer_is_explained_by_its_host_alone(
    error: Exception, made: Exchange, sentence: str, transient: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_PROXY", "*")
    assert explain(error, made, "first") == (sentence, transient)


def test_the_url_of_a_proxy_that_cannot_be_used_is_named_as_such(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.setenv("http_proxy", "gopher://h")
    said, transient = explain(exceptions.InvalidSchema("sesame"), exchange(), "first")
    assert said == "the URL of the proxy that the worker's environment names for first cannot be used"
    assert not transient


def test_a_certificate_that_is_not_valid_is_tried_again_with_the_words_of_tls() -> None:
    fault = ssl.SSLCertVerificationError(1, "[SSL: CERTIFICATE_VERIFY_FAILED] sesame")
    fault.verify_message = "self-signed certificate"
    assert explain(wrapped(fault), exchange(), "first") == (
        "h has no valid TLS certificate: self-signed certificate",
        True,
    )


def hello(context: ssl.SSLContext) -> bytes:
    """Return the first message of a client."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    with pytest.raises(ssl.SSLWantReadError):
        context.wrap_bio(incoming, outgoing, server_hostname="h").do_handshake()
    return outgoing.read()


def test_http_1_is_offered_to_a_target_whatever_a_library_sets_for_a_connection() -> None:
    context = tls_context(True)
    context.set_alpn_protocols(["h2"])
    assert b"\x08http/1.1" in hello(context)
    assert b"\x02h2" not in hello(context)


def test_authorities_are_read_from_a_file_or_a_folder_once_until_they_change(tmp_path: Path) -> None:
    certificates = ssl.create_default_context(cafile=requests_bundle()).get_ca_certs(binary_form=True)
    file, folder = tmp_path / "bundle.pem", tmp_path / "folder"
    file.write_text(ssl.DER_cert_to_PEM_cert(certificates[0]))
    folder.mkdir()
    context = tls_context(str(file))
    assert context.get_ca_certs(binary_form=True) == certificates[:1]
    assert tls_context(str(file)) is context
    file.write_text("".join(map(ssl.DER_cert_to_PEM_cert, certificates[:2])))
    os.utime(file, (1, 1))
    assert len(tls_context(str(file)).get_ca_certs()) == 2
    assert tls_context(str(folder)).get_ca_certs() == [], "a folder is looked into when a target shows its certificate"
    for anything in (True, None):
        assert len(tls_context(anything).get_ca_certs()) == len(certificates)


def requests_bundle() -> str:
    from requests.utils import DEFAULT_CA_BUNDLE_PATH

    return str(DEFAULT_CA_BUNDLE_PATH)


def test_authorities_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r"^the certificates in /none cannot be read: No such file or directory$"):
        tls_context("/none")
    file = tmp_path / "bundle.pem"
    file.write_text("none")
    with pytest.raises(OSError, match=rf"^the certificates in {file} cannot be read: .*[Pp][Ee][Mm]|NO_CERTIFICATE"):
        tls_context(str(file))


def test_an_exchange_begins_unconnected_at_its_own_url() -> None:
    made = Exchange("http://h/", {}, {}, None)
    assert (made.url, made.redirects, made.is_connected) == ("http://h/", 0, False)
