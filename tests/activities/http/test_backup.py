"""The http activity's requests to a real endpoint, and its reports on the answers."""

from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import SecretStr

from activities.restic.backup import TIME_TO_STOP
from backup_scheduler.policies.http import HttpTarget
from backup_scheduler.runs.results import Outcome
from lab.parts.backup_service import BackupService, answering
from tests.support.backup_requests import a_task
from tests.support.http_attempts import made, refused

BAD_REDIRECT = "127.0.0.1 redirected to a URL that is not valid"


async def test_a_backup_is_asked_for_with_all_url_kwargs_the_policy_and_a_key(target: BackupService) -> None:
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
async def test_a_status_of_200_to_399_is_success(target: BackupService, status: int) -> None:
    target.answers = [answering(status)]
    assert (await made(target.policy())).outcome is Outcome.COMPLETED


@pytest.mark.parametrize(
    ("status", "lasting"), [(500, False), (503, False), (408, False), (429, False), (400, True), (404, True)]
)
async def test_what_may_pass_is_tried_again_and_what_will_not_is_not(
    target: BackupService, status: int, lasting: bool
) -> None:
    target.answers = [answering(status)]
    error = await refused(target.policy(url=f"{target.url}/start?key=sesame"))
    assert error.non_retryable is lasting
    assert error.type == ("BackupTargetRefused" if lasting else "BackupTargetUnavailable")
    assert error.message.startswith(f"127.0.0.1 answered {status} ")
    assert "sesame" not in error.message


async def test_retry_after_is_respected(target: BackupService) -> None:
    target.answers = [answering(429, headers={"Retry-After": "77"})]
    assert (await refused(target.policy())).next_retry_delay == timedelta(seconds=77)


@pytest.mark.parametrize(("status", "method"), [(301, "GET"), (302, "GET"), (303, "GET"), (307, "POST"), (308, "POST")])
async def test_redirects_are_followed_as_requests_does(target: BackupService, status: int, method: str) -> None:
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
async def test_redirects_that_lead_nowhere_fail_for_good(target: BackupService, location: str, sentence: str) -> None:
    target.answers = [answering(302, headers={"Location": location})]
    error = await refused(target.policy())
    assert (error.message, error.non_retryable) == (sentence, True)


async def test_the_token_is_read_at_each_attempt_and_stays_unsaid(target: BackupService, tmp_path: Path) -> None:
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
    target: BackupService, tmp_path: Path, content: bytes | None
) -> None:
    token_file = tmp_path / "token"
    if content is not None:
        token_file.write_bytes(content)
    error = await refused(target.policy(token_file=token_file))
    assert error.non_retryable
    assert str(token_file) in error.message


async def test_credentials_in_the_fallback_url_are_used_and_stay_unsaid(target: BackupService) -> None:
    target.answers = [answering(401)]
    url = target.url.replace("http://", "http://user:sesame@")
    error = await refused(HttpTarget(url=SecretStr(url)))
    assert target.received[0].headers["Authorization"].startswith("Basic ")
    assert error.message == "127.0.0.1 answered 401 Unauthorized"


async def test_what_a_service_says_of_a_refusal_is_reported_without_the_secrets_that_it_was_sent(
    target: BackupService, tmp_path: Path
) -> None:
    token_file = tmp_path / "token"
    token_file.write_text("simsalabim")
    echo = "no right: Bearer simsalabim, /start?key=abracadabra"
    target.answers = [answering(403, text=echo)]
    error = await refused(target.policy(url=f"{target.url}/start?key=abracadabra", token_file=token_file))
    assert error.message == "127.0.0.1 answered 403 Forbidden: no right: Bearer ***, /start?***"


async def test_a_delay_that_leaves_no_time_for_another_attempt_is_shortened(target: BackupService) -> None:
    target.answers = [answering(503, headers={"Retry-After": "86400"})]
    error = await refused(target.policy(timeout=30))
    assert error.next_retry_delay
    left = timedelta(seconds=100) + TIME_TO_STOP  # of attempt_of
    assert left - timedelta(seconds=60) < error.next_retry_delay <= left - timedelta(seconds=30)
