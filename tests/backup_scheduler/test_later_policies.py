"""Policies of backups that end later than the answer: what each field needs, and what a run learns of them."""

from datetime import timedelta
from pathlib import Path

import pytest

from backup_scheduler.contract.errors import ConfigurationError
from backup_scheduler.masking import masked
from backup_scheduler.policies.file import ChosenEngine, Policies, read
from backup_scheduler.policies.http import HttpPolicy

HTTP = 'type = "http"\nurl = "https://h/start"\n'
POLL = HTTP + 'completion = "poll"\n'
REPORT = HTTP + 'completion = "report"\n'
STATES = 'state = "/state"\ndone = ["ok"]\nfailed = ["bad"]\n'


def written(folder: Path, fields: str) -> Path:
    path = folder / "policies.toml"
    path.write_text(f"[policies.p]\n{fields}")
    return path


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        (HTTP + 'completion = "later"', "completion must be 'answer', 'poll' or 'report'"),
        (HTTP + STATES, 'done, failed, state: only with completion = "poll"'),
        (HTTP + "completes_within = 5", 'completes_within: only with completion = "poll" or "report"'),
        (HTTP + 'run_id_field = "run"', 'run_id_field: only with completion = "poll" or "report"'),
        (REPORT + "query_is_public = true", 'query_is_public: only with completion = "poll"'),
        (REPORT + 'percent = "/p"', 'percent: only with completion = "poll"'),
        (POLL + 'run_id_field = "policy_name"', "run_id_field must not be 'policy_name', which is a field of the"),
        (
            POLL + "completes_within = 0",
            "completes_within must be a number of seconds, more than 0 and at most",
        ),
        (POLL + "completes_within = 2591999", "timeout and completes_within together must be at most 30 days"),
        (POLL + 'state = "/state"', "state, done and failed must be given together"),
        (POLL + 'done = ["ok"]\nfailed = ["bad"]', "state, done and failed must be given together"),
        (POLL + 'state = "/s"\ndone = ["ok"]\nfailed = []', "state, done and failed must be given together"),
        (POLL + 'state = "/s"\ndone = ["ok", "x"]\nfailed = ["x"]', "done and failed must not both have 'x'"),
        (POLL + 'files = "files"', "files must be a JSON pointer such as '/status' or '/result/bytes'"),
        (
            POLL + 'status_url = "/jobs/{id}"',
            "status_url must be a complete URL such as 'https://backup.example.org/jo",
        ),
        (POLL + 'status_url = "https://h/{id"', "status_url must be a complete URL such as"),
        (POLL + 'status_url = "https://h/{}"', "status_url must have fields like {id}, {/job/id} or {run_id}"),
        (POLL + 'status_url = "https://h/{a~}"', "status_url must have fields like {id}, {/job/id} or {run_id}"),
        (POLL + 'status_url = "https://{host}/"', "status_url must not have a field before its path: the service must"),
        (POLL + 'status_url = "https://u:sesame@h/"', "status_url must not hold a user or password"),
    ],
)
def test_a_fault_is_named_with_what_would_be_right(tmp_path: Path, fields: str, sentence: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        read(written(tmp_path, fields))
    assert f"policy 'p': {sentence}" in str(caught.value)
    assert "sesame" not in str(caught.value)


@pytest.mark.parametrize(
    "fields",
    [
        POLL,
        POLL + STATES,
        POLL + "completes_within = 2591700",
        POLL + 'state = ""\ndone = ["ok"]\nfailed = ["bad"]',
        POLL + 'status_url = "https://h/jobs/{id}/{/a/b~1c}?run={run_id}&v=1"\nrun_id_field = "run"',
        POLL + 'percent = "/p"\nfiles = "/f"\nbytes = "/b"\nsnapshot_id = "/s"\nmessage = "/m"\npoll_every = 1',
        HTTP + 'completion = "answer"',
        REPORT + 'run_id_field = "run"\ncompletes_within = 2591700',
    ],
)
def test_the_edges_of_each_rule_are_inside_it(tmp_path: Path, fields: str) -> None:
    assert set(read(written(tmp_path, fields))) == {"p"}


def test_what_a_policy_does_not_say_has_the_value_that_the_readme_names(tmp_path: Path) -> None:
    policy = read(written(tmp_path, POLL))["p"]
    assert isinstance(policy, HttpPolicy)
    assert not policy.query_is_public
    assert (policy.completes_within, policy.poll_every) == (timedelta(hours=24), timedelta(seconds=30))
    assert HttpPolicy(type="http", url=policy.url).completion == "answer"


def test_a_run_learns_how_the_end_of_its_backup_is_known(tmp_path: Path) -> None:
    later = Policies(read(written(tmp_path, POLL + "completes_within = 9\ntimeout = 7")))
    assert later.engine_for("p") == ChosenEngine(
        type="http", timeout=timedelta(seconds=7), completion="poll", completes_within=timedelta(seconds=9)
    )
    at_once = Policies(read(written(tmp_path, HTTP)))
    assert at_once.engine_for("p") == ChosenEngine(type="http", timeout=timedelta(minutes=5))


def test_a_choice_in_the_history_of_an_older_run_is_one_for_the_answer() -> None:
    assert ChosenEngine.model_validate({"type": "http", "timeout": "PT5M"}).completion == "answer"


def test_secrets_in_the_status_url_are_hidden(tmp_path: Path) -> None:
    policies = read(written(tmp_path, POLL + 'status_url = "https://h/jobs/{id}?sig=open-sesame"'))
    Policies(policies)
    assert "sesame" not in repr(policies)
    assert masked("the signature open-sesame") == "the signature ***"
