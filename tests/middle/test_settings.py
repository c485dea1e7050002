"""Settings come from the environment, and a wrong one is named."""

import pytest
import tzlocal

from backup_scheduler import settings
from backup_scheduler.errors import ConfigurationError


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in settings.Settings.model_fields:
        monkeypatch.delenv(f"SCHEDULER_{name.upper()}", raising=False)


def test_without_any_setting_the_hosts_zone_is_used() -> None:
    assert settings.load().timezone == tzlocal.get_localzone_name()


def test_each_setting_is_read_from_its_variable_and_an_empty_one_counts_as_not_set(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SCHEDULER_TIMEZONE", "Asia/Shanghai")
    monkeypatch.setenv("SCHEDULER_SHUTDOWN_GRACE", "7")
    monkeypatch.setenv("SCHEDULER_TASK_QUEUE", "")
    loaded = settings.load()
    assert loaded.zone.key == "Asia/Shanghai"
    assert loaded.shutdown_grace.total_seconds() == 7
    assert loaded.task_queue == "backups"


def test_every_wrong_setting_is_named_with_what_would_be_right(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCHEDULER_TIMEZONE", "Mars/Olympus")
    monkeypatch.setenv("SCHEDULER_MAX_BACKUPS", "many")
    with pytest.raises(ConfigurationError) as caught:
        settings.load()
    assert "SCHEDULER_TIMEZONE: 'Mars/Olympus' is not an IANA time zone such as 'Europe/Berlin'" in str(caught.value)
    assert "SCHEDULER_MAX_BACKUPS: " in str(caught.value)


def test_the_backup_url_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCHEDULER_BACKUP_URL", "https://user:secret@backups.example/")
    assert "secret" not in repr(settings.load())
