"""The requests for the status of a backup that has begun: their URLs, and what they carry to whom."""

import asyncio
import json
from dataclasses import replace
from pathlib import Path

import pytest
from aiohttp import web
from temporalio.exceptions import ApplicationError

from activities.http.backup import HttpBackup
from backup_scheduler.policies.file import Policies
from backup_scheduler.runs.results import Outcome
from lab.parts.backup_service import BackupService, answering, backup_service
from tests.support.attempts import attempt_of
from tests.support.backup_requests import a_task
from tests.support.http_attempts import ACCEPTED, begun, ended, later, says


async def test_a_303_is_looked_at_as_the_status_and_its_trouble_repeats_no_request(target: BackupService) -> None:
    see = answering(303, headers={"Location": "/jobs/7"})
    target.answers = [see, answering(503), says("running"), says("ok")]
    policy = later(target)
    assert (await ended(policy, await begun(policy))).outcome is Outcome.COMPLETED
    assert [request.method for request in target.received] == ["POST", "GET", "GET", "GET"]


async def test_a_request_that_is_sent_on_as_it_is_may_be_answered_elsewhere(target: BackupService) -> None:
    on = answering(307, headers={"Location": "/there/start"})
    target.answers = [on, answering(202, headers={"Location": "jobs/7"}), says("ok")]
    policy = later(target)
    await ended(policy, await begun(policy))
    asked = [(request.method, request.path) for request in target.received]
    assert asked == [("POST", "/start"), ("POST", "/there/start"), ("GET", "/there/jobs/7")]


async def test_the_token_goes_to_the_host_of_the_policy_and_to_no_other(target: BackupService, tmp_path: Path) -> None:
    token_file = tmp_path / "token"
    token_file.write_text("sesame")
    async with backup_service(says("ok"), host="127.0.0.2") as other:
        for url, service in ((f"{target.url}/jobs/7", target), (f"{other.url}/jobs/7", other)):
            target.answers = [answering(202, headers={"Operation-Location": url, "Location": "/result"}), says("ok")]
            policy = later(target, token_file=token_file)
            await ended(policy, await begun(policy))
            assert (service.received[-1].method, service.received[-1].path) == ("GET", "/jobs/7")
            sent = service.received[-1].headers.get("Authorization")
            assert sent == ("Bearer sesame" if service is target else None)


async def test_the_token_does_not_follow_a_status_that_is_redirected_to_another_host(
    target: BackupService, tmp_path: Path
) -> None:
    token_file = tmp_path / "token"
    token_file.write_text("sesame")
    async with backup_service(says("ok"), host="127.0.0.2") as other:
        target.answers = [ACCEPTED, answering(302, headers={"Location": f"{other.url}/jobs/7"})]
        policy = later(target, token_file=token_file)
        await ended(policy, await begun(policy))
        assert "Authorization" not in other.received[0].headers
    assert [request.headers["Authorization"] for request in target.received] == ["Bearer sesame"] * 2


async def test_a_token_is_read_at_each_look_and_one_that_is_being_replaced_is_waited_for(
    target: BackupService, tmp_path: Path
) -> None:
    token_file = tmp_path / "token"
    token_file.write_text("sesame")

    async def replaced(_: web.Request) -> web.StreamResponse:
        token_file.unlink()
        asyncio.get_running_loop().call_later(0.3, token_file.write_text, "simsim")
        return web.json_response({"state": "running"})

    target.answers = [ACCEPTED, replaced, says("ok")]
    policy = later(target, token_file=token_file)
    assert (await ended(policy, await begun(policy))).outcome is Outcome.COMPLETED
    sent = [request.headers["Authorization"] for request in target.received]
    assert sent == ["Bearer sesame", "Bearer sesame", "Bearer simsim"]


async def test_a_long_status_is_read_and_the_result_keeps_its_beginning(target: BackupService) -> None:
    long = {"files": ["x" * 70] * 10_000}
    answers = [answering(202, text=json.dumps(long | {"id": 7})), says("running", **long), says("ok", **long)]
    policy = later(target, status_url=f"{target.url}/jobs/{{id}}")
    target.answers = [*answers]
    report = await ended(policy, await begun(policy))
    assert report.answer is not None
    assert (len(str(report.answer.body)), report.answer.truncated) == (64 * 1024, True)
    assert target.received[-1].path == "/jobs/7"


async def test_a_policy_names_the_url_itself_and_the_run(target: BackupService) -> None:
    started = answering(200, text='{"job": {"id": "a/b?c"}, "n": 5}', headers={"Location": "/elsewhere"})
    target.answers = [started, says("ok")]
    policy = later(target, status_url=f"{target.url}/{{/job/id}}/{{n}}/{{run_id}}", run_id_field="run")
    await ended(policy, await begun(policy))
    run_id = attempt_of().info.workflow_id
    assert ("run", run_id) in target.received[0].form
    assert target.received[0].headers["Backup-Run-Id"] == run_id
    assert target.received[1].path == f"/a/b?c/5/{run_id}"  # aiohttp decodes it


async def test_a_url_kwarg_that_has_the_name_of_the_run_id_is_not_overwritten(target: BackupService) -> None:
    target.answers = [ACCEPTED]
    with pytest.raises(ApplicationError) as caught:
        await begun(later(target, run_id_field="run"), a_task(url_kwargs={"run": 7}))
    assert caught.value.non_retryable
    assert caught.value.message == (
        "the job has a url_kwarg 'run', which is the run_id_field of its policy: one of them needs another name"
    )
    assert target.received == []


async def test_a_run_id_goes_into_its_header_as_it_is_but_for_what_a_header_cannot_carry(target: BackupService) -> None:
    target.answers = [ACCEPTED]
    environment = attempt_of()
    environment.info = replace(environment.info, workflow_id="backup-ü 5%-2026-01-01T02:00:00Z")
    await environment.run(HttpBackup(Policies({"nightly": later(target)})).http_begin, a_task())
    assert target.received[0].headers["Backup-Run-Id"] == "backup-%C3%BC 5%25-2026-01-01T02:00:00Z"
