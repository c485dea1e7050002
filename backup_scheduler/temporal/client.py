"""The client of Temporal, made only here, from Temporal's own settings."""

import dataclasses
import os
import re
from pathlib import Path
from typing import Final

from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.envconfig import ClientConfig, ClientConnectConfig
from temporalio.runtime import Runtime
from temporalio.service import RetryConfig

from backup_scheduler.contract.errors import ConfigurationError
from backup_scheduler.masking import MaskedFailures

DATA_CONVERTER: Final = dataclasses.replace(pydantic_data_converter, failure_converter_class=MaskedFailures)
"""Pydantic models as JSON, and no secret in the text of a failure."""

_DEFAULT_ADDRESS = "localhost:7233"
_TOML_PLACE = re.compile(r"TOML parse error (at line \d+, column \d+)")
_TRUTH_VALUES = ("true", "false", "1", "0")

_UNUSABLE = {
    "PrivateKeyParseError": "TEMPORAL_TLS_CLIENT_KEY_PATH: there is no private key in PEM form in the file",
    "CertificateParseError": "TEMPORAL_TLS_CLIENT_CERT_PATH: there is no certificate in PEM form in the file",
}
"""Faults that no further attempt to connect cures, by their names in the SDK's Rust core."""


def configuration() -> ClientConnectConfig:
    """Read Temporal's own settings: TEMPORAL_ADDRESS, _NAMESPACE, _API_KEY, _TLS_* and profiles.

    Raises ConfigurationError, which names the fault and never quotes what may be a key. The SDK itself passes over some
    wrong settings (docs/temporal-facts.md#the-client-passes-over-wrong-settings).
    """
    file = os.environ.get("TEMPORAL_CONFIG_FILE")
    if file:
        _check_profiles(file)
    tls = os.environ.get("TEMPORAL_TLS", "")
    if tls and tls.lower() not in _TRUTH_VALUES:  # the SDK takes anything else for not set
        raise ConfigurationError(f"TEMPORAL_TLS: must be true or false, not {tls!r}")
    try:
        config = ClientConfig.load_client_connect_config()
    except (RuntimeError, ValueError, OSError) as error:
        # The SDK's message about a file that is not TOML quotes the line, which may be the one with the key.
        place = _TOML_PLACE.search(str(error))
        reason = f"the file with profiles is not as it should be {place[1]}" if place else str(error)
        raise ConfigurationError(f"Temporal's settings (TEMPORAL_*) cannot be read: {reason}") from None
    address = config.setdefault("target_host", _DEFAULT_ADDRESS)
    if not _is_address(address):
        raise ConfigurationError(
            "TEMPORAL_ADDRESS (or the address of a profile): must be a host and a port from 1 to 65535 without a "
            f"scheme, such as {_DEFAULT_ADDRESS!r}"
        )
    return config


def _check_profiles(file: str) -> None:
    """Raise ConfigurationError unless the file with profiles can be read: the SDK goes on without one, or hides why."""
    try:
        with Path(file).open("rb"):
            pass
    except FileNotFoundError:
        raise ConfigurationError(f"TEMPORAL_CONFIG_FILE: there is no file {file!r}") from None
    except OSError as error:
        raise ConfigurationError(f"TEMPORAL_CONFIG_FILE: {file!r} cannot be read: {error.strerror}") from None


def _is_address(address: str) -> bool:
    host, _, port = address.rpartition(":")
    right_host = re.fullmatch(r"\[[0-9a-fA-F:.%]+\]|[^\s:/@\[\]?#]+", host) is not None
    return right_host and port.isascii() and port.isdecimal() and 0 < int(port) < 65536


async def connect(
    *, lazy: bool = False, runtime: Runtime | None = None, retry_config: RetryConfig | None = None
) -> Client:
    """Connect with Temporal's own settings.

    A lazy client connects with its first call, so it can be made while Temporal is down. Raises ConfigurationError
    if the settings are wrong, and RuntimeError if Temporal cannot be reached.
    """
    try:
        return await Client.connect(
            **configuration(), data_converter=DATA_CONVERTER, lazy=lazy, runtime=runtime, retry_config=retry_config
        )
    except ValueError as error:
        raise ConfigurationError(f"Temporal's settings (TEMPORAL_*) cannot be used: {error}") from None
    except RuntimeError as error:
        if unusable := next((sentence for sign, sentence in _UNUSABLE.items() if sign in str(error)), None):
            raise ConfigurationError(unusable) from None
        raise
