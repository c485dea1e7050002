"""The wait for the end of a backup that a service has begun: requests to a real endpoint, and what comes of them."""

import asyncio
import time
from dataclasses import replace
from datetime import timedelta
from itertools import count, islice, pairwise

import pytest
from aiohttp import web
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

import activities.attempts
from activities.attempts import Progress
from activities.http import polling
from backup_scheduler import masking
from backup_scheduler.policies.http import HttpPolicy
from backup_scheduler.runs.results import BegunBackup, Outcome
from lab.parts.backup_service import Answer, BackupService, answering, backup_service
from tests.support.attempts import attempt_of
from tests.support.http_attempts import ACCEPTED, begun, ended, later, says


async def cut(_: web.Request) -> web.StreamResponse:
    raise ConnectionResetError


async def failure(policy: HttpPolicy, backup: BegunBackup, limit: float = 30) -> ApplicationError:
    with pytest.raises(ApplicationError) as caught:
        await ended(policy, backup, limit)
    assert caught.value.non_retryable, "another attempt would only ask the same again"
    return caught.value


async def test_a_backup_that_has_begun_is_looked_at_until_it_was_made(target: BackupService) -> None:
    target.answers = [
        ACCEPTED,
        says("queued"),
        says("running"),
        says("ok", why="all fine", result={"files": 3, "bytes": 9, "id": "abc"}),
    ]
    policy = later(target, files="/result/files", bytes="/result/bytes", snapshot_id="/result/id")
    report = await ended(policy, await begun(policy))
    assert report.outcome is Outcome.COMPLETED
    assert report.message == "127.0.0.1 says 'ok': all fine"
    assert (report.files, report.bytes_processed, report.snapshot_id) == (3, 9, "abc")
    assert report.answer is not None
    assert report.answer.body == {"state": "ok", "why": "all fine", "result": {"files": 3, "bytes": 9, "id": "abc"}}
    posted, *looked = target.received
    assert (posted.method, posted.path) == ("POST", "/start")
    assert [(look.method, look.path, look.form) for look in looked] == [("GET", "/jobs/7", [])] * 3


async def test_without_a_state_the_status_tells_the_end(target: BackupService) -> None:
    target.answers = [ACCEPTED, answering(202), answering(202), answering(204)]
    policy = target.policy(completion="poll", poll_every=0.05)
    report = await ended(policy, await begun(policy))
    assert (report.outcome, report.message) == (Outcome.COMPLETED, "127.0.0.1 answered 204")
    assert len(target.received) == 4


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (says("bad", why="disk\nfull"), "127.0.0.1 says 'bad': disk full"),
        (says("bad"), '127.0.0.1 says \'bad\'; 127.0.0.1 answered 200 OK: {"state": "bad"}'),
        (
            answering(410, text="gone"),
            "how the backup ended is not known: 127.0.0.1 answered 410 Gone: gone",
        ),
    ],
)
async def test_a_backup_that_was_not_made_fails_the_run(target: BackupService, answer: Answer, sentence: str) -> None:
    target.answers = [ACCEPTED, says("running"), answer]
    policy = later(target)
    assert (await failure(policy, await begun(policy))).message == sentence


@pytest.mark.parametrize(
    "trouble",
    [answering(404), answering(401), answering(500), answering(503), answering(429), answering(408), cut, says(None)],
)
async def test_what_a_restart_of_the_service_brings_passes(target: BackupService, trouble: Answer) -> None:
    target.answers = [ACCEPTED, says("running"), trouble, trouble, says("ok")]
    policy = later(target)
    assert (await ended(policy, await begun(policy))).outcome is Outcome.COMPLETED
    assert [request.method for request in target.received].count("POST") == 1


async def test_a_service_that_is_down_is_asked_again(target: BackupService) -> None:
    async with backup_service(ACCEPTED) as gone:
        policy = later(gone)
        backup = await begun(policy)
    error = await failure(policy, backup, 0.5)
    assert error.message.startswith("the backup did not end within 0.5 s; at last: the status is not known: ")
    assert error.message.endswith("no connection to 127.0.0.1: Connection refused")


async def test_a_service_that_does_not_know_the_backup_for_a_minute_fails_the_run(
    target: BackupService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(polling, "_REFUSED_FOR", 1)
    target.answers = [ACCEPTED, answering(404), answering(404), says("running"), answering(404, text="no job 7")]
    policy = later(target)
    began = time.monotonic()
    error = await failure(policy, await begun(policy))
    assert error.message == (
        "how the backup ended is not known: 127.0.0.1 answered 404 Not Found: no job 7, for a minute and more"
    )
    assert time.monotonic() - began > 1
    assert len(target.received) > 6


async def test_refusals_with_a_status_between_them_do_not_add_up(
    target: BackupService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(polling, "_REFUSED_FOR", 0.3)
    looks = count()

    async def now_and_then(request: web.Request) -> web.StreamResponse:
        return await (answering(404) if next(looks) % 2 else says("running"))(request)

    target.answers = [ACCEPTED, now_and_then]
    policy = later(target, poll_every=0.02)
    assert (await failure(policy, await begun(policy), 1)).message.startswith("the backup did not end within 1 s")


async def test_a_refusal_is_shown(target: BackupService) -> None:
    target.answers = [ACCEPTED, answering(404, text="no job 7")]
    policy = later(target)
    assert (await failure(policy, await begun(policy), 0.2)).message == (
        "the backup did not end within 0.2 s; at last: the status is not known: 127.0.0.1 answered 404 Not Found: "
        "no job 7"
    )


async def test_a_state_that_nobody_knows_is_shown_and_asked_about_until_the_time_is_up(target: BackupService) -> None:
    target.answers = [ACCEPTED, says("napping")]
    policy = later(target)
    error = await failure(policy, await begun(policy), 1.5)
    assert error.message == "the backup did not end within 1.5 s; at last: 127.0.0.1 says 'napping'"
    assert len(target.received) > 3


async def test_the_time_that_earlier_attempts_took_counts_and_a_last_look_is_made(target: BackupService) -> None:
    target.answers = [ACCEPTED, says("running")]
    policy = later(target)
    backup, environment = await begun(policy), attempt_of(2)
    environment.info = replace(environment.info, scheduled_time=environment.info.started_time - timedelta(seconds=99))
    with pytest.raises(ApplicationError, match="did not end within 60 s"):
        await ended(policy, backup, 60, environment)
    assert len(target.received) == 2


async def test_a_slow_status_is_given_up_and_asked_for_again(target: BackupService) -> None:
    async def hang(_: web.Request) -> web.StreamResponse:
        await asyncio.sleep(60)
        return web.Response()

    target.answers = [ACCEPTED, hang, says("ok")]
    policy = later(target, timeout=1)
    assert (await ended(policy, await begun(policy))).outcome is Outcome.COMPLETED


async def test_retry_after_is_heeded_between_looks(target: BackupService) -> None:
    wait = {"Retry-After": "1"}
    target.answers = [
        answering(202, headers={"Location": "/jobs/7", **wait}),
        answering(503, headers=wait),
        answering(202, text='{"state": "running"}', headers=wait),
        says("ok"),
    ]
    policy = later(target)
    await ended(policy, await begun(policy))
    moments = [request.at for request in target.received]
    assert all(after - before >= 1 for before, after in pairwise(moments))


async def test_a_retry_after_counts_for_one_pause(target: BackupService) -> None:
    once = answering(202, text='{"state": "running"}', headers={"Retry-After": "1"})
    target.answers = [ACCEPTED, once, *[says("running")] * 4, says("ok")]
    policy = later(target)
    await ended(policy, await begun(policy))
    first, *gaps = (after.at - before.at for before, after in pairwise(target.received[1:]))
    assert first >= 1 > min(gaps)


async def test_a_retry_after_of_days_does_not_outlast_the_time_limit(target: BackupService) -> None:
    target.answers = [answering(202, headers={"Location": "/jobs/7", "Retry-After": "86400"}), says("ok")]
    policy = later(target)
    assert (await ended(policy, await begun(policy), 0.5)).outcome is Outcome.COMPLETED


def test_pauses_grow_up_to_the_one_of_the_policy() -> None:
    assert list(islice(polling.usual_pauses(7), 6)) == [2, 3, 4.5, 6.75, 7, 7]
    assert list(islice(polling.usual_pauses(0.5), 3)) == [0.5, 0.5, 0.5]


@pytest.fixture
def beating(monkeypatch: pytest.MonkeyPatch) -> tuple[ActivityEnvironment, list[Progress]]:
    """An attempt whose first heartbeat comes soon after the first look, and what its heartbeats say."""
    monkeypatch.setattr(activities.attempts, "_FIRST_HEARTBEAT", timedelta(seconds=1))
    environment, beats = attempt_of(), list[Progress]()
    environment.on_heartbeat = lambda progress, *_: beats.append(progress)
    return environment, beats


async def test_progress_is_shown(target: BackupService, beating: tuple[ActivityEnvironment, list[Progress]]) -> None:
    environment, beats = beating
    release = asyncio.Event()

    async def free(_: web.Request) -> web.StreamResponse:
        await release.wait()
        return web.json_response({"state": "ok"})

    target.answers = [ACCEPTED, says("copying", done={"percent": 42.5, "files": 3, "bytes": 1 << 40}), free]
    policy = later(target, percent="/done/percent", files="/done/files", bytes="/done/bytes")
    running = asyncio.create_task(ended(policy, await begun(policy), 60, environment))
    while not beats:
        await asyncio.sleep(0.05)
    release.set()
    await running
    assert beats[0] == Progress(step="127.0.0.1 says 'copying'", percent=42.5, files_done=3, bytes_done=1 << 40)


async def test_what_is_shown_of_a_status_that_cannot_be_read_has_no_secret(
    target: BackupService, beating: tuple[ActivityEnvironment, list[Progress]]
) -> None:
    masking.hide("open-sesame")
    environment, beats = beating
    target.answers = [ACCEPTED, answering(503, reason="open-sesame", text="Bearer open-sesame")]
    policy = later(target)
    with pytest.raises(ApplicationError) as caught:
        await ended(policy, await begun(policy), 1.5, environment)
    assert {beat.step for beat in beats} == {
        "the status is not known: 127.0.0.1 answered 503 ***: Bearer ***",
    }
    assert "open-sesame" not in caught.value.message
