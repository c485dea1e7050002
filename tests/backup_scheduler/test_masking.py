"""Secrets are masked in every text, and the rest of it stays."""

import io
import json
import logging
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from temporalio.api.failure.v1 import Failure
from temporalio.converter import DefaultPayloadConverter
from temporalio.exceptions import ApplicationError

from backup_scheduler import masking
from backup_scheduler.masking import MaskedFailures, MaskedStream, hide, hide_environment, hide_url, masked
from lab.parts.places import ROOT
from tests.support.marked_secrets import FORGOTTEN, IN_USERINFO


@pytest.fixture(autouse=True)
def _nothing_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(masking, "_known", set())
    monkeypatch.setattr(masking, "_pattern", None)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("amqp://u:p1@a:5672/;amqp://u:p2@b:5672/", "amqp://***@a:5672/;amqp://***@b:5672/"),
        ("at amqp://u:pa#ss@a:5672/ (refused)", "at amqp://***@a:5672/ (refused)"),
        ("at amqp://u:pa/s?s@a:5672/ (refused)", "at amqp://***@a:5672/ (refused)"),
        ("at amqp://u:pa@ss@a:5672/ (refused)", "at amqp://***@a:5672/ (refused)"),
        ("https://token@git.example.org/x", "https://***@git.example.org/x"),
        ("rest:https://u:p@host:8000/r: Fatal", "rest:https://***@host:8000/r: Fatal"),
        ("https://host/start?sig=abc&x=1 said", "https://host/start?*** said"),
        ("https://host/it's?sig=abc'def&x=1 said", "https://host/it's?*** said"),
        ("'https://host/start?sig=abc', he said", "'https://host/start?***', he said"),
        ("'https://u:it's-one@host/r', 'https://t'ken@host/r'", "'https://***@host/r', 'https://***@host/r'"),
        ("https://host:8000/me@home", "https://host:8000/me@home"),
        ("https://[::1]:8000/me@home", "https://[::1]:8000/me@home"),
        ("https://me@example.org:sesame@host/r", "https://***@host/r"),
        ("https://token@host:8000/me@home", "https://***@host:8000/me@home"),
        ("https://host/me@home", "https://host/me@home"),
        ("no entry for Basic dXNlcjpzM2NyZXQ= (401)", "no entry for Basic *** (401)"),
        ("such as amqp://user:password@host/", "such as amqp://user:password@host/"),
        ("at amqp://guest:guest@localhost/", "at amqp://guest:guest@localhost/"),
        ("mail me@example.org, 12:30", "mail me@example.org, 12:30"),
        ("line 1\nhttp://u:p@h/\nline 3", "line 1\nhttp://***@h/\nline 3"),
    ],
)
def test_credentials_and_queries_of_urls_are_masked_and_nothing_else(text: str, shown: str) -> None:
    assert masked(text) == shown


@given(
    st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters='"<>'), min_size=1).filter(
        lambda password: "://" not in password and not password.isdecimal()
    )
)
def test_a_password_in_a_url_is_masked_even_where_it_should_have_been_encoded(password: str) -> None:
    assert masked(f"amqp://user:{quote(password, safe='')}@host/") == "amqp://***@host/"
    assert masked(f"amqp://user:x{password}@host/") == "amqp://***@host/"


@pytest.mark.parametrize("character", [*IN_USERINFO, *FORGOTTEN])
def test_no_character_of_a_password_ends_it(character: str) -> None:
    assert masked(f"at amqp://user:it{character}s-secret@host/ (refused)") == "at amqp://***@host/ (refused)"
    hide_url(f"rest:https://user:pa{character}ss-secret@host/r")
    assert masked(f"https://user:pa{character}ss-secret@host/r") == "https://***@host/r"
    if character not in FORGOTTEN:
        assert masked(f"it is pa{character}ss-secret.") == "it is ***."


@given(st.text(min_size=6))
def test_a_known_secret_is_masked_however_it_is_quoted(secret: str) -> None:
    hide(secret)
    for text in (secret, repr(secret), json.dumps(secret), json.dumps(secret, ensure_ascii=False), quote(secret)):
        assert secret not in masked(f"a {text} b").replace(masking.MASK, "")


def test_a_secret_that_begins_with_another_is_masked_as_a_whole() -> None:
    hide("secret", "secret-and-more", "more-secret-and-more")
    assert masked("secret-and-more, more-secret-and-more, secret") == "***, ***, ***"


@pytest.mark.parametrize(("word", "shown"), [("short", "short"), ("longer", "***"), ("guest", "guest")])
def test_a_secret_that_may_be_a_word_is_not_masked(word: str, shown: str) -> None:
    hide(word)
    assert masked(f"a {word}") == f"a {shown}"


@pytest.mark.parametrize(
    ("content", "text", "shown"),
    [
        ("machine h login u password s3cret-word", "s3cret-word dTpzM2NyZXQtd29yZA==", "*** ***"),
        ("default login u password s3cret-word", "s3cret-word", "***"),
        ("machine machine machine", "machine", "machine"),
        (None, "s3cret-word", "s3cret-word"),
    ],
)
def test_the_passwords_of_netrc_are_known(content: str | None, text: str, shown: str, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / ".netrc").write_text(content)
    masking.hide_netrc({"HOME": str(tmp_path)})
    assert masked(text) == shown
    masking.hide_netrc({"HOME": "/none", "NETRC": str(tmp_path / ".netrc")})
    assert masked(text) == shown


def test_urls_of_data_keep_what_only_looks_like_credentials() -> None:
    hide("s3cret-word")
    assert masking.without_known("http://u:p@h/?s3cret-word") == "http://u:p@h/?***"


def test_failures_are_masked_with_their_causes() -> None:
    hide("s3cret-word")
    converter = MaskedFailures()
    try:
        try:
            raise ValueError("s3cret-word inside")
        except ValueError as cause:
            raise ApplicationError("at http://u:p@h/ with s3cret-word") from cause
    except ApplicationError as error:
        failure = Failure()
        converter.to_failure(error, DefaultPayloadConverter(), failure)
    assert failure.message == "at http://***@h/ with ***"
    assert failure.cause.message == "*** inside"
    assert "s3cret-word" not in failure.cause.stack_trace
    assert failure.cause.stack_trace, "of a bug"
    assert not failure.stack_trace


def test_a_masked_stream_is_a_stream() -> None:
    hide("s3cret-word")
    inner = io.StringIO()
    stream = MaskedStream(inner)
    assert stream.write("a s3cret-word\n") == len("a s3cret-word\n")
    stream.writelines(["s3cret-word", "\n"])
    assert inner.getvalue() == "a ***\n***\n"
    assert stream.getvalue() == inner.getvalue()


def test_the_environment_tells_what_is_secret() -> None:
    hide_environment(
        {
            "AMQP_URI": "amqp://u:broker-1@a/;amqp://u:broker%2D2@b/",
            "TEMPORAL_API_KEY": "api-key-1",
            "TEMPORAL_GRPC_META_AUTHORIZATION": "Bearer meta-1",
            "AWS_SECRET_ACCESS_KEY": "aws-key-1",
            "https_proxy": "http://u:proxy-1@proxy/",
            "SCHEDULER_BACKUP_URL": "https://host/start?sig=signature-1",
            "B2_ACCOUNT_KEY": "b2-key-1",
            "AZURE_ACCOUNT_SAS": "sas-1-1",
            "RESTIC_PASSWORD": "restic-1",
            "DB_PASSWD": "passwd-1",
            "KEY_PASSPHRASE": "phrase-1",
            "CLIENT_SECRET": "client-1",
            "GIT_TOKEN": "token-1",
            "TEMPORAL_TLS_CLIENT_KEY_DATA": "pem-1-1",
            "RESTIC_REPOSITORY": "rest:https://u:repo%2D1@h/",
            "aws_session_token": "session-1",
            "AWS_PROFILE": "production",
            "SCHEDULER_POLICIES": "/etc/policies.toml",
        }
    )
    secret = ["broker-1", "broker-2", "api-key-1", "Bearer meta-1", "aws-key-1", "proxy-1", "signature-1"]
    secret += ["b2-key-1", "sas-1-1", "restic-1", "passwd-1", "phrase-1", "client-1", "token-1", "pem-1-1", "repo-1"]
    secret += ["session-1"]
    assert masked(" ".join(secret)) == " ".join(["***"] * len(secret))
    assert masked("production /etc/policies.toml guest AMQP_URI") == "production /etc/policies.toml guest AMQP_URI"


def test_a_password_that_is_sent_as_basic_authorization_is_known_too() -> None:
    hide_url("http://user:s3cret-word@host/")
    assert masked("Authorization: Basic dXNlcjpzM2NyZXQtd29yZA==") == "Authorization: Basic ***"


@pytest.fixture
def handler() -> Iterator[logging.StreamHandler[io.StringIO]]:
    logger = logging.getLogger("tests.masking")
    handler = logging.StreamHandler(io.StringIO())
    logger.addHandler(handler)
    yield handler
    logger.removeHandler(handler)


def test_a_handler_that_somebody_else_set_up_is_guarded(
    handler: logging.StreamHandler[io.StringIO], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdout", MaskedStream(sys.stdout))
    monkeypatch.setattr(sys, "stderr", MaskedStream(sys.stderr))
    masking.guard({"TEMPORAL_API_KEY": "api-key-1"})
    masking.guard({})
    logger = logging.getLogger("tests.masking")
    try:
        raise ValueError("of api-key-1")
    except ValueError:
        logger.exception("at %s", "amqp://u:p@h")
    assert handler.stream.getvalue().startswith("at amqp://***@h\n")
    assert handler.stream.getvalue().endswith("ValueError: of ***\n")


@pytest.mark.programs
def test_a_process_that_crashes_shows_no_secret() -> None:
    crash = (
        "import os; from backup_scheduler import masking; masking.guard(os.environ); print('key', os.environ['KEY']);"
        "raise RuntimeError(os.environ['KEY'] + os.environ['URL'])"
    )
    ended = subprocess.run(
        [sys.executable, "-c", crash],
        cwd=ROOT,
        env={"KEY": "s3cret-word", "URL": "amqp://u:p@h"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.stdout == "key ***\n"
    assert ended.stderr.endswith("RuntimeError: ***amqp://***@h\n")


@pytest.mark.parametrize("password", ["123456/", "123/456", "7?654321", "99#secret"])
def test_a_known_password_that_begins_like_a_port_is_masked(password: str) -> None:
    uri = f"amqp://user:{password}@broker:5672/"
    hide_environment({"AMQP_URI": uri})
    assert password not in masked(f"no broker at {uri}")
    assert masked("no broker at amqp://broker:5672/") == "no broker at amqp://broker:5672/"
