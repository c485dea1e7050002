"""Backups that another service makes: one POST request, whose answer is the result."""

import asyncio
import json
import os
import socket
import ssl
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from urllib.parse import quote, urlencode, urlsplit

import aiohttp
from pydantic import JsonValue
from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.attempts import attempt
from backup_scheduler import masking
from backup_scheduler.backups import BackupReport, BackupTask, HttpAnswer, Outcome
from backup_scheduler.policies import HttpTarget, Policies

LONGEST_BODY = 64 * 1024
"""Bytes of an answer that are read and kept (contract); the result stands in the run's history for ever."""

_HEARTBEAT_INTERVAL = timedelta(seconds=5)
"""There is no progress to tell, so this only bounds how soon a cancellation arrives."""

_MOST_REDIRECTS = 30  # as requests, which the replaced service used
_RETRIED = frozenset({408, 429})
_LONGEST_DELAY = timedelta(days=365)


def open_session() -> aiohttp.ClientSession:
    """Open a session for one attempt: nothing of it, like a cookie, is left over for another run.

    It heeds proxies from the environment, as the replaced service did. It tries nothing again by itself: Temporal does.
    """
    return aiohttp.ClientSession(trust_env=True, timeout=aiohttp.ClientTimeout(total=None))


class HttpBackup:
    """Asks a backup service for a backup."""

    def __init__(self, policies: Policies, open_session: Callable[[], aiohttp.ClientSession] = open_session) -> None:
        self._policies = policies
        self._open_session = open_session

    @activity.defn
    async def http_backup(self, task: BackupTask) -> BackupReport:
        """POST the job's url_kwargs and policy_name; an answer with a status of 200 to 399 is success.

        Faults that may pass are left to Temporal to try again, others fail for good.
        """
        target = self._policies.find(task.request.policy_name)
        if not isinstance(target, HttpTarget):
            raise _lasting(f"the policy {task.request.policy_name!r} is not of type http any more")
        async with attempt(task, "waiting for the answer of the backup service", _HEARTBEAT_INTERVAL):
            return await self._post(target, task)

    async def _post(self, target: HttpTarget, task: BackupTask) -> BackupReport:
        url = target.url.get_secret_value()
        host = urlsplit(url).hostname
        try:
            async with (
                asyncio.timeout(target.timeout.total_seconds()),
                self._open_session() as session,
                session.post(
                    url,
                    data=form(task.request.url_kwargs, task.request.policy_name),
                    headers=_headers(target, task.occurrence),
                    max_redirects=_MOST_REDIRECTS,
                ) as response,
            ):
                if not 200 <= response.status < 400:
                    raise refusal(f"{host} answered {response.status} {response.reason}", response)
                report = BackupReport(
                    outcome=Outcome.COMPLETED,
                    message=f"{host} answered {response.status}",
                    answer=await _answer(response),
                )
        except TimeoutError:
            seconds = target.timeout.total_seconds()
            raise _passing(f"{host} did not answer completely within {seconds:g} s") from None
        except aiohttp.TooManyRedirects:
            raise _lasting(f"{host} redirected more than {_MOST_REDIRECTS} times") from None
        except (aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError):
            raise _lasting(f"the URL of {host}, or one that it redirected to, is not valid") from None
        except aiohttp.ClientConnectorCertificateError as error:
            raise _passing(f"{error.host} has no valid TLS certificate: {error.certificate_error}") from None
        except aiohttp.ClientConnectorError as error:
            # The text of the error itself may hold more of the URL than the host.
            raise _passing(f"no connection to {error.host}: {_reason(error.os_error)}") from None
        except (aiohttp.ClientError, OSError) as error:
            raise _passing(f"the exchange with {host} broke off: {type(error).__name__}") from None
        except ValueError:
            raise _lasting(f"the request to {host} has two kinds of credentials: a token_file and .netrc") from None
        return report


def form(url_kwargs: dict[str, JsonValue], policy_name: str) -> bytes:
    """Encode the fields of a request as `requests` encodes data=, which the backup services know.

    None is left out, True is "True", a list repeats its key. An object, or a list with one in it, of which requests
    would send the keys alone, is JSON.
    """
    pairs: list[tuple[str, JsonValue]] = []
    for name, value in {**url_kwargs, "policy_name": policy_name}.items():
        if _holds_object(value):
            pairs.append((name, json.dumps(value, ensure_ascii=False)))
        else:
            values = value if isinstance(value, list) else [value]
            pairs += [(name, each) for each in values if each is not None]
    return urlencode(pairs, doseq=True).encode("ascii")


def _holds_object(value: JsonValue) -> bool:
    return isinstance(value, dict) or (isinstance(value, list) and any(map(_holds_object, value)))


def _headers(target: HttpTarget, occurrence: str) -> dict[str, str]:
    headers = {
        "Content-Type": "application/x-www-form-urlencoded",
        # Lets a service tell a repeated request of one occurrence from the next occurrence.
        "Idempotency-Key": quote(occurrence, safe=""),
    }
    if target.token_file is not None:
        try:
            token = target.token_file.read_text(encoding="ascii").strip()
            masking.hide(token)
        except OSError as error:
            raise _lasting(f"the token_file {target.token_file} cannot be read: {error.strerror}") from None
        except UnicodeDecodeError:
            token = ""
        if not token.isprintable() or not token:
            raise _lasting(f"the token_file {target.token_file} does not hold a token: one line of ASCII text")
        headers["Authorization"] = f"Bearer {token}"
    return headers


async def _answer(response: aiohttp.ClientResponse) -> HttpAnswer:
    body = bytearray()
    while len(body) <= LONGEST_BODY and (chunk := await response.content.read(LONGEST_BODY + 1 - len(body))):
        body += chunk
    return read_answer(response.status, response.content_type, response.charset, bytes(body))


def read_answer(status: int, content_type: str, charset: str | None, body: bytes) -> HttpAnswer:
    """Keep an answer as JSON where it says that it is and is, else as text, undecodable bytes replaced.

    A body longer than LONGEST_BODY is cut, and is not JSON any more.
    """
    truncated = len(body) > LONGEST_BODY
    body = body[:LONGEST_BODY]
    if not truncated and (content_type == "application/json" or content_type.endswith("+json")):
        try:
            answer = HttpAnswer(status=status, body=json.loads(body, parse_constant=_not_json))
            # JSON that Python reads may be more than the models that carry it bear: nesting, lone surrogates.
            BackupReport.model_validate_json(
                BackupReport(outcome=Outcome.COMPLETED, message="", answer=answer).model_dump_json()
            )
        except (ValueError, RecursionError):
            pass
        else:
            return answer
    try:
        text = body.decode(charset or "utf-8", errors="replace")
    except (LookupError, ValueError):  # not a charset, or not one of text
        text = body.decode(errors="replace")
    return HttpAnswer(status=status, body=text, truncated=truncated)


def _not_json(constant: str) -> JsonValue:
    raise ValueError(constant)


def refusal(sentence: str, response: aiohttp.ClientResponse) -> ApplicationError:
    """Tell by its status whether an answer that is not a success may be followed by another one."""
    if response.status in _RETRIED or response.status >= 500:
        return _passing(sentence, retry_after(response.headers.get("Retry-After"), datetime.now(UTC)))
    return _lasting(sentence)


def retry_after(header: str | None, now: datetime) -> timedelta | None:
    """Read a Retry-After header (RFC 9110): seconds or a date; None when there is none that makes sense.

    At least a second, so that an answer of 0 does not make a storm.
    """
    if header is None:
        return None
    header = header.strip()
    if header.isascii() and header.isdigit():
        delay = timedelta(seconds=int(header)) if len(header) < 9 else _LONGEST_DELAY
    else:
        try:
            moment = parsedate_to_datetime(header)
        except ValueError:
            return None
        delay = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - now
    return min(max(delay, timedelta(seconds=1)), _LONGEST_DELAY)


def _reason(error: OSError) -> str:
    if error.errno and not isinstance(error, ssl.SSLError | socket.gaierror):  # these have numbers of their own
        return os.strerror(error.errno)  # asyncio has put its own words into strerror
    return error.strerror or str(error) or type(error).__name__


def _passing(sentence: str, delay: timedelta | None = None) -> ApplicationError:
    return ApplicationError(sentence, type="BackupTargetUnavailable", next_retry_delay=delay)


def _lasting(sentence: str) -> ApplicationError:
    return ApplicationError(sentence, type="BackupTargetRefused", non_retryable=True)
