"""The policy file is checked at start; a fault is named by file, policy and field."""

import re
import tempfile
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr, ValidationError

from backup_scheduler.contract.errors import ConfigurationError
from backup_scheduler.policies.file import ChosenEngine, Policies, read
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
        (COMPLETE.replace("/repo", "rest:https://me@h:sesame@h/"), "policy 'p': repository must not hold a password"),
        (COMPLETE.replace("/repo", "rest:https://u:pa/ss@h/"), "policy 'p': repository must not hold a password"),
        (COMPLETE.replace("/repo", "rest:https://u:p?a#s@s@h/"), "policy 'p': repository must not hold a password"),
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


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        (COMPLETE.replace("/srv", "srv"), "paths.0 must be an absolute path, because a worker may be started anywhere"),
        (COMPLETE + 'cache_dir = "c"', "cache_dir must be an absolute path, because a worker may be started anywhere"),
        (COMPLETE + "shrink_warning = 1.1", "shrink_warning must be a number from 0 (never warn) to 1"),
        (COMPLETE + "shrink_warning = -0.1", "shrink_warning must be a number from 0 (never warn) to 1"),
        (
            COMPLETE + 'exclude = ["[a"]',
            "exclude.0 is not a pattern that restic knows: a [ needs its ], and a backslash something behind it",
        ),
        (COMPLETE + "timeout = 2592001", "timeout must be a number of seconds, more than 0 and at most 30 days"),
        (COMPLETE + 'timeout = "soon"', "timeout must be a number of seconds, more than 0 and at most 30 days"),
        (COMPLETE + "timeout = []", "timeout must be a number of seconds, more than 0 and at most 30 days"),
        (COMPLETE + 'host = ""', "host must not be empty"),
        (
            COMPLETE.replace("/repo", "rest:http://u:sesame@h/"),
            "repository must not hold a password: put the location into a file and name it as repository_file",
        ),
        (
            COMPLETE.replace('"/repo"', '"repo"'),
            "repository must be an absolute path or a restic location such as 's3:https://s3.example.org/bucket'",
        ),
        (
            'type = "http"\nurl = "http://u:sesame@h/"',
            "url must not hold a user or password: put a token into a file and name it as token_file",
        ),
        ('type = "http"\nurl = "h"', "url must be a complete URL such as 'https://backup.example.org/start'"),
        ('type = "http"\nurl = "http://h:0/"', "url must be a complete URL such as 'https://backup.example.org/start'"),
        ('type = "http"\nurl = "http:///x"', "url must be a complete URL such as 'https://backup.example.org/start'"),
        ('type = "http"\nurl = "http://h/"\nx = 1', "x is not a field of this type of policy"),
        ('type = "http"\nurl = 1', "url input should be a valid string"),
    ],
)
def test_a_fault_ends_with_its_whole_rule(tmp_path: Path, fields: str, sentence: str) -> None:
    message = faults(tmp_path, f"[policies.p]\n{fields}\n")
    assert message.lower().endswith(f"is wrong: policy 'p': {sentence}".lower())
    assert "sesame" not in message


@pytest.mark.parametrize(
    "fields",
    [
        COMPLETE + "shrink_warning = 0",
        COMPLETE + "shrink_warning = 1",
        COMPLETE + "timeout = 2592000",
        COMPLETE + "timeout = 0.5",
        COMPLETE.replace("/repo", "s3:https://h/b"),
        COMPLETE.replace("/repo", "local:repo"),
        COMPLETE.replace("/repo", "rest:http://u@h/"),
        'type = "http"\nurl = "HTTPS://h:65535/x?key=1"\ntoken_file = "/t"',
    ],
)
def test_the_edges_of_each_rule_are_inside_it(tmp_path: Path, fields: str) -> None:
    assert set(read(written(tmp_path, f"[policies.p]\n{fields}\n"))) == {"p"}


def test_what_a_policy_does_not_say_has_the_value_that_the_readme_names(tmp_path: Path) -> None:
    text = f'[policies.r]\n{COMPLETE}[policies.h]\ntype = "http"\nurl = "http://h/"\n'
    policies = read(written(tmp_path, text))
    restic, asked = policies["r"], policies["h"]
    assert isinstance(restic, ResticPolicy)
    unsaid = {"type", "paths", "repository", "password_file"}
    assert restic.model_dump(exclude=unsaid) == {
        "require": (),
        "allow_empty": False,
        "shrink_warning": 0.5,
        "repository_file": None,
        "password_command": None,
        "exclude": (),
        "host": None,
        "cache_dir": None,
        "timeout": timedelta(hours=24),
    }
    assert isinstance(asked, HttpPolicy)
    assert (asked.timeout, asked.token_file) == (timedelta(minutes=5), None)


def test_a_policy_is_the_same_for_all_backups_that_share_it(tmp_path: Path) -> None:
    policy = read(written(tmp_path, f"[policies.p]\n{COMPLETE}"))["p"]
    with pytest.raises(ValidationError, match="frozen"):
        policy.timeout = timedelta(1)  # type: ignore[misc]  # mypy knows it, too


def test_a_run_learns_the_engine_and_the_time_limit_of_its_policy(tmp_path: Path) -> None:
    policies = Policies(read(written(tmp_path, f"[policies.p]\n{COMPLETE}timeout = 7\n")))
    assert policies.engine_for("p") == ChosenEngine(type="restic", timeout=timedelta(seconds=7))


def test_policies_tell_whether_they_need_restic(tmp_path: Path) -> None:
    http = '[policies.h]\ntype = "http"\nurl = "http://127.0.0.1:1"\n'
    assert Policies(read(written(tmp_path, f"{http}[policies.p]\n{COMPLETE}"))).need_restic
    assert not Policies(read(written(tmp_path, http))).need_restic


def test_tables_that_are_none_are_named(tmp_path: Path) -> None:
    assert faults(tmp_path, "policies = 3").endswith("is wrong: 'policies' must be a table")
    assert read(written(tmp_path, "")) == {}


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


def test_workers_have_the_same_digest_only_with_the_same_policies() -> None:
    one, other = (HttpTarget(url=SecretStr(f"http://backup-{name}.example.org/")) for name in ("a", "b"))
    digests = [Policies(fallback=target).digest for target in (one, other, one, None)]
    assert digests[0] == digests[2]
    assert len(set(digests)) == 3
    assert digests[3] is None
