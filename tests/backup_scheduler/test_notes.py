"""Notes say who did what; that of a pause or resume is read back as it was written, and no other is taken for one."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backup_scheduler.contract.methods import PAUSE_ALL
from backup_scheduler.jobs.notes import By, SwitchNote, fitting

AT = datetime(2026, 11, 28, 13, 0, 5, tzinfo=UTC)
moments = st.datetimes(datetime(2026, 1, 1), datetime(2035, 12, 31), timezones=st.just(UTC)).map(
    lambda moment: moment.replace(microsecond=0)
)
texts = st.characters(exclude_categories=["Cc", "Cs"])
reasons = st.text(texts, min_size=1, max_size=200)


def test_a_note_says_by_what_when_why_and_until_when() -> None:
    assert SwitchNote(True, "a", AT).text() == "paused by a at 2026-11-28 13:00:05 UTC"
    assert SwitchNote(False, "b", AT).text() == "resumed by b at 2026-11-28 13:00:05 UTC"
    whole = SwitchNote(True, "a", AT, "repair: disks", AT.replace(hour=18), "3f2a", "shop.nightly")
    assert whole.text() == (
        "paused by a for shop.nightly at 2026-11-28 13:00:05 UTC until 2026-11-28 18:00:05 UTC [3f2a]: repair: disks"
    )


@pytest.mark.parametrize(
    "caller",
    ["nightly at 2020-01-01 00:00:00 UTC: swap", "b at 2020-01-01 00:00:00 UTC until 2020-01-02 00:00:00 UTC [1f]"],
)
def test_the_name_of_a_caller_does_not_change_what_a_note_says(caller: str) -> None:
    note = SwitchNote(True, PAUSE_ALL, AT, "repair", AT.replace(hour=18), "3f2a", caller)
    read = SwitchNote.read(note.text())
    assert read is not None
    assert (read.at, read.until, read.id, read.reason) == (note.at, note.until, note.id, note.reason)
    assert read.caller == caller.replace(":00 UTC", ":00")


def test_who_gave_the_terms_is_said_with_the_reason() -> None:
    assert By("shop.nightly", "move").terms(AT) == "terms from shop.nightly at 2026-11-28 13:00:05 UTC: move"
    assert By().terms(AT) == "terms from a caller without a name at 2026-11-28 13:00:05 UTC"


def test_a_reason_that_a_method_takes_comes_before_that_of_the_context() -> None:
    assert By("a", "context").because("argument") == By("a", "argument")
    assert By("a", "context").because(None) == By("a", "context")


@given(
    st.booleans(),
    st.sampled_from(["a", "b of c"]),
    moments,
    st.none() | reasons,
    st.none() | moments,
    st.none() | st.text("0123456789abcdef", min_size=1, max_size=16),
    st.none() | st.text(texts, min_size=1, max_size=100),
)
def test_a_note_is_read_as_it_was_written(
    paused: bool,
    by: str,
    at: datetime,
    reason: str | None,
    until: datetime | None,
    known_by: str | None,
    caller: str | None,
) -> None:
    note = SwitchNote(paused, by, at, reason, until, known_by, caller)
    text = note.text()
    read = SwitchNote.read(text)
    assert read
    if len(text.encode()) > 996:
        assert note.reason
        assert note.reason.startswith((read.reason or "").removesuffix("…"))
        read = replace(read, reason=note.reason)
    assert read == note


def test_a_note_fits_into_temporal_whatever_its_characters() -> None:
    for character in "x备😀":
        long = SwitchNote(True, PAUSE_ALL, AT, character * 200, AT, "3f" * 8, character * 100)
        text = long.text()
        assert len(text.encode()) <= 1000
        assert SwitchNote.read(text + "?") is not None
        assert text.endswith("…") == (character != "x")
        assert len(By(character * 100, character * 100).terms(AT).encode()) <= 1000
    assert fitting("a" * 1000) == "a" * 1000
    assert fitting("a" * 1001) == "a" * 997 + "…"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "target under repair",
        "Paused via Python SDK",
        "paused by a",
        "paused by a at 2026-11-28",
        "paused by a at 2026-02-31 13:00:05 UTC",
        "paused by a at 2026-11-28 13:00:05 UTC until 2026-02-31 13:00:05 UTC",
        "paused by a at 2026-11-28 13:00:05 UTC until tomorrow",
        "paused by a at 2026-11-28 13:00:05 UTC: ",
        "not paused by a at 2026-11-28 13:00:05 UTC",
        "paused by a at 2026-11-28 13:00:05 UTC?",
    ],
)
def test_a_note_of_a_person_is_not_read(text: str) -> None:
    assert SwitchNote.read(text) is None
