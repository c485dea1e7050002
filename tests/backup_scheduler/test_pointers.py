"""JSON pointers find what RFC 6901 says that they find."""

from typing import Any

import pytest

from backup_scheduler.policies.pointers import MISSING, at, count_at, is_pointer, number_at, text_at

RFC: dict[str, Any] = {
    "foo": ["bar", "baz"],
    "": 0,
    "a/b": 1,
    "c%d": 2,
    "m~n": 8,
    " ": 7,
    "~1": 9,
}


@pytest.mark.parametrize(
    ("pointer", "value"),
    [
        ("", RFC),
        ("/foo", ["bar", "baz"]),
        ("/foo/0", "bar"),
        ("/foo/1", "baz"),
        ("/", 0),
        ("/a~1b", 1),
        ("/c%d", 2),
        ("/m~0n", 8),
        ("/ ", 7),
        ("/~01", 9),
        ("/foo/2", MISSING),
        ("/foo/-", MISSING),
        ("/foo/-1", MISSING),
        ("/foo/²", MISSING),
        (f"/foo/{'9' * 5000}", MISSING),
        ("/foo/bar", MISSING),
        ("/none", MISSING),
        ("/a~1b/x", MISSING),
    ],
)
def test_a_pointer_finds_a_value_or_nothing(pointer: str, value: object) -> None:
    assert is_pointer(pointer)
    assert at(RFC, pointer) == value


@pytest.mark.parametrize("text", ["foo", "~", "/~", "/a~2", " /a", "/~0~"])
def test_a_text_that_is_no_pointer(text: str) -> None:
    assert not is_pointer(text)


@pytest.mark.parametrize(
    ("value", "text", "number", "count"),
    [
        ("done", "done", None, None),
        ("7", "7", None, None),
        (True, "true", None, None),
        (7, "7", 7, 7),
        (7.5, "7.5", 7.5, 7),
        (0, "0", 0, 0),
        (-1, "-1", None, None),
        (1 << 63, str(1 << 63), None, None),
        (None, None, None, None),
        ([], None, None, None),
        ({}, None, None, None),
    ],
)
def test_what_counts_as_text_and_as_number(
    value: Any, text: str | None, number: float | None, count: int | None
) -> None:
    answer = {"a": value}
    assert (text_at(answer, "/a"), number_at(answer, "/a"), count_at(answer, "/a")) == (text, number, count)


def test_no_pointer_finds_nothing() -> None:
    assert (text_at("x", None), number_at(1, None), count_at(1, None)) == (None, None, None)
