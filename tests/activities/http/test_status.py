"""What the answer of a service that has begun a backup says: the URL of its status, its end, and no secret."""

import errno
from typing import Any

import pytest
from requests.structures import CaseInsensitiveDict
from temporalio.exceptions import ApplicationError

from activities.http import status
from activities.http.exchange import Answer
from backup_scheduler import masking
from backup_scheduler.policies.http import HttpPolicy
from backup_scheduler.policies.restic import ResticPolicy
from backup_scheduler.runs.results import BegunBackup, Outcome
from lab.parts.backup_service import BackupService, answering
from tests.support.http_attempts import begun as asked
from tests.support.http_attempts import ended

URL = "https://h/a/start"
STATES: dict[str, Any] = {"state": "/state", "done": ["ok"], "failed": ["bad"]}


def policy(**changes: Any) -> HttpPolicy:
    return HttpPolicy.model_validate({"type": "http", "url": URL, "completion": "poll"} | changes)


def answer(code: int = 202, body: bytes = b"", **headers: str) -> Answer:
    named = CaseInsensitiveDict({name.replace("_", "-"): value for name, value in headers.items()})
    return Answer(code, "Reason", named, body)


def begun(target: HttpPolicy, got: Answer, url: str = URL) -> BegunBackup:
    return status.begun(target, got, got.body, url)


def refusal(target: HttpPolicy, got: Answer) -> str:
    with pytest.raises(ApplicationError) as caught:
        begun(target, got)
    assert caught.value.non_retryable, "the service would be asked again for a backup that it has begun"
    return caught.value.message


@pytest.mark.parametrize(
    ("headers", "url"),
    [
        ({"Location": "/jobs/7"}, "https://h/jobs/7"),
        ({"Location": "jobs/7"}, "https://h/a/jobs/7"),
        ({"Location": " https://other:8443/jobs/7#part "}, "https://other:8443/jobs/7"),
        ({"Location": "//other/jobs/7"}, "https://other/jobs/7"),
        ({"Location": "/jobs/\xc3\xbc"}, "https://h/jobs/ü"),
        ({"Location": "/result", "Operation_Location": "/jobs/7"}, "https://h/jobs/7"),
    ],
)
def test_the_url_that_a_service_names(headers: dict[str, str], url: str) -> None:
    got = begun(policy(), answer(202, b"", **headers))
    assert (got.status_url, got.message) == (url, "h answered 202")
    assert status.address(policy(), got, "run") == url


def test_a_relative_url_is_one_of_the_host_that_answered() -> None:
    assert begun(policy(), answer(Location="/jobs/7"), "http://moved:81/x").status_url == "http://moved:81/jobs/7"


@pytest.mark.parametrize("location", ["ftp://h/x", "http://", "https://h:port/", "https://[::1/", "https://h:0/"])
def test_a_url_that_is_none_fails_the_run(location: str) -> None:
    assert refusal(policy(), answer(Location=location)) == "h named a status URL that is not valid"


def test_a_query_that_may_be_a_secret_is_not_kept() -> None:
    for location in ("/jobs/7?sig=8f3a01bc", "?sig=8f3a01bc"):
        assert refusal(policy(), answer(202, b"", Location=location)) == (
            "h named a status URL with a query, which would be in the history of the run: if it is not secret, set "
            "query_is_public in the policy, else status_url"
        )


def test_a_query_that_is_no_secret_is_kept_if_the_policy_says_so() -> None:
    got = begun(policy(query_is_public=True), answer(202, b"", Location="/status?job=7&v=1"))
    assert got.status_url == "https://h/status?job=7&v=1"


@pytest.mark.parametrize("public", [False, True])
@pytest.mark.parametrize("location", ["https://u:sesame@h/jobs/7", "/jobs/open-sesame", "/jobs?key=open-sesame"])
def test_a_secret_in_the_url_is_never_kept(location: str, public: bool) -> None:
    masking.hide("open-sesame")
    sentence = refusal(policy(query_is_public=public), answer(202, b"", Location=location))
    assert sentence == (
        "h named a status URL with a secret, which would be in the history of the run: set status_url in the policy"
    )


def test_a_service_that_names_no_url_fails_the_run() -> None:
    assert refusal(policy(), answer()) == (
        "h answered 202 and named no status URL (Operation-Location or Location): how the backup ends cannot be known "
        "without status_url in the policy"
    )


@pytest.mark.parametrize(
    ("states", "code", "body", "ended"),
    [
        ({}, 200, b"", True),
        ({}, 204, b"", True),
        (STATES, 200, b'{"state": "ok"}', True),
        (STATES, 202, b'{"state": "ok"}', True),
    ],
)
def test_an_answer_may_tell_the_end_at_once(states: dict[str, Any], code: int, body: bytes, ended: bool) -> None:
    got = begun(policy(**states), answer(code, body))
    assert (got.ended, got.outcome, got.status_url) == (ended, Outcome.COMPLETED, None)
    assert got.answer is not None


def test_an_answer_may_tell_that_the_backup_failed() -> None:
    got = answer(202, b'{"state": "bad", "why": "no disk"}', Location="/jobs/7")
    assert refusal(policy(**STATES, message="/why"), got) == "h says 'bad': no disk"


def test_a_200_that_names_a_status_url_is_a_beginning() -> None:
    assert not begun(policy(), answer(200, Location="/jobs/7")).ended
    assert not begun(policy(**STATES), answer(200, b'{"state": "queued"}', Location="/jobs/7")).ended


def test_a_303_names_the_url_of_the_status() -> None:
    assert begun(policy(), answer(303, Location="/jobs/7")).status_url == "https://h/jobs/7"


@pytest.mark.parametrize("code", [300, 301, 302, 304, 307, 399])
def test_only_a_2xx_or_303_is_a_beginning(code: int) -> None:
    assert refusal(policy(), answer(code, b"try there", Location="/jobs/7")) == f"h answered {code} Reason: try there"


def test_the_history_keeps_no_answer_of_a_beginning() -> None:
    got = begun(policy(), answer(202, b'{"status": "https://h/jobs/7?sig=sesame"}', Location="/jobs/7"))
    assert "sesame" not in got.model_dump_json()


def test_fields_of_the_url_come_from_the_answer() -> None:
    target = policy(status_url="https://h/{id}/{/a/0}/{run_id}?key=sesame")
    got = begun(target, answer(200, b'{"id": "a b/c", "a": [7]}'))
    assert got.status_fields == {"id": "a b/c", "/a/0": "7"}
    assert "sesame" not in got.model_dump_json()
    assert status.address(target, got, "run ü") == "https://h/a%20b%2Fc/7/run%20%C3%BC?key=sesame"


@pytest.mark.parametrize("body", [b"", b"{}", b'{"id": ""}', b'{"id": null}', b'{"id": {}}', b'{"id": 7'])
def test_a_field_without_a_value_fails_the_run(body: bytes) -> None:
    target = policy(status_url="https://h/{id}")
    assert refusal(target, answer(200, body)) == "the answer of h has no value for the field {id} of status_url"


@pytest.mark.parametrize(
    ("template", "body"),
    [
        ("https://h/j/{id}/status", b'{"id": ".."}'),
        ("https://h/j/{id}", b'{"id": "."}'),
        ("https://h/j/.{id}", b'{"id": "."}'),
        ("https://h/j/{id}{n}?k=sesame", b'{"id": ".", "n": "."}'),
        ("https://h/j/{id}", b'{"id": "../../x"}'),
        ("https://h/j/{id}", b'{"id": "x\\\\..\\\\y"}'),
    ],
)
def test_a_field_that_leads_out_of_its_place_in_the_path_fails_the_run(template: str, body: bytes) -> None:
    assert refusal(policy(status_url=template), answer(200, body)) == (
        "the answer of h has '.' or '..' for a field of status_url, which would ask another path than the policy says"
    )


@pytest.mark.parametrize("template", ["https://h/j/{id}", "https://h/j?id={id}", "https://h/a/../j/{id}"])
@pytest.mark.parametrize("value", ["...", "a..b", "a/b", ".a", "..x", "%2e%2e"])
def test_a_dot_in_a_field_is_a_character(template: str, value: str) -> None:
    assert begun(policy(status_url=template), answer(200, b'{"id": "%s"}' % value.encode())).status_fields == {
        "id": value
    }


def test_dots_in_the_query_lead_nowhere() -> None:
    assert begun(policy(status_url="https://h/j?id={id}"), answer(200, b'{"id": ".."}')).status_fields == {"id": ".."}


def test_a_secret_as_a_field_fails_the_run() -> None:
    masking.hide("open-sesame")
    target = policy(status_url="https://h/{id}")
    sentence = refusal(target, answer(200, b'{"id": "open-sesame"}'))
    assert sentence == "the answer of h has a secret for the field {id} of status_url"


def test_a_policy_that_was_changed_since_the_backup_began_fails_the_run_with_what_changed() -> None:
    with pytest.raises(ApplicationError, match="the policy has no status_url any more"):
        status.address(policy(), BegunBackup(outcome=Outcome.COMPLETED, message=""), "run")
    with pytest.raises(ApplicationError, match="has the field 'id' since after the backup began, which has no value"):
        status.address(policy(status_url="https://h/{id}"), begun(policy(), answer(Location="/7")), "run")


@pytest.mark.parametrize(
    ("url", "may"),
    [
        ("https://h/x", True),
        ("https://H:443/x", True),
        ("https://other/x", False),
        ("https://h:444/x", False),
        ("http://h/x", False),
    ],
)
def test_the_token_may_go_where_it_may_go_with_a_redirect(url: str, may: bool) -> None:
    assert status.may_have_token(policy(), url) is may


@pytest.mark.parametrize(
    ("body", "sentence", "percent"),
    [
        (b'{"state": "x", "percent": 101}', "h says 'x'", None),
        (b'{"state": "x", "percent": "5"}', "h says 'x'", None),
        (b'{"state": "x", "percent": 0}', "h says 'x'", 0),
        (b'{"state": true, "percent": 100}', "h says 'true'", 100),
        (b'{"state": ["ok"]}', "h answered 200 without a state", None),
        (b"", "h answered 200 without a state", None),
        (b"\xff", "h answered 200 without a state", None),
        (b'{"state": "a\\nb \\ud800"}', "h says 'a b �'", None),
        (b'{"state": "https://u:sesame@h/"}', "h says 'https://***@h/'", None),
    ],
)
def test_an_odd_status_is_no_end_and_shows_no_secret(body: bytes, sentence: str, percent: float | None) -> None:
    told = status.look(policy(**STATES, percent="/percent"), answer(200, body), body, "h")
    assert (told.made, told.failed, told.sentence, told.percent) == (False, False, sentence, percent)


def test_a_state_of_an_answer_that_broke_off_does_not_count() -> None:
    got = Answer(200, "", {}, b"ok", ConnectionResetError())
    told = status.look(policy(**STATES | {"state": ""}), got, b"ok", "h")
    assert not told.made


@pytest.mark.parametrize(
    ("code", "made"), [(199, False), (200, True), (201, True), (202, False), (299, True), (300, False)]
)
def test_without_a_state_each_2xx_but_202_is_the_end(code: int, made: bool) -> None:
    assert status.look(policy(), answer(code), b"", "h").made is made


def test_an_end_whose_answer_broke_off_is_one_with_a_warning() -> None:
    got = Answer(200, "", {}, b"half", ConnectionResetError(errno.ECONNRESET, ""))
    report = status.report(status.look(policy(), got, b"half", "h"), got, b"half")
    assert report.outcome is Outcome.COMPLETED_WITH_WARNINGS
    assert report.warnings == ["the answer broke off after 4 bytes: Connection reset by peer"]


@pytest.mark.parametrize(
    "body",
    [b'\xef\xbb\xbf{"state": "ok"}', b'{"files": "%s", "state": "ok"}' % (b"x" * 1_000_000)],
    ids=["BOM", "long"],
)
def test_a_state_is_found_behind_a_byte_order_mark_and_in_a_long_status(body: bytes) -> None:
    assert status.look(policy(**STATES), answer(200, body), body, "h").made


def test_a_status_that_is_too_long_is_no_end_and_says_so() -> None:
    body = b"x" * ((1 << 20) + 1)
    for pointed, got in (("/state", answer(200, body)), ("", answer(200, body)), ("/state", answer(200, b"packed"))):
        told = status.look(policy(**STATES | {"state": pointed}), got, body, "h")
        assert (told.made, told.sentence) == (False, "h answered 200 with more than 1 MiB, too long to be a status")


def test_an_answer_that_is_too_long_for_its_fields_fails_the_run_and_says_so() -> None:
    got = answer(202, b'{"id": 7, "files": "%s"}' % (b"x" * (1 << 20)))
    assert refusal(policy(status_url="https://h/{id}"), got) == (
        "the answer of h has more than 1 MiB, too long for the fields of status_url to be read from it"
    )
    assert begun(policy(status_url="https://h/{run_id}"), got).status_fields == {}


def test_a_text_may_be_the_state() -> None:
    told = status.look(policy(**STATES | {"state": ""}), answer(200, b"ok\n"), b"ok\n", "h")
    assert told.made


async def test_a_policy_that_became_one_of_the_answer_ends_with_it(target: BackupService) -> None:
    target.answers = [answering(202, text="fine")]
    got = await asked(target.policy())
    assert (got.ended, got.message) == (True, "127.0.0.1 answered 202")
    assert got.answer is not None
    assert got.answer.body == "fine"


async def test_a_policy_of_another_type_is_said() -> None:
    fields = {"type": "restic", "paths": ["/srv"], "repository": "/backups", "password_command": "false"}
    restic = ResticPolicy.model_validate(fields)
    with pytest.raises(ApplicationError, match="is not of type http any more"):
        await ended(restic, BegunBackup(outcome=Outcome.COMPLETED, message=""))  # type: ignore[arg-type]  # that is it
