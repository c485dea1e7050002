"""The http activity against a real endpoint that does what endpoints do."""

import asyncio
import logging
import re
import socket
import ssl
from collections.abc import Awaitable
from datetime import timedelta
from pathlib import Path

import pytest
from aiohttp import web
from pydantic import SecretStr
from temporalio.activity import ActivityCancellationDetails
from temporalio.exceptions import ApplicationError

from activities.http_backup import HttpBackup
from activities.http_exchange import LONGEST_BODY, Exchange
from activities.restic_backup import TIME_TO_STOP
from backup_scheduler.backups import BackupReport, BackupTask, Outcome
from backup_scheduler.policies import HttpTarget, Policies
from tests.worker.odd_service import answer, odd_service
from tests.worker.parts import Answer, Target, a_task, answering, attempt_of

BAD_REDIRECT = "127.0.0.1 redirected to a URL that is not valid"


async def made(policy: HttpTarget, task: BackupTask | None = None) -> BackupReport:
    running: Awaitable[BackupReport] = attempt_of().run(
        HttpBackup(Policies(fallback=policy)).http_backup, task or a_task()
    )
    return await running


async def refused(policy: HttpTarget) -> ApplicationError:
    with pytest.raises(ApplicationError) as caught:
        await made(policy)
    return caught.value


async def test_a_backup_is_asked_for_with_all_url_kwargs_the_policy_and_a_key(target: Target) -> None:
    target.answers = [answering(202, text='{"id": 7}', content_type="application/json")]
    task = a_task(url_kwargs={"tenant": "ü", "full": True, "ids": [1, 2], "skip": None}, occurrence="backup-ü\n1")
    report = await made(target.policy(), task)
    assert report.outcome is Outcome.COMPLETED
    assert report.answer is not None
    assert (report.answer.status, report.answer.body) == (202, {"id": 7})
    (request,) = target.received
    assert request.method == "POST"
    assert request.form == [("tenant", "ü"), ("full", "True"), ("ids", "1"), ("ids", "2"), ("policy_name", "nightly")]
    assert request.headers["Idempotency-Key"] == "backup-%C3%BC%0A1"
    assert request.headers["Content-Type"] == "application/x-www-form-urlencoded"
    assert "Authorization" not in request.headers


@pytest.mark.parametrize("status", [200, 204, 304, 399])
async def test_a_status_of_200_to_399_is_success(target: Target, status: int) -> None:
    target.answers = [answering(status)]
    assert (await made(target.policy())).outcome is Outcome.COMPLETED


@pytest.mark.parametrize(
    ("status", "lasting"), [(500, False), (503, False), (408, False), (429, False), (400, True), (404, True)]
)
async def test_what_may_pass_is_tried_again_and_what_will_not_is_not(
    target: Target, status: int, lasting: bool
) -> None:
    target.answers = [answering(status)]
    error = await refused(target.policy(url=f"{target.url}/start?key=sesame"))
    assert error.non_retryable is lasting
    assert error.message.startswith(f"127.0.0.1 answered {status} ")
    assert "sesame" not in error.message


async def test_retry_after_is_respected(target: Target) -> None:
    target.answers = [answering(429, headers={"Retry-After": "77"})]
    assert (await refused(target.policy())).next_retry_delay == timedelta(seconds=77)


@pytest.mark.parametrize(("status", "method"), [(301, "GET"), (302, "GET"), (303, "GET"), (307, "POST"), (308, "POST")])
async def test_redirects_are_followed_as_requests_does(target: Target, status: int, method: str) -> None:
    target.answers = [answering(status, headers={"Location": "/other"}), answering(200)]
    assert (await made(target.policy())).outcome is Outcome.COMPLETED
    assert [(request.method, request.path) for request in target.received] == [("POST", "/start"), (method, "/other")]
    assert bool(target.received[1].form) is (method == "POST")


@pytest.mark.parametrize(
    ("location", "sentence"),
    [
        ("/start", "127.0.0.1 redirected more than 30 times"),
        ("ftp://u:sesame@h/", f"{BAD_REDIRECT}: it begins with 'ftp' and not with 'http' or 'https'"),
        ("mailto:sesame", f"{BAD_REDIRECT}: it begins with 'mailto' and not with 'http' or 'https'"),
        ("http://h:port/?sesame", f"{BAD_REDIRECT}: the host or port of 'h' cannot be"),
        ("http://a..b/sesame", f"{BAD_REDIRECT}: the host or port of 'a..b' cannot be"),
        ("http://u:ses#ame@h/", f"{BAD_REDIRECT}: the host or port of 'u' cannot be"),
        ("http://[::1/sesame", BAD_REDIRECT),
    ],
)
async def test_redirects_that_lead_nowhere_fail_for_good(target: Target, location: str, sentence: str) -> None:
    target.answers = [answering(302, headers={"Location": location})]
    error = await refused(target.policy())
    assert (error.message, error.non_retryable) == (sentence, True)


async def test_the_token_is_read_at_each_attempt_and_stays_unsaid(target: Target, tmp_path: Path) -> None:
    token_file = tmp_path / "token"
    target.answers = [answering(200), answering(401, reason="No")]
    token_file.write_text("sesame\n")
    await made(target.policy(token_file=token_file))
    token_file.write_text("simsim")
    error = await refused(target.policy(token_file=token_file))
    assert [request.headers["Authorization"] for request in target.received] == ["Bearer sesame", "Bearer simsim"]
    assert error.message == "127.0.0.1 answered 401 No"


@pytest.mark.parametrize("content", [None, b"", b"a\nb", b"\xff"])
async def test_a_token_file_that_holds_no_token_fails_for_good(
    target: Target, tmp_path: Path, content: bytes | None
) -> None:
    token_file = tmp_path / "token"
    if content is not None:
        token_file.write_bytes(content)
    error = await refused(target.policy(token_file=token_file))
    assert error.non_retryable
    assert str(token_file) in error.message


async def test_credentials_in_the_fallback_url_are_used_and_stay_unsaid(target: Target) -> None:
    target.answers = [answering(401)]
    url = target.url.replace("http://", "http://user:sesame@")
    error = await refused(HttpTarget(url=SecretStr(url)))
    assert target.received[0].headers["Authorization"].startswith("Basic ")
    assert error.message == "127.0.0.1 answered 401 Unauthorized"


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


async def test_a_target_that_hangs_is_given_up_in_time(target: Target) -> None:
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
        (drip, r"the answer broke off after \d+ bytes: it was not complete within 0.5 s"),
        (half, r"the answer broke off after 1 bytes: IncompleteRead\(1 bytes read, 9 more expected\)"),
    ],
)
async def test_a_success_whose_body_breaks_off_is_not_asked_for_again_but_warned_of(
    target: Target, halting: Answer, warning: str
) -> None:
    target.answers = [halting]
    report = await made(target.policy(timeout=0.5))
    assert (report.outcome, report.message) == (Outcome.COMPLETED_WITH_WARNINGS, "127.0.0.1 answered 200")
    assert re.fullmatch(warning, "".join(report.warnings))
    assert report.answer
    assert report.answer.truncated
    assert str(report.answer.body).strip("x") == ""


async def test_an_endless_answer_is_read_up_to_the_limit(target: Target) -> None:
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


async def test_the_body_of_a_redirect_is_not_waited_for(target: Target) -> None:
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
async def test_how_an_exchange_broke_off_is_told(sent: bytes, words: str) -> None:
    async with odd_service() as service:
        service.answers = {"/start?k=sesame": sent}
        error = await refused(HttpTarget(url=SecretStr(f"{service.url}?k=sesame")))
    assert not error.non_retryable
    assert re.fullmatch(f"the exchange with 127.0.0.1 broke off: {words}", error.message)


async def test_a_target_that_speaks_no_tls_or_has_no_valid_certificate_is_tried_again(
    target: Target, tmp_path: Path
) -> None:
    error = await refused(target.policy(url=target.url.replace("http:", "https:")))
    assert not error.non_retryable
    assert error.message == "no connection to 127.0.0.1: TLS: wrong version number"

    made_by = await asyncio.create_subprocess_exec(
        *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost", "-days", "1"),
        *("-keyout", str(tmp_path / "key"), "-out", str(tmp_path / "cert")),
        stderr=asyncio.subprocess.DEVNULL,
    )
    assert await made_by.wait() == 0
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(tmp_path / "cert", tmp_path / "key")
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0, ssl=context)
    async with server:
        error = await refused(target.policy(url=f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/"))
    assert not error.non_retryable
    assert error.message.startswith("127.0.0.1 has no valid TLS certificate: ")
    assert "self-signed certificate" in error.message


async def test_what_a_service_says_of_a_refusal_is_told_without_the_secrets_that_it_was_sent(
    target: Target, tmp_path: Path
) -> None:
    token_file = tmp_path / "token"
    token_file.write_text("simsalabim")
    echo = "no right: Bearer simsalabim, /start?key=abracadabra"
    target.answers = [answering(403, text=echo)]
    error = await refused(target.policy(url=f"{target.url}/start?key=abracadabra", token_file=token_file))
    assert error.message == "127.0.0.1 answered 403 Forbidden: no right: Bearer ***, /start?***"


async def test_no_library_logs_a_url(caplog: pytest.LogCaptureFixture) -> None:
    async with odd_service() as service:
        service.answers = {"/start?k=sesame": answer(b"200 OK", b"no colon", body=b"ok")}
        with caplog.at_level(logging.DEBUG):
            await made(HttpTarget(url=SecretStr(f"{service.url}?k=sesame")))
        assert service.asked
    assert "sesame" not in caplog.text


async def test_a_delay_that_leaves_no_time_for_another_attempt_is_shortened(target: Target) -> None:
    target.answers = [answering(503, headers={"Retry-After": "86400"})]
    error = await refused(target.policy(timeout=30))
    assert error.next_retry_delay
    left = timedelta(seconds=100) + TIME_TO_STOP  # of attempt_of
    assert left - timedelta(seconds=60) < error.next_retry_delay <= left - timedelta(seconds=30)


async def test_a_cancelled_exchange_ends_at_once(target: Target) -> None:
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


async def test_what_is_cut_before_it_is_connected_sends_nothing(target: Target) -> None:
    target.answers = [answering(200)]
    exchange = Exchange(f"{target.url}/start", {"a": 1}, {}, None)
    exchange.cut("given up")
    with pytest.raises(OSError, match="given up"):
        await asyncio.to_thread(exchange.post, 5)
    assert target.received == []


async def test_a_worker_that_stops_hands_the_attempt_over(target: Target) -> None:
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
