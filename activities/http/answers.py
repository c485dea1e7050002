"""What an answer of a backup service means and what is kept of it, as pure functions."""

import html
import io
import json
import re
from datetime import UTC, datetime, timedelta
from email.message import Message
from email.utils import parsedate_to_datetime

from pydantic import JsonValue
from urllib3 import HTTPResponse
from urllib3.exceptions import DecodeError

from activities.http.exchange import LONGEST_BODY, Answer
from backup_scheduler.masking import masked
from backup_scheduler.runs.results import BackupReport, HttpAnswer, Outcome
from backup_scheduler.texts import clean, encodable

_TRANSIENT = frozenset({408, 429})
_SHORTEST_DELAY = timedelta(seconds=1)
"""So that a Retry-After of 0 does not make a storm."""
_LONGEST_DELAY = timedelta(days=365)
_LONGEST_EXCERPT = 300
"""Characters of an error's body that a failure quotes."""
_STEP = 1024
"""Bytes that are unpacked at once: what stands before a damage is kept but for so much."""
_MARKUP = re.compile(r"<(script|style)\b.*?</\1\s*>|<[!/a-z][^>]*>", re.IGNORECASE | re.DOTALL)


def is_transient(status: int) -> bool:
    """Tell whether an answer that is not a success may be followed by another one."""
    return status in _TRANSIENT or status >= 500


def unpack(body: bytes, content_encoding: str) -> bytes:
    """Undo a Content-Encoding as far as it can be, at most to one byte more than LONGEST_BODY.

    A body of which nothing can be decoded stays as it is.
    """
    packed = HTTPResponse(io.BytesIO(body), {"Content-Encoding": content_encoding}, preload_content=False)
    unpacked = bytearray()
    try:
        for part in packed.stream(_STEP):
            unpacked += part
            if len(unpacked) > LONGEST_BODY:
                break
    except DecodeError:
        return bytes(unpacked) or body
    return bytes(unpacked[: LONGEST_BODY + 1])


def read_answer(answer: Answer, body: bytes) -> HttpAnswer:
    """Keep an unpacked body as JSON where it says that it is and is, else as text, undecodable bytes replaced.

    A body that is longer than LONGEST_BODY, or broke off, is not JSON any more.
    """
    truncated = bool(answer.fault) or max(len(body), len(answer.body)) > LONGEST_BODY
    body = body[:LONGEST_BODY]
    kind, charset = _kind(answer)
    if not truncated and (kind == "application/json" or kind.endswith("+json")):
        try:
            kept = HttpAnswer(status=answer.status, body=json.loads(body, parse_constant=_not_json))
            # JSON that Python reads may be more than the models that carry it bear: nesting, lone surrogates, 1e999.
            report = BackupReport(outcome=Outcome.COMPLETED, message="", answer=kept)
            if BackupReport.model_validate_json(report.model_dump_json()) == report:
                return kept
        except (ValueError, RecursionError):
            pass
    return HttpAnswer(status=answer.status, body=_text(body, charset), truncated=truncated)


def describe(host: str, answer: Answer, body: bytes) -> str:
    """Say in a sentence what a service answered, with the beginning of its unpacked body as text."""
    sentence = f"{host} answered {answer.status} {_utf_8(answer.reason)}".rstrip()
    kind, charset = _kind(answer)
    text = _text(body[:LONGEST_BODY], charset)
    if kind == "text/html" or text.lstrip()[:1] == "<":
        text = html.unescape(_MARKUP.sub(" ", text))
    # Before it is cut: half of a secret is not known any more.
    excerpt = clean(" ".join(masked(text).split()), _LONGEST_EXCERPT)
    return f"{sentence}: {excerpt}" if excerpt else sentence


def _kind(answer: Answer) -> tuple[str, str]:
    header = Message()
    header["Content-Type"] = answer.headers.get("Content-Type", "")
    charset = header.get_param("charset", "utf-8")
    return header.get_content_type(), charset if isinstance(charset, str) else "utf-8"


def _text(body: bytes, charset: str) -> str:
    try:
        text = body.decode(charset, errors="replace")
    except (LookupError, ValueError):  # not a charset, or not one of text
        text = body.decode(errors="replace")
    return encodable(text)


def _utf_8(header: str) -> str:
    """Read a text of a header, which http.client takes for Latin-1, as UTF-8 where it is that."""
    try:
        return header.encode("latin-1").decode()
    except UnicodeError:
        return header


def _not_json(constant: str) -> JsonValue:
    raise ValueError(constant)


def retry_after(header: str | None, now: datetime) -> timedelta | None:
    """Read a Retry-After header (RFC 9110): seconds or a date; None when there is none that makes sense."""
    if header is None:
        return None
    header = header.strip()
    if header.isascii() and header.isdigit():
        delay = timedelta(seconds=int(header)) if len(header) < 9 else _LONGEST_DELAY
    else:
        try:
            moment = parsedate_to_datetime(header)
        except (ValueError, OverflowError):  # no date, or a zone beyond all zones
            return None
        delay = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - now
    return min(max(delay, _SHORTEST_DELAY), _LONGEST_DELAY)


def bounded_delay(delay: timedelta, left: timedelta, timeout: timedelta) -> timedelta:
    """Bound the delay that a service asks for so that an attempt fits into what is left of the time for trying.

    Temporal ends a run at once whose next attempt would come too late. Where less is left than an attempt may take, the
    half of it is kept for one: so a service that stays busy is asked ever again, but not many times.
    """
    return min(delay, max(left - timeout, left / 2, _SHORTEST_DELAY))
