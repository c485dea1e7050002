"""What all requests to a backup service have in common: the credentials, the limit of an exchange, and its failures."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from urllib.parse import urlsplit

from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.http import answers, faults
from activities.http.exchange import Answer, Exchange
from backup_scheduler import masking
from backup_scheduler.policies.http import HttpTarget

_LAST_WORDS = 2
"""Seconds in which an aborted exchange may still return the part of the answer that it has read."""


def host_of(url: str) -> str:
    """Return what sentences call the service: they show no more of its URL, which may hold a key."""
    return urlsplit(url).hostname or url


def run_id() -> str:
    """Return the id of the run to which the current attempt belongs."""
    return activity.info().workflow_id or ""


async def ask(exchange: Exchange, limit: float) -> tuple[Answer, bytes]:
    """Return the answer to a request, and its body, unpacked; `limit` bounds the exchange, in seconds.

    Raises ApplicationError when there is no answer; it is non-retryable where another attempt cannot help.
    """
    host = host_of(exchange.url)
    try:
        answer = await _within(limit, exchange)
    except TimeoutError:
        raise transient(f"{host} did not answer completely within {limit:g} s") from None
    except Exception as error:  # requests, urllib3, http.client and ssl have no common base of their errors
        sentence, is_transient = faults.explain(error, exchange, host)
        raise (transient if is_transient else permanent)(sentence) from None
    return answer, answers.unpack(answer.body, answer.headers.get("Content-Encoding", ""), exchange.longest)


async def _within(limit: float, exchange: Exchange) -> Answer:
    """Run an exchange; abort it after `limit` seconds, and when this task is cancelled.

    The exchange has a thread of its own, because the search for a host's address cannot be aborted: a thread that stays
    in it must not take the place of another. Raises TimeoutError when not even a status was read.
    """
    thread = ThreadPoolExecutor(1, thread_name_prefix="http")
    sending = asyncio.get_running_loop().run_in_executor(thread, exchange.send, limit + _LAST_WORDS)
    thread.shutdown(wait=False)
    try:
        if (await asyncio.wait([sending], timeout=limit))[0]:
            return sending.result()
        exchange.abort(f"it was not complete within {limit:g} s")
        await asyncio.wait([sending], timeout=_LAST_WORDS)
        if not sending.done() or sending.exception():
            raise TimeoutError
        return sending.result()
    finally:
        exchange.abort("given up")
        sending.cancel()


def token_of(target: HttpTarget) -> str | None:
    """Read the token of a policy. Raises ApplicationError, non-retryable, when its file holds none."""
    if target.token_file is None:
        return None
    try:
        token = target.token_file.read_text(encoding="ascii").strip()
        masking.hide(token)
    except OSError as error:
        raise permanent(f"the token_file {target.token_file} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        token = ""
    if not token.isprintable() or not token:
        raise permanent(f"the token_file {target.token_file} does not hold a token: one line of ASCII text")
    return token


def transient(sentence: str, delay: timedelta | None = None) -> ApplicationError:
    """Return a failure that another attempt may not meet; it comes after `delay`, if there is one."""
    return ApplicationError(sentence, type="BackupTargetUnavailable", next_retry_delay=delay)


def permanent(sentence: str) -> ApplicationError:
    """Return a failure that every attempt would meet."""
    return ApplicationError(sentence, type="BackupTargetRefused", non_retryable=True)
