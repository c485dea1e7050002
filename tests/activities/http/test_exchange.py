"""Exchanges with endpoints that hang, break off, flood or speak another protocol, and those that are given up."""

import asyncio
import logging
import re
import socket
import ssl
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest
from aiohttp import web
from pydantic import SecretStr
from temporalio.activity import ActivityCancellationDetails
from temporalio.exceptions import ApplicationError

from activities.http.backup import HttpBackup
from activities.http.exchange import LONGEST_BODY, Exchange
from backup_scheduler.policies.file import Policies
from backup_scheduler.policies.http import HttpTarget
from backup_scheduler.runs.results import HttpAnswer, Outcome
from lab.parts.backup_service import Answer, BackupService, answering
from tests.support.attempts import attempt_of
from tests.support.backup_requests import a_task
from tests.support.http_attempts import made, refused
from tests.support.odd_service import OPEN, answer, odd_service


async def test_a_target_that_refuses_connections_is_tried_again() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        error = await refused(
            HttpTarget(url=SecretStr(f"http://u:sesame@127.0.0.1:{unused.getsockname()[1]}/?k=sesame"))
        )
    assert not error.non_retryable
    assert error.message == "no connection to 127.0.0.1: Connection refused"


async def test_a_host_that_does_not_exist_is_tried_again() -> None:
    error = await refused(HttpTarget(url=SecretStr("http://host.invalid/?k=sesame")))
    assert not error.non_retryable
    assert error.message.startswith("no connection to host.invalid: ")


async def test_a_target_that_hangs_is_given_up_in_time(target: BackupService) -> None:
    async def hang(_: web.Request) -> web.StreamResponse:
        await asyncio.sleep(60)
        return web.Response()

    target.answers = [hang]
    error = await refused(target.policy(timeout=0.5))
    assert (error.message, error.non_retryable) == ("127.0.0.1 did not answer completely within 0.5 s", False)


async def drip(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    while True:
        await response.write(b"x")
        await asyncio.sleep(0.05)


async def half(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Length": "10"})
    await response.prepare(request)
    await response.write(b"x")
    assert request.transport
    request.transport.close()
    return response


@pytest.mark.parametrize(
    ("halting", "warning"),
    [
        (drip, r"the answer broke off after \d+ bytes: it was not complete within 1 s"),
        (half, r"the answer broke off after 1 bytes: IncompleteRead\(1 bytes read, 9 more expected\)"),
    ],
)
async def test_a_success_whose_body_breaks_off_is_not_asked_for_again_but_warned_of(
    target: BackupService, halting: Answer, warning: str
) -> None:
    target.answers = [halting]
    report = await made(target.policy(timeout=1))
    assert (report.outcome, report.message) == (Outcome.COMPLETED_WITH_WARNINGS, "127.0.0.1 answered 200")
    assert re.fullmatch(warning, "".join(report.warnings))
    assert report.answer
    assert report.answer.truncated
    assert str(report.answer.body).strip("x") == ""


async def test_an_endless_answer_is_read_up_to_the_limit(target: BackupService) -> None:
    async def flood(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/json", "Content-Length": str(2 << 30)})
        await response.prepare(request)
        while True:
            await response.write(b"x" * 1024)

    target.answers = [flood]
    report = await made(target.policy(timeout=20))
    assert report.answer is not None
    assert report.answer.truncated
    assert report.answer.body == "x" * LONGEST_BODY


async def test_an_answer_that_stops_at_the_limit_without_an_end_broke_off(target: BackupService) -> None:
    async def stop(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"x" * LONGEST_BODY)
        await asyncio.sleep(60)
        return response

    target.answers = [stop]
    report = await made(target.policy(timeout=1))
    assert report.warnings == ["the answer broke off after 65,536 bytes: it was not complete within 1 s"]
    assert report.answer == HttpAnswer(status=200, body="x" * LONGEST_BODY, truncated=True)


MANY = [b"Header: x"] * 200
"""More headers than Python reads."""


async def test_an_answer_with_too_many_headers_has_its_status_and_no_body() -> None:
    async with odd_service() as service:
        service.answers = {"/start": answer(b"202 Accepted", *MANY, body=b"not read") + OPEN}
        report = await made(HttpTarget(url=SecretStr(service.url), timeout=timedelta(seconds=20)))
    assert (report.outcome, report.message) == (Outcome.COMPLETED, "127.0.0.1 answered 202")
    assert report.answer == HttpAnswer(status=202, body="")


@pytest.mark.parametrize("status", [b"300 Choices", b"302 Found", b"399 Odd"])
async def test_a_redirect_whose_headers_cannot_be_read_is_no_answer(status: bytes) -> None:
    async with odd_service() as service:
        service.answers = {"/start": answer(status, *MANY)}
        error = await refused(HttpTarget(url=SecretStr(service.url)))
    assert (error.message, error.non_retryable) == (
        "the exchange with 127.0.0.1 broke off: got more than 100 headers",
        False,
    )


async def test_the_body_of_a_redirect_is_not_waited_for(target: BackupService) -> None:
    async def flood(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(status=302, headers={"Location": "/other"})
        await response.prepare(request)
        while True:
            await response.write(bytes(1 << 16))

    target.answers = [flood, answering(200)]
    assert (await made(target.policy(timeout=20))).outcome is Outcome.COMPLETED


@pytest.mark.parametrize(
    ("sent", "words"),
    [
        (b"", "the connection was closed without an answer"),
        (b"SSH-2.0-OpenSSH\r\n", r"the answer is not HTTP but begins with 'SSH-2.0-OpenSSH\\r\\n'"),
        (b"HTTP/1.1 " + b"x" * 70_000, "got more than 65536 bytes when reading status line"),
    ],
)
async def test_how_an_exchange_broke_off_is_reported(sent: bytes, words: str) -> None:
    async with odd_service() as service:
        service.answers = {"/start?k=sesame": sent}
        error = await refused(HttpTarget(url=SecretStr(f"{service.url}?k=sesame")))
    assert not error.non_retryable
    assert re.fullmatch(f"the exchange with 127.0.0.1 broke off: {words}", error.message)


async def certified(folder: Path) -> ssl.SSLContext:
    """Make a certificate for 127.0.0.1 that no authority knows, in the file `cert`."""
    made_by = await asyncio.create_subprocess_exec(
        *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost", "-days", "1"),
        *("-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(folder / "key"), "-out", str(folder / "cert")),
        stderr=asyncio.subprocess.DEVNULL,
    )
    assert await made_by.wait() == 0
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(folder / "cert", folder / "key")
    return context


@pytest.mark.programs
async def test_a_private_authority_is_trusted_and_an_exchange_by_tls_is_cut_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = asyncio.Event()

    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx")
        with suppress(OSError):
            while await reader.read(999):
                pass
        left.set()
        writer.close()

    server = await asyncio.start_server(hang, "127.0.0.1", 0, ssl=await certified(tmp_path))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "cert"))
    async with server:
        port = server.sockets[0].getsockname()[1]
        report = await made(HttpTarget(url=SecretStr(f"https://127.0.0.1:{port}/"), timeout=timedelta(seconds=2)))
        await asyncio.wait_for(left.wait(), 5)
    assert report.warnings == ["the answer broke off after 1 bytes: it was not complete within 2 s"]
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/none")
    error = await refused(HttpTarget(url=SecretStr("https://127.0.0.1/")))
    assert error.message == (
        "no connection to 127.0.0.1: the certificates in /none cannot be read: No such file or directory"
    )


@pytest.mark.programs
async def test_a_target_that_speaks_no_tls_or_has_no_valid_certificate_is_tried_again(
    target: BackupService, tmp_path: Path
) -> None:
    error = await refused(target.policy(url=target.url.replace("http:", "https:")))
    assert not error.non_retryable
    assert error.message == "no connection to 127.0.0.1: TLS: wrong version number"

    context = await certified(tmp_path)
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0, ssl=context)
    async with server:
        error = await refused(target.policy(url=f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/"))
    assert not error.non_retryable
    assert error.message.startswith("127.0.0.1 has no valid TLS certificate: ")
    assert "self-signed certificate" in error.message


async def test_no_library_logs_a_url(caplog: pytest.LogCaptureFixture) -> None:
    async with odd_service() as service:
        service.answers = {"/start?k=sesame": answer(b"200 OK", b"no colon", body=b"ok")}
        with caplog.at_level(logging.DEBUG):
            await made(HttpTarget(url=SecretStr(f"{service.url}?k=sesame")))
        assert service.asked
    assert "sesame" not in caplog.text


async def test_a_cancelled_exchange_ends_at_once(target: BackupService) -> None:
    asked, left = asyncio.Event(), asyncio.Event()

    async def hang(_: web.Request) -> web.StreamResponse:
        asked.set()
        try:
            await asyncio.sleep(60)
        finally:
            left.set()
        return web.Response()

    target.answers = [hang]
    environment = attempt_of()
    running = asyncio.create_task(environment.run(HttpBackup(Policies(fallback=target.policy())).http_backup, a_task()))
    await asked.wait()
    environment.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    await asyncio.wait_for(left.wait(), 5)  # its connection is closed


async def test_what_is_cut_before_it_is_connected_sends_nothing(target: BackupService) -> None:
    target.answers = [answering(200)]
    exchange = Exchange(f"{target.url}/start", {"a": 1}, {}, None)
    exchange.abort("given up")
    with pytest.raises(OSError, match="given up"):
        await asyncio.to_thread(exchange.send, 5)
    assert target.received == []


async def test_a_worker_that_stops_hands_the_attempt_over(target: BackupService) -> None:
    asked = asyncio.Event()

    async def hang(_: web.Request) -> web.StreamResponse:
        asked.set()
        await asyncio.sleep(60)
        return web.Response()

    target.answers = [hang]
    environment = attempt_of()
    running = asyncio.create_task(environment.run(HttpBackup(Policies(fallback=target.policy())).http_backup, a_task()))
    await asked.wait()
    environment.cancel(ActivityCancellationDetails(worker_shutdown=True))
    with pytest.raises(ApplicationError, match="the worker was stopped during the backup") as caught:
        await running
    assert not caught.value.non_retryable
    assert caught.value.next_retry_delay == timedelta(seconds=1)
