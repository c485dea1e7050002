"""What is sent to a backup service and read from it, as pure functions."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from activities.http_backup import LONGEST_BODY, form, read_answer, retry_after
from backup_scheduler.backups import HttpAnswer

NOW = datetime(2026, 1, 1, tzinfo=UTC)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts


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
    sent = parse_qsl(form({"key": value}, "nightly").decode(), keep_blank_values=True)
    assert sent == [*(("key", field) for field in fields), ("policy_name", "nightly")]


@given(st.dictionaries(texts.filter(lambda key: key != "policy_name"), scalars | st.lists(scalars | st.lists(scalars))))
def test_without_objects_the_form_is_that_of_requests(url_kwargs: dict[str, Any]) -> None:
    prepared = requests.Request("POST", "http://h/", data={**url_kwargs, "policy_name": "p"}).prepare()
    assert form(url_kwargs, "p").decode() == prepared.body


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
    ],
)
def test_retry_after_is_read_as_seconds_or_as_a_date(header: str | None, seconds: int | None) -> None:
    assert retry_after(header, NOW) == (None if seconds is None else timedelta(seconds=seconds))


@given(st.text())
def test_any_retry_after_is_read_or_left(header: str) -> None:
    delay = retry_after(header, NOW)
    assert delay is None or timedelta(seconds=1) <= delay <= timedelta(days=365)


@pytest.mark.parametrize(
    ("content_type", "charset", "body", "kept"),
    [
        ("application/json", None, b'{"a": [1]}', {"a": [1]}),
        ("application/problem+json", None, b"[1]", [1]),
        ("application/json", None, b"{'a'", "{'a'"),
        ("application/json", None, b'{"a": NaN}', '{"a": NaN}'),
        ("application/json", None, rb'"\ud800"', r'"\ud800"'),
        ("application/json", None, b"", ""),
        ("application/json", None, b"[" * 3000 + b"]" * 3000, "[" * 3000 + "]" * 3000),
        ("application/json", None, b"[" * 240 + b"]" * 240, "[" * 240 + "]" * 240),
        ("text/plain", None, b"{}", "{}"),
        ("text/plain", "latin-1", b"\xfc", "ü"),
        ("text/plain", None, b"\xfc", "�"),
        ("text/plain", "no-such", b"x", "x"),
        ("text/plain", "hex", b"x", "x"),
    ],
)
def test_an_answer_is_json_where_it_says_so_and_is_and_text_else(
    content_type: str, charset: str | None, body: bytes, kept: Any
) -> None:
    assert read_answer(200, content_type, charset, body) == HttpAnswer(status=200, body=kept)


def test_an_answer_beyond_the_limit_is_cut_and_is_text() -> None:
    just_fits = json.dumps("x" * (LONGEST_BODY - 2)).encode()
    assert read_answer(200, "application/json", None, just_fits).body == "x" * (LONGEST_BODY - 2)
    cut = read_answer(200, "application/json", None, just_fits + b" ")
    assert cut == HttpAnswer(status=200, body=just_fits.decode(), truncated=True)


@given(st.binary(), st.sampled_from(["application/json", "text/plain"]), st.none() | st.text(max_size=9))
def test_any_answer_survives_its_way_through_temporal(body: bytes, content_type: str, charset: str | None) -> None:
    answer = read_answer(200, content_type, charset, body)
    assert HttpAnswer.model_validate_json(answer.model_dump_json()) == answer
