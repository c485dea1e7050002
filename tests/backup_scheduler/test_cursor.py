"""The place of a page goes out as a text and comes back, and no other text is taken for one."""

import base64
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backup_scheduler.jobs.cursor import Cursor


@given(st.binary(max_size=50), st.lists(st.text(max_size=5)), st.integers(0, 3), st.text(max_size=20))
def test_a_place_comes_back_as_it_went_out(token: bytes, ids: list[str], gone: int, question: str) -> None:
    cursor = replace(Cursor.before_list(ids), token=token, count=gone or None)
    cursor = replace(cursor, owed=cursor.owed[gone:])
    assert Cursor.read(cursor.text(question), question) == cursor
    assert cursor.owed == tuple(ids[gone:])
    assert all(cursor.leaves_out(each) for each in ids)
    assert not cursor.leaves_out("another id")


def test_the_place_of_another_question_is_none() -> None:
    assert Cursor.read(Cursor(b"token").text("paused"), "all") is None


PLACE = Cursor(b"token").text("all")


NO_PLACES = {
    "nothing": "",
    "a letter": "x",
    "not ASCII": "é",
    "a lone surrogate": "\ud800",
    "cut short": PLACE[:-8],
    "changed": PLACE.lower(),
    "a number": base64.b64encode(b"1").decode(),
    "an empty list": base64.b64encode(b"[]").decode(),
    "deep": base64.b64encode(b"[" * 50_000).decode(),
}


@pytest.mark.parametrize("text", NO_PLACES.values(), ids=NO_PLACES)
def test_a_text_that_is_no_place_is_refused(text: str) -> None:
    assert Cursor.read(text, "all") is None
