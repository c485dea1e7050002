"""The note that a pause or resume leaves is read back as it was written, and no other note is taken for one."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backup_scheduler.jobs.notes import SwitchNote

AT = datetime(2026, 11, 28, 13, 0, 5, tzinfo=UTC)
moments = st.datetimes(datetime(2026, 1, 1), datetime(2035, 12, 31), timezones=st.just(UTC)).map(
    lambda moment: moment.replace(microsecond=0)
)
reasons = st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=200)


def test_a_note_says_by_what_when_why_and_until_when() -> None:
    assert SwitchNote(True, "a", AT).text() == "paused by a at 2026-11-28 13:00:05 UTC"
    assert SwitchNote(False, "b", AT).text() == "resumed by b at 2026-11-28 13:00:05 UTC"
    whole = SwitchNote(True, "a", AT, "repair: disks", AT.replace(hour=18), "3f2a")
    assert whole.text() == (
        "paused by a at 2026-11-28 13:00:05 UTC until 2026-11-28 18:00:05 UTC [3f2a]: repair: disks"
    )


@given(
    st.booleans(),
    st.sampled_from(["a", "b of c"]),
    moments,
    st.none() | reasons,
    st.none() | moments,
    st.none() | st.text("0123456789abcdef", min_size=1, max_size=16),
)
def test_a_note_is_read_as_it_was_written(
    paused: bool, by: str, at: datetime, reason: str | None, until: datetime | None, known_by: str | None
) -> None:
    note = SwitchNote(paused, by, at, reason, until, known_by)
    assert SwitchNote.read(note.text()) == note


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
