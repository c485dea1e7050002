"""Requests to a backup service and its answers, as pure functions."""

import gzip
import json
import random
import zlib
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from activities.http.answers import bounded_delay, describe, read_answer, retry_after, unpack
from activities.http.exchange import LONGEST_BODY, Answer
from activities.http.form import form
from backup_scheduler.runs.results import HttpAnswer

NOW = datetime(2026, 1, 1, tzinfo=UTC)
S, M = timedelta(seconds=1), timedelta(minutes=1)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts


def encoded(fields: Mapping[str, Any]) -> str:
    """The body that requests makes of fields."""
    body = requests.Request("POST", "http://h/", data=fields).prepare().body
    assert isinstance(body, str)
    return body


def answered(content_type: str = "", body: bytes = b"", status: int = 200, reason: str = "") -> Answer:
    return Answer(status, reason, {"Content-Type": content_type}, body)


@pytest.mark.parametrize(
    ("value", "fields"),
    [
        (None, []),
        (True, ["True"]),
        (1.5, ["1.5"]),
        ("ü &=+", ["ü &=+"]),
        ("", [""]),
        ([], []),
        ([1, None, "a"], ["1", "a"]),
        ({"a": [1, None]}, ['{"a": [1, null]}']),
        ([{"a": 1}, 2], ['[{"a": 1}, 2]']),
        ([[{"ü": 1}]], ['[[{"ü": 1}]]']),
    ],
)
def test_each_kind_of_value_becomes_fields(value: Any, fields: list[str]) -> None:
    sent = encoded(form({"key": value}, "nightly"))
    assert parse_qsl(sent, keep_blank_values=True) == [
        *(("key", field) for field in fields),
        ("policy_name", "nightly"),
    ]


@given(st.dictionaries(texts.filter(lambda key: key != "policy_name"), scalars | st.lists(scalars | st.lists(scalars))))
def test_fields_without_objects_are_left_to_requests_as_they_are(url_kwargs: dict[str, Any]) -> None:
    assert form(url_kwargs, "p") == {**url_kwargs, "policy_name": "p"}


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("120", 120),
        (" 7 ", 7),
        ("0", 1),
        ("Thu, 01 Jan 2026 00:02:00 GMT", 120),
        ("Thu, 01 Jan 2026 00:02:00", 120),
        ("Wed, 31 Dec 2025 00:00:00 GMT", 1),
        ("soon", None),
        ("-5", None),
        ("1.5", None),
        ("²", None),
        ("9" * 500, 365 * 86400),
        ("Thu, 01 Jan 2026 00:02:00 +99999999999999", None),
        ("Thu, 01 Jan 2026 00:02:00 -2500", None),
        ("Fri, 31 Dec 9999 23:59:59 -2300", 365 * 86400),
        ("Mon, 01 Jan 0001 00:00:00 +2300", 1),
    ],
)
def test_retry_after_is_read_as_seconds_or_as_a_date(header: str | None, seconds: int | None) -> None:
    assert retry_after(header, NOW) == (None if seconds is None else timedelta(seconds=seconds))


@given(st.text())
def test_any_retry_after_is_read_or_left(header: str) -> None:
    delay = retry_after(header, NOW)
    assert delay is None or timedelta(seconds=1) <= delay <= timedelta(days=365)


@given(st.text("0123456789+-", min_size=1, max_size=30))
def test_any_zone_of_a_retry_after_is_read_or_left(zone: str) -> None:
    delay = retry_after(f"Thu, 01 Jan 2026 00:02:00 {zone}", NOW)
    assert delay is None or timedelta(seconds=1) <= delay <= timedelta(days=365)


@pytest.mark.parametrize(
    ("delay", "left", "timeout", "waited"),
    [
        (7 * S, 15 * M, 5 * M, 7 * S),
        (10 * M, 15 * M, 5 * M, 10 * M),
        (11 * M, 15 * M, 5 * M, 10 * M),
        (24 * 60 * M, 15 * M, 5 * M, 10 * M),
        (24 * 60 * M, 5 * M, 5 * M, 2.5 * M),
        (24 * 60 * M, 61 * M, 60 * M, 30.5 * M),
        (24 * 60 * M, 1 * S, 5 * M, 1 * S),  # too late for another attempt: the run ends
    ],
)
def test_a_delay_leaves_time_for_one_more_attempt(
    delay: timedelta, left: timedelta, timeout: timedelta, waited: timedelta
) -> None:
    assert bounded_delay(delay, left, timeout) == waited


@pytest.mark.parametrize(
    ("content_type", "body", "kept"),
    [
        ("application/json", b'{"a": [1]}', {"a": [1]}),
        ("application/problem+json", b"[1]", [1]),
        ("Application/JSON; charset=utf-8", b"[1]", [1]),
        ("application/json", b"{'a'", "{'a'"),
        ("application/json", b'{"a": NaN}', '{"a": NaN}'),
        ("application/json", b"1e999", "1e999"),
        ("application/json", b"1" * 5000, "1" * 5000),
        ("application/json", rb'"\ud800"', r'"\ud800"'),
        ("application/json", rb'"\ud83d\ude00"', "😀"),
        ("application/json", b"\xef\xbb\xbf[1]", [1]),
        ("application/json", b"", ""),
        ("application/json", b"[" * 3000 + b"]" * 3000, "[" * 3000 + "]" * 3000),
        ("application/json", b"[" * 240 + b"]" * 240, "[" * 240 + "]" * 240),
        ("text/plain", b"{}", "{}"),
        ("text/plain; charset=latin-1", b"\xfc", "ü"),
        ("text/plain; charset*=latin-1''latin-1", b"\xfc", "�"),
        ("text/plain", b"\xfc", "�"),
        ("text/plain; charset=no-such", b"x", "x"),
        ("text/plain; charset=hex", b"x", "x"),
        ('text/plain; charset="a\0b"', b"x", "x"),
        ("text/plain; charset=unicode_escape", rb"a\ud800b", "a�b"),
        ("text/plain; charset=unicode_escape", rb"\ud83d\ude00", "😀"),
        ("text/plain; charset=utf-7", b"+2AA-", "�"),
        ("text/plain; charset=utf-16", b"\xff\xfea\0\0\xd8", "a�"),
    ],
)
def test_an_answer_is_json_where_it_says_so_and_is_and_text_else(content_type: str, body: bytes, kept: Any) -> None:
    assert read_answer(answered(content_type), body) == HttpAnswer(status=200, body=kept)


def test_an_answer_beyond_the_limit_is_cut_and_is_text() -> None:
    just_fits = json.dumps("x" * (LONGEST_BODY - 2)).encode()
    assert read_answer(answered("application/json"), just_fits).body == "x" * (LONGEST_BODY - 2)
    cut = read_answer(answered("application/json"), just_fits + b" ")
    assert cut == HttpAnswer(status=200, body=just_fits.decode(), truncated=True)


def test_an_answer_that_broke_off_is_text() -> None:
    broken = Answer(200, "", {"Content-Type": "application/json"}, b"1", ConnectionResetError())
    assert read_answer(broken, b"1") == HttpAnswer(status=200, body="1", truncated=True)


@given(st.binary(), st.sampled_from(["application/json", "text/plain"]), st.none() | st.text(max_size=9))
def test_any_answer_survives_its_way_through_temporal(body: bytes, kind: str, charset: str | None) -> None:
    answer = read_answer(answered(kind if charset is None else f"{kind}; charset={charset}"), body)
    assert HttpAnswer.model_validate_json(answer.model_dump_json()) == answer


@pytest.mark.parametrize(
    ("encoding", "body", "unpacked"),
    [
        ("", b"ok", b"ok"),
        ("GZIP", gzip.compress(b"ok", mtime=0), b"ok"),
        ("deflate", zlib.compress(b"ok", wbits=-15), b"ok"),
        ("gzip, deflate", zlib.compress(gzip.compress(b"ok", mtime=0)), b"ok"),
        ("gzip", b"ok", b"ok"),
        ("gzip", b"", b""),
        ("br", b"\x0b", b"\x0b"),
        ("rot13", b"ok", b"ok"),
        ("gzip", gzip.compress(bytes(1 << 20), mtime=0), bytes(LONGEST_BODY + 1)),
        ("gzip, gzip", gzip.compress(gzip.compress(bytes(1 << 20), mtime=0), mtime=0), bytes(LONGEST_BODY + 1)),
    ],
)
def test_a_body_is_unpacked_as_far_as_it_can_be(encoding: str, body: bytes, unpacked: bytes) -> None:
    assert unpack(body, encoding) == unpacked


def test_what_of_a_damaged_body_can_be_unpacked_is_kept() -> None:
    text = random.Random(1).randbytes(9_000).hex().encode()
    whole = gzip.compress(text, mtime=0)
    damaged = whole[:6_000] + b"\xff" * 100 + whole[6_100:]
    kept = unpack(damaged, "gzip")
    assert len(kept) > 3_000
    assert text.startswith(kept[:3_000])


@given(st.binary(), st.sampled_from(["gzip", "deflate", "br", "zstd", "gzip, gzip", ",", "gzip," * 30]))
def test_any_body_is_unpacked_or_left(body: bytes, encoding: str) -> None:
    assert len(unpack(body, encoding)) <= LONGEST_BODY + 1


@pytest.mark.parametrize(
    ("content_type", "body", "sentence"),
    [
        ("", b"", "h answered 400 Bad"),
        ("application/json", b'{"error":\r\n "no such tenant"}', 'h answered 400 Bad: {"error": "no such tenant"}'),
        (
            "text/html",
            b"<!DOCTYPE html><html><style>p {color: red}</style><h1>Bad</h1><p>tenant &uuml; &lt; 1",
            "h answered 400 Bad: Bad tenant ü < 1",
        ),
        ("", b"<script>alert(1)</script> no <b>tenant</b>", "h answered 400 Bad: no tenant"),
        ("text/plain; charset=latin-1", b"geh\xf6rt\x1b[31m\0nicht", "h answered 400 Bad: gehört [31m nicht"),
        ("text/plain; charset=utf-7", b"no +2AA-", "h answered 400 Bad: no �"),
        ("", b"see http://u:sesame@h/", "h answered 400 Bad: see http://***@h/"),
        ("", b"x" * 100_000, "h answered 400 Bad: " + "x" * 300 + "…"),
    ],
)
def test_a_refusal_is_reported_with_the_beginning_of_its_body(content_type: str, body: bytes, sentence: str) -> None:
    assert describe("h", answered(content_type, status=400, reason="Bad"), body) == sentence
