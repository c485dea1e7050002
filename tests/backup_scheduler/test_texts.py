"""Texts of the outside world are made fit for whatever they are shown in."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backup_scheduler.runs.results import BackupReport, Outcome
from backup_scheduler.texts import LONGEST, clean, encodable, redact
from tests.support.marked_secrets import FORGOTTEN, IN_USERINFO

anything = st.text(st.characters(exclude_categories=[]), max_size=50)


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("plain ü 文档 😀", "plain ü 文档 😀"),
        ("a\udcffb", "a�b"),
        ("\ud83d\ude00", "😀"),
        ("a\r\nb\tc\0d", "a b c d"),
        ("\x1b[31mred\x9b", "[31mred"),
        ("left\u202eright\u2069", "left right"),
        ("\ufeffx", "\ufeffx"),
        ("x" * LONGEST, "x" * LONGEST),
        ("x" * (LONGEST + 1), "x" * LONGEST + "…"),
    ],
)
def test_a_text_becomes_one_line_that_can_be_encoded(text: str, cleaned: str) -> None:
    assert clean(text) == cleaned


@given(anything)
def test_any_text_can_be_sent(text: str) -> None:
    report = BackupReport(outcome=Outcome.COMPLETED, message=text, warnings=[text], snapshot_id=text)
    assert BackupReport.model_validate_json(report.model_dump_json()) == report
    assert report.message == clean(report.message), "cleaning again changes nothing"
    encodable(text).encode()


words = st.text(st.characters(exclude_characters="@/:", exclude_categories=["Z", "C"]), min_size=1)


@given(words, words, words)
def test_no_credentials_pass(user: str, password: str, host: str) -> None:
    assert redact(f"at rest:https://{user}:{password}@{host}/x") == f"at rest:https://***@{host}/x"


@pytest.mark.parametrize("character", [*IN_USERINFO, *FORGOTTEN, *'"<>'])
def test_no_character_of_a_password_ends_it(character: str) -> None:
    location = f"amqp://us{character}er:it{character}s-{character}secret@host/"
    assert redact(f"at {location} (refused)") == "at amqp://***@host/ (refused)"
