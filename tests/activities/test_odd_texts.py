"""Texts of the outside world that break nothing: each run ends at once, as it should, in Temporal's own history."""

import asyncio

import pytest
from temporalio.client import Client, WorkflowFailureError, WorkflowHandle
from temporalio.exceptions import ApplicationError

from backup_scheduler.policies.http import HttpPolicy
from backup_scheduler.runs.results import BackupResult, Outcome
from tests.support.backup_requests import a_request
from tests.support.odd_service import odd_service, ok
from tests.support.restic_attempts import refused
from tests.support.restic_repository import Restic
from tests.support.workers import worker_with

REFUSALS = {
    "/reason": (ok(b"", status=b"403 geh\xf6rt nicht"), "answered 403 gehört nicht"),
    "/UTF-8": (ok(b"", status="403 gehört nicht".encode()), "answered 403 gehört nicht"),
    "/controls": (ok(b"no\x1b[2J\r\n\0x", status=b"403 \x07No"), "answered 403 No: no [2J x"),
    "/surrogate": (ok(b"no +2AA-", b"Content-Type: x; charset=utf-7", status=b"403 No"), "answered 403 No: no �"),
    "/huge": (ok(b"x" * 1_000_000, status=b"403 " + b"y" * 60_000), "answered 403 yyyy"),
}
SUCCESSES = {
    "/escape": (ok(rb"a\ud800", b"Content-Type: text/plain; charset=unicode_escape"), "a�"),
    "/utf-7": (ok(b"+2AA-", b"Content-Type: text/plain; charset=utf-7"), "�"),
    "/JSON": (ok(rb'{"a": "\ud800"}', b"Content-Type: application/json"), r'{"a": "\ud800"}'),
    "/NUL": (ok(b"a\0\x1b"), "a\0\x1b"),
}


async def ended(handle: WorkflowHandle[object, BackupResult]) -> BackupResult:
    try:
        return await handle.result()
    except WorkflowFailureError as error:
        failure = error.cause
    assert isinstance(failure, ApplicationError)
    return BackupResult.model_validate(failure.details[0])


async def test_odd_answers_are_asked_for_once_and_recorded(temporal: Client) -> None:
    async with odd_service() as service:
        service.answers = {path: answer for path, (answer, _) in (REFUSALS | SUCCESSES).items()}
        url = f"http://127.0.0.1:{service.port}"
        policies = {path: HttpPolicy(type="http", url=f"{url}{path}") for path in service.answers}
        async with worker_with(temporal, policies) as runs:
            handles = {path: await runs.start(a_request(policy_name=path)) for path in policies}
            results = dict(zip(handles, await asyncio.gather(*map(ended, handles.values())), strict=True))
    assert sorted(each.target for each in service.asked) == sorted(policies)
    for path, (_, message) in REFUSALS.items():
        assert results[path].outcome is Outcome.FAILED
        assert results[path].message.startswith(f"127.0.0.1 {message}"), results[path].message
        assert len(results[path].message) < 2_100
    for path, (_, body) in SUCCESSES.items():
        answer = results[path].answer
        assert answer
        assert (results[path].outcome, answer.body) == (Outcome.COMPLETED, body)


async def test_odd_words_of_restic_are_reported_as_far_as_they_can_be(
    restic: Restic, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = r"""#!/bin/sh
    case "$1" in backup) ;; *) exec "$(PATH="${PATH#*:}" command -v restic)" "$@" ;; esac
    echo '{"message_type": "error", "item": "/x", "error": {"message": "odd \ud800 \u001b[2J words"}}' >&2
    printf 'more \355\240\200\033 words\n' >&2
    exit 1
    """
    monkeypatch.setenv("PATH", restic.path_with(script))
    message = (await refused(restic.policy())).message
    message.encode()
    assert message.isprintable()
    assert "odd � [2J words" in message
    assert "more ��� words" in message
