"""Odd answers have the same results as with `requests`."""

import asyncio
import gzip
import zlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pytest
import requests
from pydantic import SecretStr
from temporalio.exceptions import ApplicationError

from activities.http.backup import HttpBackup
from backup_scheduler.policies.file import Policies
from backup_scheduler.policies.http import HttpTarget
from tests.support.attempts import attempt_of
from tests.support.backup_requests import a_task
from tests.support.odd_service import OPEN, Asked, OddService, answer, odd_service, ok, to

SENT = {"tenant": "ü &", "ids": [1, 2], "full": True, "skip": None}
WELL = ok()


@dataclass(frozen=True)
class Case:
    first: bytes
    """Answer of the policy's URL."""
    then: Mapping[str, bytes] = field(default_factory=dict)
    """Answers of other paths; a path that is not listed answers 200."""
    better: str = ""
    """Reason why ours succeeds, sends another request or reads on where requests fails; empty: both do the same."""


def chunked(body: bytes, *headers: bytes) -> bytes:
    return answer(b"200 OK", b"Transfer-Encoding: chunked", *headers, body=body)


READ = "the service has taken the request: asked again, it would make the backup again"

STATUS = {
    "reason that is not UTF-8": Case(ok(b"no", status=b"403 geh\xf6rt nicht")),
    "success with a reason that is not UTF-8": Case(ok(status=b"200 gew\xe4hrt")),
    "no reason": Case(ok(status=b"200")),
    "no reason but a blank": Case(ok(status=b"200 ")),
    "long reason": Case(ok(status=b"200 " + b"x" * 20_000)),
    "status that is not known": Case(ok(status=b"299 Odd")),
    "status of four digits": Case(ok(status=b"2000 OK")),
    "status that is no number": Case(ok(status=b"two OK")),
    "status 999": Case(ok(status=b"999 No")),
    "status 600": Case(ok(status=b"600 No")),
    "HTTP/1.0": Case(b"HTTP/1.0 200 OK\r\n\r\nok"),
    "HTTP/1.0 that stays open": Case(
        b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok" + OPEN
    ),
    "HTTP/0.9": Case(b"ok"),
    "HTTP/2": Case(b"HTTP/2 200 OK\r\n\r\nok"),
    "ICY": Case(b"ICY 200 OK\r\n\r\nok"),
    "lines that end with LF alone": Case(b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok"),
    "nothing": Case(b""),
    "half a status line": Case(b"HTTP/1.1 20"),
    "an empty line before": Case(b"\r\nHTTP/1.1 200 OK\r\n\r\nok"),
    "100 before": Case(b"HTTP/1.1 100 Continue\r\n\r\n" + WELL),
    "102 before": Case(b"HTTP/1.1 102 Processing\r\n\r\n" + WELL, better="1xx is not the answer yet (RFC 9110)"),
    "103 before": Case(
        b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" + WELL, better="1xx is not the answer yet (RFC 9110)"
    ),
    "204 with a body": Case(ok(status=b"204 No Content")),
    "205 with a body": Case(ok(status=b"205 Reset")),
    "304 with a body": Case(ok(status=b"304 Not Modified")),
    "500 with a body that breaks off": Case(answer(b"500 No", b"Content-Length: 10", body=b"x")),
    "404 with garbage for gzip": Case(ok(b"no", b"Content-Encoding: gzip", status=b"404 No")),
}
HEADERS = {
    "header of 9,000 bytes": Case(ok(b"ok", b"X-Long: " + b"x" * 9_000)),
    "headers of 90,000 bytes": Case(ok(b"ok", *[b"X-Long: " + b"x" * 1_000] * 90)),
    "header of 70,000 bytes": Case(ok(b"ok", b"X-Long: " + b"x" * 70_000), better=READ),
    "200 headers": Case(ok(b"ok", *[b"X: y"] * 200), better=READ),
    "header line without a colon": Case(answer(b"200 OK", b"no colon here", body=b"ok")),
    "header line without a name": Case(ok(b"ok", b": x")),
    "header name with a blank": Case(answer(b"200 OK", b"X : y", body=b"ok")),
    "header that goes on in the next line": Case(ok(b"ok", b"X: y", b"  z")),
    "first header line begins with a blank": Case(ok(b"ok", b" X: y")),
    "header with bytes and NUL": Case(answer(b"200 OK", b"X\xff: \x00\xfc\x01", body=b"ok")),
    "two Content-Lengths, equal": Case(ok(b"ok", b"Content-Length: 2")),
    "two Content-Lengths, different": Case(answer(b"200 OK", b"Content-Length: 1", b"Content-Length: 2", body=b"ok")),
    "two lengths in one": Case(answer(b"200 OK", b"Content-Length: 2, 2", body=b"ok")),
    "Content-Length that is no number": Case(answer(b"200 OK", b"Content-Length: ok", body=b"ok")),
    "Content-Length below 0": Case(answer(b"200 OK", b"Content-Length: -2", body=b"ok")),
    "Content-Length and chunked": Case(chunked(b"2\r\nok\r\n0\r\n\r\n", b"Content-Length: 7")),
    "odd Set-Cookie": Case(ok(b"ok", b"Set-Cookie: =;;\xff; expires=never; domain=..", b"Set-Cookie: ")),
}
BODIES = {
    "no Content-Length": Case(answer(b"200 OK", body=b"ok")),
    "more than Content-Length": Case(answer(b"200 OK", b"Content-Length: 1", body=b"okokok")),
    "less than Content-Length": Case(answer(b"200 OK", b"Content-Length: 10", body=b"ok"), better=READ),
    "nothing of Content-Length": Case(answer(b"200 OK", b"Content-Length: 10"), better=READ),
    "br": Case(ok(b"\x0b\x02\x80hello\x03", b"Content-Encoding: br")),
    "zstd": Case(ok(b"\x28\xb5\x2f\xfd", b"Content-Encoding: zstd")),
    "gzip": Case(ok(gzip.compress(b"ok"), b"Content-Encoding: gzip")),
    "x-gzip": Case(ok(gzip.compress(b"ok"), b"Content-Encoding: X-GZip")),
    "deflate": Case(ok(zlib.compress(b"ok"), b"Content-Encoding: deflate")),
    "deflate without its header": Case(ok(zlib.compress(b"ok", wbits=-15), b"Content-Encoding: deflate")),
    "gzip twice": Case(ok(gzip.compress(gzip.compress(b"ok")), b"Content-Encoding: gzip, gzip")),
    "gzip that is none": Case(ok(b"ok", b"Content-Encoding: gzip"), better=READ),
    "half of gzip": Case(ok(gzip.compress(b"ok" * 99)[:20], b"Content-Encoding: gzip")),
    "gzip with rubbish behind": Case(ok(gzip.compress(b"ok") + b"rubbish", b"Content-Encoding: gzip")),
    "encoding that is not known": Case(ok(b"ok", b"Content-Encoding: rot13")),
    "chunked": Case(chunked(b"1;x=y\r\no\r\n1\r\nk\r\n0\r\nTrailer: x\r\n\r\n")),
    "chunks with blanks and zeros": Case(chunked(b"  0002  \r\nok\r\n000\r\n\r\n")),
    "chunked without an end": Case(chunked(b"2\r\nok\r\n"), better=READ),
    "chunk that breaks off": Case(chunked(b"9\r\nok"), better=READ),
    "chunk size that is no number": Case(chunked(b"zz\r\nok\r\n0\r\n\r\n"), better=READ),
    "chunked that is not": Case(chunked(b"ok"), better=READ),
    "unicode_escape": Case(ok(rb"\ud800", b"Content-Type: text/plain; charset=unicode_escape")),
    "utf-7": Case(ok(b"+2AA-", b"Content-Type: text/plain; charset=utf-7")),
    "utf-16": Case(ok(b"\xff\xfeo\x00\x00\xd8", b"Content-Type: text/plain; charset=utf-16")),
    "charset that is not known": Case(ok(b"ok", b"Content-Type: text/plain; charset=klingon")),
    "charset that is no text": Case(ok(b"ok", b"Content-Type: text/plain; charset=rot13")),
    "charset with NUL": Case(ok(b"ok", b'Content-Type: text/plain; charset="a\x00b"')),
    "JSON with a BOM": Case(ok(b"\xef\xbb\xbf{}", b"Content-Type: application/json")),
    "JSON with a lone surrogate": Case(ok(rb'"\ud800"', b"Content-Type: application/json")),
    "JSON beyond all numbers": Case(ok(b"1e999", b"Content-Type: application/json")),
    "JSON with a number of 5,000 digits": Case(ok(b"1" * 5_000, b"Content-Type: application/json")),
    "JSON that is none": Case(ok(b"{", b"Content-Type: application/json")),
}
LOCATIONS = {
    "relative": b"other",
    "up": b"../../other",
    "query alone": b"?q=1",
    "without a scheme": b"//127.0.0.1:PORT/other",
    "whole": b"http://127.0.0.1:PORT/other",
    "scheme in capitals": b"HTTP://127.0.0.1:PORT/other",
    "encoded slash": b"/signed?sig=a%2Fb%3D&x=%7E",
    "encoded slash in the path": b"/a%2Fb/%7Ec/%2e%2e/d",
    "bad escapes": b"/%zz?%",
    "blank": b"/a b?c d",
    "UTF-8": "/ü?ü".encode(),
    "not UTF-8": b"/\xfc",
    "odd characters": b'/"<>\\^`{|}',
    "fragment": b"/other#here",
    "empty": b"",
    "credentials": b"http://user:sesame@127.0.0.1:PORT/other",
    "another name of the host": b"http://localhost:PORT/other",
    "bad host": b"http://a..b/",
    "bad port": b"http://h:port/",
    "no host": b"http:///other",
    "bad address": b"http://[::1/",
    "name that is not to be": b"http://*.invalid/",
    "another scheme": b"ftp://127.0.0.1:PORT/other",
    "mail": b"mailto:root",
}
REDIRECTS = {
    **{f"Location: {name}": Case(to(location)) for name, location in LOCATIONS.items()},
    **{
        f"{status} to {where.decode()}": Case(to(where, b"%d Moved" % status))
        for status in (300, 301, 302, 303, 304, 305, 307, 308)
        for where in (b"/other", b"http://localhost:PORT/other")
    },
    "no Location": Case(ok(status=b"302 Found")),
    "two Locations": Case(to(b"/other", b"302 Found", b"Location: /more")),
    "201 with a Location": Case(to(b"/other", b"201 Created")),
    "a circle": Case(to(b"/start")),
    "a chain of ways": Case(
        to(b"/a", b"307 T"), {"/a": to(b"/b", b"308 P"), "/b": to(b"/c", b"303 S"), "/c": to(b"/d", b"307 T")}
    ),
    "a redirect with a body that breaks off": Case(
        answer(b"302 Found", b"Location: /other", b"Content-Length: 99", body=b"x")
    ),
    "a redirect with garbage for gzip": Case(
        ok(b"no", b"Location: /other", b"Content-Encoding: gzip", status=b"302 Found")
    ),
    "cookies": Case(
        to(
            b"/a",
            b"302 Found",
            b"Set-Cookie: one=1; Path=/",
            b"Set-Cookie: two=2; Path=/none",
            b'Set-Cookie: three="3 ,"',
        ),
        {"/a": to(b"/b", b"307 T", b"Set-Cookie: one=; Max-Age=0; Path=/", b"Set-Cookie: four=4; Secure")},
    ),
    "cookies for another host": Case(to(b"http://localhost:PORT/a", b"302 Found", b"Set-Cookie: one=1")),
    "to a failure": Case(to(b"/other"), {"/other": ok(status=b"500 No")}),
}
CASES = STATUS | HEADERS | BODIES | REDIRECTS


@pytest.fixture(scope="module")
async def service() -> AsyncIterator[OddService]:
    async with odd_service() as service:
        yield service


async def by_requests(service: OddService, url: str) -> tuple[bool, list[Asked]]:
    """Send the request of the replaced service."""
    data = {**SENT, "policy_name": "nightly"}
    service.asked = []
    try:
        response = await asyncio.to_thread(requests.post, url, data=data, timeout=5)
    except (ValueError, OSError, LookupError):
        return False, service.asked
    return 200 <= response.status_code < 400, service.asked


async def by_the_activity(service: OddService, url: str) -> tuple[bool, list[Asked]]:
    service.asked = []
    activity = HttpBackup(Policies(fallback=HttpTarget(url=SecretStr(url), timeout=timedelta(seconds=5)))).http_backup
    try:
        report = await attempt_of().run(activity, a_task(url_kwargs=SENT))
    except ApplicationError as error:
        error.message.encode()
        return False, service.asked
    report.model_dump_json()
    return True, service.asked


def without_key(asked: list[Asked]) -> list[Asked]:
    """Leave out the one header that requests did not send: it tells a repeated request from a new one."""
    assert all(each.headers.pop("idempotency-key", "") for each in asked)
    return asked


@pytest.mark.parametrize("name", CASES)
async def test_an_odd_answer_has_the_same_effect_as_with_requests(service: OddService, name: str) -> None:
    case = CASES[name]
    service.answers = {"/start": case.first, **case.then}
    succeeded, asked = await by_requests(service, service.url)
    ours, asked_by_us = await by_the_activity(service, service.url)
    assert without_key(asked_by_us) == asked != []
    assert (succeeded, ours) == ((False, True) if case.better else (ours, ours)), case.better


HOST = "127.0.0.1:PORT"
DEAF = "http://127.0.0.1:1"


@dataclass(frozen=True)
class Surroundings:
    url: str
    environment: Mapping[str, str] = field(default_factory=dict)
    netrc: str = ""


SURROUNDINGS = {
    "a proxy": Surroundings("http://host.invalid/start?a=%2F", {"HTTP_PROXY": f"http://{HOST}"}),
    "a proxy with credentials": Surroundings("http://host.invalid/start", {"http_proxy": f"http://u:p%40@{HOST}"}),
    "a proxy for all": Surroundings("http://host.invalid/start", {"ALL_PROXY": f"http://{HOST}"}),
    "a proxy without a scheme": Surroundings("http://host.invalid/start", {"HTTP_PROXY": HOST}),
    "no proxy for a network": Surroundings(f"http://{HOST}/start", {"HTTP_PROXY": DEAF, "NO_PROXY": "127.0.0.0/8"}),
    "no proxy for a port": Surroundings(f"http://{HOST}/start", {"HTTP_PROXY": DEAF, "NO_PROXY": HOST}),
    "no proxy for any": Surroundings(f"http://{HOST}/start", {"HTTP_PROXY": DEAF, "NO_PROXY": "*"}),
    "no proxy for another": Surroundings(f"http://{HOST}/start", {"HTTP_PROXY": DEAF, "NO_PROXY": "10.0.0.0/8"}),
    "a proxy of a kind that is not known": Surroundings(f"http://{HOST}/start", {"HTTP_PROXY": "gopher://h"}),
    "a proxy without a host": Surroundings(f"http://{HOST}/start", {"HTTP_PROXY": "http://"}),
    "a proxy by SOCKS": Surroundings(f"http://{HOST}/start", {"HTTP_PROXY": f"socks5://{HOST}"}),
    ".netrc": Surroundings(f"http://{HOST}/start", netrc="machine 127.0.0.1 login me password simsim"),
    ".netrc for another": Surroundings(f"http://{HOST}/start", netrc="machine h login me password simsim"),
    ".netrc that is none": Surroundings(f"http://{HOST}/start", netrc="machine machine machine"),
    "credentials in the URL": Surroundings(f"http://me:s%C3%BC%3A@{HOST}/start"),
    "a user in the URL": Surroundings(f"http://me@{HOST}/start"),
    "credentials and .netrc": Surroundings(f"http://me:sesame@{HOST}/start", netrc="default login you password simsim"),
    "credentials and a redirect": Surroundings(f"http://me:sesame@{HOST}/moved"),
    "credentials and a redirect to another host": Surroundings(f"http://me:sesame@{HOST}/far"),
    ".netrc for a redirect": Surroundings(f"http://{HOST}/far", netrc="machine localhost login me password simsim"),
    "a URL with escapes": Surroundings(f"http://{HOST}/a%2Fb/%7E/../ü d?x=%zz&y=a+b#here"),
    "a URL without a path": Surroundings(f"http://{HOST}"),
}


@pytest.mark.parametrize("name", SURROUNDINGS)
async def test_the_environment_and_the_url_are_heeded_as_by_requests(
    service: OddService, name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def here(text: str) -> str:
        return text.replace("PORT", str(service.port))

    given = SURROUNDINGS[name]
    for variable, value in given.environment.items():
        monkeypatch.setenv(variable, here(value))
    (tmp_path / "netrc").write_text(given.netrc)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    service.answers = {"/moved": to(b"/other", b"307 T"), "/far": to(b"http://localhost:PORT/other", b"307 T")}
    succeeded, asked = await by_requests(service, here(given.url))
    assert (await by_the_activity(service, here(given.url)))[0] == succeeded
    assert without_key(service.asked) == asked


async def test_a_token_goes_before_netrc(service: OddService, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "netrc").write_text("default login me password simsim")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    (tmp_path / "token").write_text("sesame")
    policy = HttpTarget(url=SecretStr(service.url), token_file=tmp_path / "token")
    service.answers, service.asked = {}, []
    await attempt_of().run(HttpBackup(Policies(fallback=policy)).http_backup, a_task())
    assert [each.headers["authorization"] for each in service.asked] == ["Bearer sesame"]
