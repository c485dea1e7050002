"""The policy file is checked at start; a fault is named by file, policy and field."""

import re
import tempfile
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from backup_scheduler.contract.errors import ConfigurationError
from backup_scheduler.policies.file import Policies, read
from backup_scheduler.policies.http import HttpPolicy, HttpTarget
from backup_scheduler.policies.restic import ResticPolicy
from backup_scheduler.settings import Settings

RESTIC = 'type = "restic"\npaths = ["/srv"]\n'
COMPLETE = RESTIC + 'repository = "/repo"\npassword_file = "/pw"\n'


def written(folder: Path, text: str) -> Path:
    path = folder / "policies.toml"
    path.write_text(text)
    return path


def faults(folder: Path, text: str) -> str:
    path = written(folder, text)
    with pytest.raises(ConfigurationError) as caught:
        read(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_the_example_is_read_unchanged() -> None:
    policies = read(Path("examples/policies.toml"))
    documents, database = policies["documents"], policies["database"]
    assert isinstance(documents, ResticPolicy)
    assert documents.timeout == timedelta(hours=24)
    assert documents.exclude == ("*.tmp", "/srv/documents/cache")
    assert isinstance(database, HttpPolicy)
    assert database.timeout == timedelta(seconds=600)


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ("", "policy 'p': type must be 'http' or 'restic'"),
        ('type = "ftp"', "policy 'p': type must be 'http' or 'restic'"),
        ('type = "http"', "policy 'p': url is missing"),
        ('type = "http"\nurl = "backup"', "policy 'p': url must be a complete URL"),
        ('type = "http"\nurl = "ftp://h/"', "policy 'p': url must be a complete URL"),
        ('type = "http"\nurl = "http://h:x/"', "policy 'p': url must be a complete URL"),
        ('type = "http"\nurl = "http://u:sesame@h/"', "policy 'p': url must not hold a user or password: put a token"),
        ('type = "http"\nurl = "http://h/"\ntimeout = 0', "policy 'p': timeout must be a number of seconds"),
        ('type = "http"\nurl = "http://h/"\ntimeout = nan', "policy 'p': timeout must be a number of seconds"),
        ('type = "http"\nurl = "http://h/"\ntoken_file = "t"', "policy 'p': token_file must be an absolute path"),
        ('type = "http"\nurl = "http://h/"\npaths = ["/x"]', "policy 'p': paths is not a field of this type of policy"),
        (RESTIC, "policy 'p': exactly one of repository and repository_file must be given"),
        (RESTIC + 'repository = "/r"', "policy 'p': exactly one of password_file and password_command must be given"),
        (COMPLETE + 'repository_file = "/f"', "policy 'p': exactly one of repository and repository_file"),
        (COMPLETE + 'password_command = "x"', "policy 'p': exactly one of password_file and password_command"),
        (COMPLETE.replace('["/srv"]', "[]"), "policy 'p': paths must not be empty"),
        (COMPLETE.replace("/srv", "srv"), "policy 'p': paths.0 must be an absolute path"),
        (COMPLETE.replace('"/repo"', '"repo"'), "policy 'p': repository must be an absolute path or a restic location"),
        (
            COMPLETE.replace("/repo", "rest:https://u:sesame@h/"),
            "policy 'p': repository must not hold a password: put the location into a file and name it as "
            "repository_file",
        ),
    ],
)
def test_a_fault_is_named_with_what_would_be_right(tmp_path: Path, fields: str, sentence: str) -> None:
    message = faults(tmp_path, f"[policies.p]\n{fields}\n")
    assert sentence in message
    assert "sesame" not in message


def test_several_faults_are_named_at_once(tmp_path: Path) -> None:
    message = faults(tmp_path, 'x = 1\n[policies]\na = 2\n[policies.b]\ntype = "http"\n')
    assert "'x' is not known" in message
    assert "policy 'a' must be a table, [policies.a]" in message
    assert "policy 'b': url is missing" in message


@pytest.mark.parametrize("text", ["x =", "[policies", "policies = 3"])
def test_a_file_that_is_no_policy_file_is_refused(tmp_path: Path, text: str) -> None:
    assert faults(tmp_path, text)


def test_a_file_that_is_not_utf_8_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "policies.toml"
    path.write_bytes(b"[policies.\xff]")
    with pytest.raises(ConfigurationError, match="is not TOML"):
        read(path)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"the policy file .*/none\.toml cannot be read: No such file"):
        read(tmp_path / "none.toml")


NAMES = ["type", *ResticPolicy.model_fields, "url", "token_file", "surplus"]
VALUES = ['"http"', '"restic"', '"/x"', '""', "1", "-1", "1.5", "inf", "true", "[]", '["/x"]', "{a = 1}"]


@given(st.dictionaries(st.sampled_from(NAMES), st.sampled_from(VALUES)))
def test_any_policy_is_read_or_refused_in_one_line(fields: dict[str, str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = written(Path(folder), "[policies.p]\n" + "\n".join(f"{key} = {value}" for key, value in fields.items()))
        try:
            read(path)
        except ConfigurationError as error:
            message = str(error)
        else:
            message = "policy 'p' is right"
    assert "policy 'p'" in message
    assert "\n" not in message


def test_unlisted_policies_fall_back_to_the_backup_url_which_may_hold_credentials(tmp_path: Path) -> None:
    settings = Settings(
        policies=written(tmp_path, f"[policies.p]\n{COMPLETE}"), backup_url=SecretStr("https://u:sesame@h/x?key=1")
    )
    policies = Policies.of(settings)
    assert policies.engine_for("p").type == "restic"
    fallback = policies.find("other")
    assert isinstance(fallback, HttpTarget)
    assert fallback.url.get_secret_value() == "https://u:sesame@h/x?key=1"
    assert "sesame" not in repr(fallback)


def test_without_a_backup_url_an_unlisted_policy_is_refused_with_what_to_configure() -> None:
    with pytest.raises(
        ConfigurationError,
        match=r"the policy 'other' is not configured on the worker: add \[policies.other\] .*SCHEDULER_POLICIES.*"
        "SCHEDULER_BACKUP_URL",
    ):
        Policies().find("other")


def test_a_backup_url_that_is_none_is_refused_without_quoting_it() -> None:
    with pytest.raises(ConfigurationError) as caught:
        Policies.of(Settings(backup_url=SecretStr("sesame")))
    assert str(caught.value).startswith("SCHEDULER_BACKUP_URL must be a complete URL")
    assert "sesame" not in str(caught.value)


def test_a_dot_in_a_name_that_is_not_quoted_is_named(tmp_path: Path) -> None:
    said = faults(tmp_path, '[policies.db.prod]\ntype = "http"\nurl = "http://h/"\n')
    assert said.endswith(
        """policy 'db': type must be 'http' or 'restic'; a name with a dot is quoted: [policies."db.prod"]"""
    )


@pytest.mark.parametrize("name", ["db.prod", "文档", "my policy", "plain"])
def test_what_a_run_of_an_unlisted_policy_tells_to_add_is_read_as_that_policy(name: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Policies().find(name)
    header = re.search(r"add (\[.*\]) to its policy file", str(caught.value))
    assert header
    assert set(read(written(tmp_path, f"{header[1]}\n{COMPLETE}"))) == {name}
