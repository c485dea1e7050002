"""Temporal's own settings: a wrong one is named, and no key in them is quoted."""

from pathlib import Path

import pytest

from backup_scheduler.contract.errors import ConfigurationError
from backup_scheduler.masking import masked
from backup_scheduler.temporal.client import configuration


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("ADDRESS", "NAMESPACE", "API_KEY", "TLS", "PROFILE"):
        monkeypatch.delenv(f"TEMPORAL_{name}", raising=False)
    monkeypatch.setenv("TEMPORAL_CONFIG_FILE", "/dev/null")


@pytest.mark.parametrize(
    "address", ["127.0.0.1:99999", "127.0.0.1", "http://127.0.0.1:7233", "https://u:p@h:7233", "a b:1", ":7233", "::1"]
)
def test_an_address_that_is_none_is_refused(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEMPORAL_ADDRESS", address)
    with pytest.raises(ConfigurationError, match=r"^TEMPORAL_ADDRESS .*such as 'localhost:7233'$"):
        configuration()


@pytest.mark.parametrize("address", ["127.0.0.1:7233", "[::1]:7233", "temporal:7233", "backups.acct.tmprl.cloud:7233"])
def test_an_address_is_taken(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEMPORAL_ADDRESS", address)
    assert configuration()["target_host"] == address


def test_without_an_address_it_is_the_default() -> None:
    assert configuration()["target_host"] == "localhost:7233"


@pytest.mark.parametrize("line", ["api_key = s3cret", 'api_key = "s3cret', 'tls = "s3cret"'])
def test_a_file_with_profiles_that_cannot_be_read_is_named_without_its_content(
    line: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "temporal.toml"
    file.write_text(f"[profile.default]\n{line}\n")
    monkeypatch.setenv("TEMPORAL_CONFIG_FILE", str(file))
    with pytest.raises(ConfigurationError, match=r"at line \d, column \d+$") as caught:
        configuration()
    assert "s3cret" not in str(caught.value)


def test_settings_that_the_sdk_would_pass_over_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEMPORAL_TLS", "maybe")
    with pytest.raises(ConfigurationError, match=r"^TEMPORAL_TLS: must be true or false, not 'maybe'$"):
        configuration()
    monkeypatch.setenv("TEMPORAL_CONFIG_FILE", "/nowhere.toml")
    with pytest.raises(ConfigurationError, match=r"^TEMPORAL_CONFIG_FILE: there is no file '/nowhere\.toml'$"):
        configuration()


def test_the_key_of_a_profile_is_masked_from_then_on(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "temporal.toml"
    file.write_text('[profile.default]\napi_key = "the-key-of-a-profile"\n')
    monkeypatch.setenv("TEMPORAL_CONFIG_FILE", str(file))
    configuration()
    assert masked("it is the-key-of-a-profile") == "it is ***"


def test_an_empty_variable_counts_as_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("API_KEY", "NAMESPACE", "ADDRESS"):
        monkeypatch.setenv(f"TEMPORAL_{name}", "")
    assert configuration() == {"target_host": "localhost:7233"}


@pytest.mark.parametrize("truth", ["true", "False", "0", "1", ""])
def test_a_switch_for_tls_is_taken_as_the_sdk_takes_it(truth: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEMPORAL_TLS", truth)
    assert configuration()["target_host"] == "localhost:7233"


@pytest.mark.parametrize("port", ["1", "65535"])
def test_the_edges_of_ports_are_taken(port: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEMPORAL_ADDRESS", f"h:{port}")
    assert configuration()["target_host"] == f"h:{port}"


@pytest.mark.parametrize("port", ["0", "65536", "²", "", "-1"])
def test_a_port_beyond_them_is_refused(port: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEMPORAL_ADDRESS", f"h:{port}")
    with pytest.raises(
        ConfigurationError, match=r"must be a host and a port from 1 to 65535 without a scheme, such as"
    ):
        configuration()


def test_a_file_with_profiles_that_cannot_be_read_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEMPORAL_CONFIG_FILE", str(tmp_path))
    with pytest.raises(ConfigurationError) as caught:
        configuration()
    assert str(caught.value) == f"TEMPORAL_CONFIG_FILE: '{tmp_path}' cannot be read: Is a directory"
