"""Pure functions on the answers of a backup service: their meaning, and the part that the result keeps."""

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
from activities.http.faults import reason
from backup_scheduler.masking import masked
from backup_scheduler.runs.results import BackupReport, HttpAnswer, Outcome
from backup_scheduler.texts import clean, encodable

_TRANSIENT = frozenset({408, 429})
_SHORTEST_DELAY = timedelta(seconds=1)
"""Keeps a Retry-After of 0 from causing a storm of requests."""
_LONGEST_DELAY = timedelta(days=365)
_LONGEST_EXCERPT = 300
"""Characters of an error's body that a failure quotes."""
_STEP = 1024
"""Bytes that are unpacked at once: at most this many bytes before a damage are lost."""
_MARKUP = re.compile(r"<(script|style)\b.*?</\1\s*>|<[!/a-z][^>]*>", re.IGNORECASE | re.DOTALL)


def is_transient(status: int) -> bool:
    """Tell whether a later request may succeed after this status, which is not a success."""
    return status in _TRANSIENT or status >= 500


def unpack(body: bytes, content_encoding: str, longest: int = LONGEST_BODY) -> bytes:
    """Decode a body up to its first damage, at most to one byte more than the `longest`.

    When nothing of it can be decoded, return the body as it is.
    """
    packed = HTTPResponse(io.BytesIO(body), {"Content-Encoding": content_encoding}, preload_content=False)
    unpacked = bytearray()
    try:
        for part in packed.stream(_STEP):
            unpacked += part
            if len(unpacked) > longest:
                break
    except DecodeError:
        return bytes(unpacked) or body
    return bytes(unpacked[: longest + 1])


def read_answer(answer: Answer, body: bytes) -> HttpAnswer:
    """Return an unpacked body as JSON when its Content-Type says so and it is valid, else as text.

    Bytes that cannot be decoded are replaced. A body that is longer than LONGEST_BODY, or broke off, is text.
    """
    truncated = bool(answer.fault) or max(len(body), len(answer.body)) > LONGEST_BODY
    body = body[:LONGEST_BODY]
    kind, charset = _kind(answer)
    if not truncated and (kind == "application/json" or kind.endswith("+json")):
        try:
            kept = HttpAnswer(status=answer.status, body=json.loads(body, parse_constant=_not_json))
            # Python reads JSON that the models cannot carry: deep nesting, lone surrogates, 1e999.
            report = BackupReport(outcome=Outcome.COMPLETED, message="", answer=kept)
            if BackupReport.model_validate_json(report.model_dump_json()) == report:
                return kept
        except (ValueError, RecursionError):
            pass
    return HttpAnswer(status=answer.status, body=_text(body, charset), truncated=truncated)


def report(answer: Answer, body: bytes, message: str) -> BackupReport:
    """Return the report on a backup that an answer with this unpacked body says was made."""
    made = BackupReport(outcome=Outcome.COMPLETED, message=message, answer=read_answer(answer, body))
    if answer.fault:
        # The service has accepted the request: a retry would make the backup again.
        made.outcome = Outcome.COMPLETED_WITH_WARNINGS
        made.warnings = [f"the answer broke off after {len(answer.body):,} bytes: {reason(answer.fault)}"]
    return made


def document(answer: Answer, body: bytes) -> JsonValue:
    """Return an unpacked body as JSON if it is, whatever its Content-Type; else as text. A BOM is not part of it."""
    text = _text(body, _kind(answer)[1]).removeprefix("\ufeff")
    try:
        parsed: JsonValue = json.loads(text, parse_constant=_not_json)
    except (ValueError, RecursionError):
        return text.strip()
    return parsed


def describe(host: str, answer: Answer, body: bytes) -> str:
    """Return a sentence with the status of an answer and the beginning of its unpacked body as text."""
    sentence = f"{host} answered {answer.status} {utf_8(answer.reason)}".rstrip()
    kind, charset = _kind(answer)
    text = _text(body[:LONGEST_BODY], charset)
    if kind == "text/html" or text.lstrip()[:1] == "<":
        text = html.unescape(_MARKUP.sub(" ", text))
    # Mask before the text is cut: half of a secret would not be recognized.
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
    except (LookupError, ValueError):  # not a charset, or not one for text
        text = body.decode(errors="replace")
    return encodable(text)


def utf_8(header: str) -> str:
    """Decode a header as UTF-8 where it is valid UTF-8; http.client decodes every header as Latin-1."""
    try:
        return header.encode("latin-1").decode()
    except UnicodeError:
        return header


def _not_json(constant: str) -> JsonValue:
    raise ValueError(constant)


def retry_after(header: str | None, now: datetime) -> timedelta | None:
    """Return the delay of a Retry-After header (RFC 9110), in seconds or as a date; None without a valid one."""
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
    """Shorten the delay that a service asks for, so that an attempt fits into the rest of the time for trying.

    A delay past that time would end the activity at once (docs/temporal-facts.md#a-long-delay-ends-the-run). When less
    time is left than one attempt may take, half of it is kept for an attempt: a service that stays busy gets further
    requests, but not many.
    """
    return min(delay, max(left - timeout, left / 2, _SHORTEST_DELAY))
