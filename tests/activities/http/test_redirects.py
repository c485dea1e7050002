"""Redirects of backups that end later: a page that answers 200 where a request was redirected to is no sign of one."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from temporalio.exceptions import ApplicationError

from activities.http import polling, redirects
from backup_scheduler.policies.http import HttpPolicy
from backup_scheduler.runs.results import Outcome
from backup_scheduler.texts import clean
from lab.parts.backup_service import BackupService, answering, backup_service
from tests.support.http_attempts import ACCEPTED, begun, ended, later, says

WELCOME = answering(200, text="Welcome")


async def failed(policy: HttpPolicy) -> str:
    """Return why a backup cannot begin."""
    with pytest.raises(ApplicationError) as caught:
        await begun(policy)
    assert caught.value.non_retryable
    return caught.value.message


@pytest.mark.parametrize("completion", ["poll", "report"])
@pytest.mark.parametrize("code", [301, 302])
async def test_a_post_that_is_turned_into_a_get_is_no_backup(target: BackupService, completion: str, code: int) -> None:
    target.answers = [answering(code, headers={"Location": "/login?next=sesame"}), WELCOME]
    assert await failed(target.policy(completion=completion)) == (
        f"127.0.0.1 answered {code} and pointed to another path at {target.url}: that is no sign of a backup; set url "
        "to the address that takes the request itself (a service that has taken it answers 2xx or 303)"
    )
    assert [request.method for request in target.received] == ["POST"]


@pytest.mark.parametrize("completion", ["poll", "report"])
@pytest.mark.parametrize(
    ("code", "location", "place"),
    [
        (301, "https://u:sesame@127.0.0.1/start?sesame#sesame", "the same path at https://127.0.0.1"),
        (302, "//sso.example.org/sesame", "another path at http://sso.example.org"),
        (303, "http://sso.example.org:81/sesame", "another path at http://sso.example.org:81"),
        (303, "http://u:ses#ame@h/", "a URL that is not valid"),
        (302, "http://[::1/sesame", "a URL that is not valid"),
        (302, "mailto:sesame", "a URL that is not valid"),
        (302, "", "no other URL"),
        (303, None, "no other URL"),
        (307, None, "no other URL"),
        (308, None, "no other URL"),
    ],
)
async def test_where_a_redirect_points_to_is_said_without_secrets(
    target: BackupService, completion: str, code: int, location: str | None, place: str
) -> None:
    target.answers = [answering(code, headers={} if location is None else {"Location": location}), WELCOME]
    sentence = await failed(target.policy(completion=completion))
    assert sentence.startswith(f"127.0.0.1 answered {code} and pointed to {place}: ")
    assert "ses" not in sentence
    assert len(target.received) == 1


@given(st.text(st.characters(max_codepoint=255)), st.sampled_from(["", "/", "//", "http://", "https://h:", "http://["]))
def test_any_location_is_followed_or_named_in_one_line(rest: str, beginning: str) -> None:
    location, url = beginning + rest, "https://h/start"
    for code in redirects.REDIRECTS:
        redirects.to_the_status(redirects.Redirect(code, url, location))
    named = redirects.place(url, location)
    assert named == clean(named)
    assert len(named) <= 301


async def test_a_post_that_is_sent_on_keeps_its_form_and_takes_no_token_to_another_host(
    target: BackupService, tmp_path: Path
) -> None:
    (tmp_path / "token").write_text("sesame")
    async with backup_service(answering(200), host="127.0.0.2") as other:
        target.answers = [answering(308, headers={"Location": f"{other.url}/start"})]
        assert not (await begun(target.policy(completion="report", token_file=tmp_path / "token"))).ended
        (request,) = other.received
    assert (request.method, request.form) == ("POST", target.received[0].form)
    assert "Authorization" not in request.headers


@pytest.mark.parametrize("completion", ["poll", "report"])
async def test_a_303_to_the_same_host_is_a_beginning_and_is_not_followed(
    target: BackupService, completion: str
) -> None:
    target.answers = [answering(303, headers={"Location": "/jobs/7"}), WELCOME]
    assert not (await begun(target.policy(completion=completion))).ended
    assert len(target.received) == 1


@pytest.mark.parametrize("code", [301, 302, 307, 308])
@pytest.mark.parametrize("location", ["/login", "/jobs/7?login", "http://127.0.0.2:1/jobs/7", None])
async def test_without_a_state_a_page_that_a_look_is_redirected_to_is_no_end(
    target: BackupService, monkeypatch: pytest.MonkeyPatch, code: int, location: str | None
) -> None:
    monkeypatch.setattr(polling, "_REFUSED_FOR", 0.2)
    away = answering(code, headers={"Location": location} if location else {})
    target.answers = [ACCEPTED, away]
    policy = target.policy(completion="poll", poll_every=0.05)
    with pytest.raises(ApplicationError) as caught:
        await ended(policy, await begun(policy), 3)
    sentence = caught.value.message
    assert sentence.startswith(f"how the backup ended is not known: 127.0.0.1 answered {code} and pointed to ")
    assert sentence.endswith(", which without state in the policy is no status, for a minute and more")
    assert {request.path for request in target.received[1:]} == {"/jobs/7"}


@pytest.mark.parametrize(("code", "location"), [(301, "/jobs/7/"), (308, "/jobs/7/"), (303, "/results/7")])
async def test_without_a_state_a_look_goes_on_to_the_same_path_and_to_what_is_to_be_seen(
    target: BackupService, code: int, location: str
) -> None:
    target.answers = [ACCEPTED, answering(code, headers={"Location": location}), answering(200)]
    policy = target.policy(completion="poll", poll_every=0.05)
    assert (await ended(policy, await begun(policy))).outcome is Outcome.COMPLETED
    assert target.received[-1].path == location


@pytest.mark.parametrize("location", ["/jobs/7", "ftp://u:sesame@h/", "http://h:port/"])
async def test_a_look_that_is_redirected_to_nowhere_is_no_news(target: BackupService, location: str) -> None:
    away = [answering(302, headers={"Location": location})] * (31 if location == "/jobs/7" else 1)
    target.answers = [ACCEPTED, *away, says("running"), says("ok")]
    policy = later(target)
    assert (await ended(policy, await begun(policy))).outcome is Outcome.COMPLETED


async def test_a_circle_is_looked_at_until_the_time_is_up(target: BackupService) -> None:
    target.answers = [ACCEPTED, answering(302, headers={"Location": "/jobs/7"})]
    policy = later(target)
    with pytest.raises(ApplicationError) as caught:
        await ended(policy, await begun(policy), 1)
    assert caught.value.message == (
        "the backup did not end within 1 s; at last: the status is not known: 127.0.0.1 redirected more than 30 times"
    )


async def test_with_a_state_a_look_may_be_redirected_to_any_path(target: BackupService) -> None:
    target.answers = [ACCEPTED, answering(302, headers={"Location": "/there/7"}), says("ok")]
    policy = later(target)
    assert (await ended(policy, await begun(policy))).outcome is Outcome.COMPLETED
