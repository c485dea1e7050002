"""The client of Temporal, made only here, from Temporal's own settings."""

import asyncio
import dataclasses
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Final

import structlog
from temporalio.api.workflowservice.v1 import GetSystemInfoRequest
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.envconfig import ClientConfig, ClientConnectConfig
from temporalio.runtime import Runtime
from temporalio.service import RetryConfig, RPCError, RPCStatusCode

from backup_scheduler.contract.errors import AccessRefused, ConfigurationError, SchedulerError
from backup_scheduler.masking import MaskedFailures, hide

_log = structlog.stdlib.get_logger(__name__)

DATA_CONVERTER: Final = dataclasses.replace(pydantic_data_converter, failure_converter_class=MaskedFailures)
"""Pydantic models as JSON, and no secret in the text of a failure."""

_DEFAULT_ADDRESS = "localhost:7233"
_DEFAULT_NAMESPACE = "default"
_TOML_PLACE = re.compile(r"TOML parse error (at line \d+, column \d+)")
_TRUTH_VALUES = ("true", "false", "1", "0")

_UNUSABLE = {
    "PrivateKeyParseError": "TEMPORAL_TLS_CLIENT_KEY_PATH: there is no private key in PEM form in the file",
    "CertificateParseError": "TEMPORAL_TLS_CLIENT_CERT_PATH: there is no certificate in PEM form in the file",
}
"""Faults that no further attempt to connect cures, by their names in the SDK's Rust core."""

_CLOSED: Final = (
    "Temporal's server closed the connection at its start: does it want TLS, or another client certificate?"
)

_TLS_FAULTS: Final = {
    "alert: UnknownCA": "Temporal's server does not know the CA of the client certificate "
    "(TEMPORAL_TLS_CLIENT_CERT_PATH)",
    "alert: CertificateExpired": "the client certificate (TEMPORAL_TLS_CLIENT_CERT_PATH) has expired",
    "alert: CertificateRequired": "Temporal's server wants a client certificate (TEMPORAL_TLS_CLIENT_CERT_PATH and "
    "TEMPORAL_TLS_CLIENT_KEY_PATH)",
    "KeyMismatch": "the key in TEMPORAL_TLS_CLIENT_KEY_PATH is not that of the certificate in "
    "TEMPORAL_TLS_CLIENT_CERT_PATH",
    "NotValidForName": "the certificate of Temporal's server does not have the name in TEMPORAL_TLS_SERVER_NAME (or, "
    "where that is not set, in TEMPORAL_ADDRESS)",
    "UnknownIssuer": "the CA of Temporal's server is not known: TEMPORAL_TLS_SERVER_CA_CERT_PATH",
    "InvalidCertificate(Expired": "the certificate of Temporal's server has expired",
    "BrokenPipe": _CLOSED,
    "code: Cancelled": _CLOSED,
}
"""Faults of TLS by their names in the SDK's Rust core, which has them in the middle of its own records."""

_REFUSALS: Final = (RPCStatusCode.PERMISSION_DENIED, RPCStatusCode.UNAUTHENTICATED)

_LOOKS_EVERY: Final = 5.0
"""Seconds between two looks at the settings and at Temporal."""

_TRIES: Final = 5
"""Most attempts to learn why the server closes connections."""

_ANSWERS_WITHIN: Final = 30.0
"""Seconds in which Temporal has to answer such a look."""


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
        # An empty variable counts as not set; the SDK would turn TLS on for an empty TEMPORAL_API_KEY.
        given = {name: value for name, value in os.environ.items() if value}
        config = ClientConfig.load_client_connect_config(override_env_vars=given)
    except (RuntimeError, ValueError, OSError) as error:
        # The SDK's message about a file that is not TOML quotes the line, which may be the one with the key.
        place = _TOML_PLACE.search(str(error))
        reason = f"the file with profiles is not as it should be {place[1]}" if place else str(error)
        raise ConfigurationError(f"Temporal's settings (TEMPORAL_*) cannot be read: {reason}") from None
    hide(config.get("api_key") or "")  # of a profile: those of the environment are known
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
    config: ClientConnectConfig | None = None,
    *,
    lazy: bool = False,
    runtime: Runtime | None = None,
    retry_config: RetryConfig | None = None,
    identity: str | None = None,
) -> Client:
    """Connect with Temporal's own settings, by default those of this moment, and the SDK's own identity.

    A lazy client connects with its first call, so it can be made while Temporal is down. Raises ConfigurationError
    if the settings are wrong, AccessRefused, and RuntimeError if Temporal cannot be reached.
    """
    config = config or configuration()
    try:
        return await Client.connect(
            **config,
            data_converter=DATA_CONVERTER,
            lazy=lazy,
            runtime=runtime,
            retry_config=retry_config,
            identity=identity,
        )
    except ValueError as error:
        raise ConfigurationError(f"Temporal's settings (TEMPORAL_*) cannot be used: {error}") from None
    except RuntimeError as error:
        if unusable := next((sentence for sign, sentence in _UNUSABLE.items() if sign in str(error)), None):
            raise ConfigurationError(unusable) from None
        if is_refusal(error):
            raise AccessRefused(config.get("namespace", _DEFAULT_NAMESPACE)) from None
        raise


async def follow(
    client: Client,
    used: ClientConnectConfig,
    use: Callable[[Client], None],
    *,
    runtime: Runtime | None = None,
    retry_config: RetryConfig | None = None,
) -> None:
    """Look after a client and its settings for ever: hand out a new client whenever the settings have changed.

    Files are renewed while a process runs, certificates and profiles with an API key above all, and the SDK reads them
    only when a client is made (docs/temporal-facts.md#the-client-reads-files-once). Until a client with the new ones
    connects, the old one stays in use. The log says why Temporal cannot be reached, once, and when it is reached again.
    """
    told: set[str] = set()
    while True:
        await asyncio.sleep(_LOOKS_EVERY)
        try:
            async with asyncio.timeout(_ANSWERS_WITHIN):
                found = configuration()
                if found != used:
                    client = await connect(found, runtime=runtime, retry_config=retry_config, identity=client.identity)
                    used = found
                    use(client)
                    _log.info("renewed settings of Temporal are in use", namespace=client.namespace)
                elif not await _answers(client):
                    await _say_why(used, runtime)
        except (SchedulerError, RuntimeError, TimeoutError) as error:
            why = reason(error)
            if not told or why not in {*told, _CLOSED}:
                _log.warning("Temporal cannot be reached", reason=why)
            told.add(why)
        else:
            if told:
                _log.info("Temporal is reached again")
            told.clear()


async def _say_why(config: ClientConnectConfig, runtime: Runtime | None) -> None:
    """Raise the reason for which Temporal cannot be reached, unless it is reached by now.

    A client that was connected says no more than "transport error"; a new one knows the reason, but not each time
    (docs/temporal-facts.md#alerts-of-tls-can-be-lost).
    """
    for _ in range(_TRIES - 1):
        try:
            await connect(config, runtime=runtime, retry_config=RetryConfig(max_retries=1))
        except RuntimeError as error:
            if reason(error) != _CLOSED:
                raise
        else:
            return
    await connect(config, runtime=runtime, retry_config=RetryConfig(max_retries=1))


async def _answers(client: Client) -> bool:
    try:
        await client.workflow_service.get_system_info(GetSystemInfoRequest())
    except (RPCError, RuntimeError):
        return False
    return True


def is_refusal(error: BaseException) -> bool:
    """Return whether Temporal, or what is before it, refuses a request for want of a right or of a valid token."""
    if isinstance(error, RPCError):
        return error.status in _REFUSALS
    return (
        isinstance(error, RuntimeError)
        and re.search(r"code: (PermissionDenied|Unauthenticated)\b", str(error)) is not None
    )


def reason(error: BaseException) -> str:
    """Return why Temporal cannot be reached: a sentence for faults of TLS, else the client's own text."""
    text = str(error) or type(error).__name__
    return next((sentence for sign, sentence in _TLS_FAULTS.items() if sign in text), text)
