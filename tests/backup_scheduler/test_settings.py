"""Settings come from the environment, and a wrong one is named."""

from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import SecretStr

from backup_scheduler import settings
from backup_scheduler.contract.errors import ConfigurationError


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in settings.VARIABLES.values():
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SCHEDULER_TIMEZONE", "Europe/Berlin")


def test_each_setting_is_read_from_its_variable_and_an_empty_one_counts_as_not_set(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SCHEDULER_TIMEZONE", "Asia/Shanghai")
    monkeypatch.setenv("SCHEDULER_SHUTDOWN_GRACE", "7")
    monkeypatch.setenv("SCHEDULER_TASK_QUEUE", "")
    loaded = settings.load_settings()
    assert loaded.zone.key == "Asia/Shanghai"
    assert loaded.shutdown_grace.total_seconds() == 7
    assert loaded.task_queue == "backups"


def test_every_wrong_setting_is_named_with_what_would_be_right(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCHEDULER_TIMEZONE", "Mars/Olympus")
    monkeypatch.setenv("SCHEDULER_MAX_BACKUPS", "many")
    with pytest.raises(ConfigurationError) as caught:
        settings.load_settings()
    assert "SCHEDULER_TIMEZONE: 'Mars/Olympus' is not an IANA time zone such as 'Europe/Berlin'" in str(caught.value)
    assert "SCHEDULER_MAX_BACKUPS: " in str(caught.value)


def test_the_backup_url_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCHEDULER_BACKUP_URL", "https://user:secret@backups.example/")
    assert "secret" not in repr(settings.load_settings())


@pytest.mark.parametrize(
    ("variable", "value", "rule"),
    [
        ("SCHEDULER_SHUTDOWN_GRACE", "-5", "must be a number of seconds from 0 to 86400"),
        ("SCHEDULER_SHUTDOWN_GRACE", "inf", "must be a number of seconds from 0 to 86400"),
        ("SCHEDULER_SHUTDOWN_GRACE", "nan", "must be a number of seconds from 0 to 86400"),
        ("SCHEDULER_RPC_WORKERS", "1001", "must be a whole number from 1 to 1000"),
        ("SCHEDULER_SHUTDOWN_GRACE", "86400.1", "must be a number of seconds from 0 to 86400"),
        ("SCHEDULER_RPC_WORKERS", "0", "must be a whole number from 1 to 1000"),
        ("SCHEDULER_MAX_BACKUPS", "10001", "must be a whole number from 1 to 10000"),
        ("SCHEDULER_MISFIRE_GRACE_TIME", "0", "Input should be greater than or equal to 1"),
        ("SCHEDULER_MISFIRE_GRACE_TIME", "315360001", "Input should be less than or equal to 315360000"),
        ("SCHEDULER_MAX_BACKUPS", "0", "must be a whole number from 1 to 10000"),
        ("SCHEDULER_TASK_QUEUE", " ", "must be 1 to 200 bytes"),
        ("SCHEDULER_TASK_QUEUE", "q" * 201, "must be 1 to 200 bytes"),
        ("SCHEDULER_TASK_QUEUE", "é" * 101, "must be 1 to 200 bytes"),
        ("SCHEDULER_TASK_QUEUE", " q", "must be 1 to 200 bytes without control characters and outer blanks, such as"),
        ("SCHEDULER_TASK_QUEUE", "a\nb", "must be 1 to 200 bytes"),
        ("SCHEDULER_LOG_LEVEL", "loud", "must be debug, info, warning or error"),
        ("SCHEDULER_LOG_FORMAT", "xml", "must be auto, json or console"),
        ("SCHEDULER_QUEUE_TYPE", "stream", "must be classic or quorum"),
        ("SCHEDULER_AMQP_CERTIFICATE", "/nowhere.pem", "'/nowhere.pem' must be a PEM file with .*: No such file"),
        ("SCHEDULER_AMQP_CERTIFICATE", __file__, ".* must be a PEM file with a certificate and its key$"),
        ("SCHEDULER_METRICS_ADDRESS", "9464", "must be a host and a port"),
        ("SCHEDULER_METRICS_ADDRESS", "localhost:99999", "must be a host and a port"),
        ("SCHEDULER_METRICS_ADDRESS", "localhost:65536", "must be a host and a port, such as '127.0.0.1:9464'"),
        ("SCHEDULER_METRICS_ADDRESS", "localhost:", "must be a host and a port"),
        ("SCHEDULER_METRICS_ADDRESS", "localhost:²", "must be a host and a port"),
        ("SCHEDULER_METRICS_ADDRESS", ":9464", "must be a host and a port"),
        ("SCHEDULER_METRICS_ADDRESS", "a b:9464", "must be a host and a port"),
        ("AMQP_URI", "localhost", "must begin with amqp:// or amqps://"),
    ],
)
def test_a_wrong_value_is_refused_with_its_rule(
    variable: str, value: str, rule: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(ConfigurationError, match=f"^{variable}: {rule}"):
        settings.load_settings()


@pytest.mark.parametrize(
    ("variable", "value", "setting", "read"),
    [
        ("SCHEDULER_TASK_QUEUE", "q", "task_queue", "q"),
        ("SCHEDULER_TASK_QUEUE", "q" * 200, "task_queue", "q" * 200),
        ("SCHEDULER_TASK_QUEUE", "a b", "task_queue", "a b"),
        ("SCHEDULER_RPC_WORKERS", "1", "rpc_workers", 1),
        ("SCHEDULER_RPC_WORKERS", "1000", "rpc_workers", 1000),
        ("SCHEDULER_MAX_BACKUPS", "1", "max_backups", 1),
        ("SCHEDULER_MAX_BACKUPS", "10000", "max_backups", 10_000),
        ("SCHEDULER_MISFIRE_GRACE_TIME", "1", "misfire_grace_time", 1),
        ("SCHEDULER_MISFIRE_GRACE_TIME", "315360000", "misfire_grace_time", 315_360_000),
        ("SCHEDULER_SHUTDOWN_GRACE", "0", "shutdown_grace", timedelta(0)),
        ("SCHEDULER_SHUTDOWN_GRACE", "86400", "shutdown_grace", timedelta(days=1)),
        ("SCHEDULER_LOG_LEVEL", "WARNING", "log_level", "WARNING"),
        ("SCHEDULER_LOG_FORMAT", "console", "log_format", "console"),
        ("SCHEDULER_QUEUE_TYPE", "quorum", "queue_type", "quorum"),
        ("SCHEDULER_METRICS_ADDRESS", "localhost:0", "metrics_address", "localhost:0"),
        ("SCHEDULER_METRICS_ADDRESS", "[::1]:65535", "metrics_address", "[::1]:65535"),
    ],
)
def test_the_edges_of_each_rule_are_inside_it(
    variable: str, value: str, setting: str, read: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, value)
    assert getattr(settings.load_settings(), setting) == read


def test_what_is_not_set_has_the_value_that_the_readme_names() -> None:
    loaded = settings.load_settings()
    assert loaded.model_dump(exclude={"timezone"}) == {
        "task_queue": "backups",
        "log_level": "info",
        "log_format": "auto",
        "misfire_grace_time": None,
        "queue_type": "classic",
        "rpc_workers": 50,
        "policies": None,
        "backup_url": None,
        "max_backups": 100,
        "shutdown_grace": timedelta(seconds=30),
        "metrics_address": None,
        "amqp_uri": SecretStr("amqp://guest:guest@localhost:5672"),
        "amqp_certificate": None,
    }


def test_a_uri_of_the_brokers_that_comes_from_elsewhere_has_the_same_rule() -> None:
    assert settings.checked_amqp_uri("amqp://u:p@h/") == "amqp://u:p@h/"
    with pytest.raises(
        ConfigurationError, match=r"^AMQP_URI: must begin with amqp:// or amqps://, such as 'amqp://user"
    ):
        settings.checked_amqp_uri("localhost")


def test_a_misspelt_setting_is_named_with_the_right_one_unless_it_is_empty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCHEDULER_TASK_QEUE", "")
    settings.load_settings()
    monkeypatch.setenv("SCHEDULER_TASK_QEUE", "q")
    monkeypatch.setenv("SCHEDULER_POLICY", "/etc/policies.toml")
    with pytest.raises(ConfigurationError) as caught:
        settings.load_settings()
    assert "SCHEDULER_TASK_QEUE is not a setting: SCHEDULER_TASK_QUEUE is meant?" in str(caught.value)
    assert "SCHEDULER_POLICY is not a setting: SCHEDULER_POLICIES is meant?" in str(caught.value)


def test_what_kubernetes_sets_for_a_service_named_scheduler_is_no_misspelt_setting() -> None:
    theirs = ("PORT", "SERVICE_HOST", "SERVICE_PORT", "PORT_5672_TCP", "PORT_5672_TCP_ADDR", "PORT_5672_TCP_PROTO")
    assert settings.unknown({f"SCHEDULER_{name}": "x" for name in theirs}) == {
        f"SCHEDULER_{name}": None for name in theirs
    }
    others = {"PATH": "/bin", "SCHEDULER_STATE_DIR": "/s", "SCHEDULER_TIMEZONE": "UTC", "AMQP_URI": "x"}
    assert settings.unknown(others) == {}
    assert settings.unknown({"scheduler_timezone": "UTC"}) == {"scheduler_timezone": "SCHEDULER_TIMEZONE"}


def test_the_place_of_the_policy_file_is_named_in_full(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCHEDULER_POLICIES", "policies.toml")
    assert settings.load_settings().policies == Path.cwd() / "policies.toml"
