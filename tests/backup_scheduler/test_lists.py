"""The query for the wanted jobs, and whether it finds no others."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backup_scheduler.jobs.filters import JobFilter
from backup_scheduler.jobs.names import bounded, may_be_bounded, sure_beginning
from backup_scheduler.temporal.lists import answers_exactly, query_of

NAMES = st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=200)


@pytest.mark.parametrize(
    ("wanted", "query", "exactly"),
    [
        ({}, "", True),
        ({"policy_name": "it's"}, " AND BackupPolicyName='it''s'", True),
        ({"policy_name": 'a"b'}, " AND BackupPolicyName STARTS_WITH 'a'", False),
        ({"policy_name": "\\"}, " AND BackupPolicyName IS NOT NULL", False),
        ({"paused": True}, " AND TemporalSchedulePaused=true", True),
        ({"paused": False}, " AND TemporalSchedulePaused=false", True),
        ({"prefix": "a%"}, " AND BackupSchedulerId STARTS_WITH 'a%'", True),
        ({"prefix": "a'\\"}, " AND BackupSchedulerId STARTS_WITH 'a'''", False),
        ({"prefix": "é" * 200}, f" AND BackupSchedulerId STARTS_WITH '{'é' * 82}'", False),
        ({"last_outcome": "failed"}, "", False),
        ({"overdue": False}, "", False),
        (
            {"policy_name": "a", "paused": True, "prefix": "b"},
            " AND BackupPolicyName='a' AND TemporalSchedulePaused=true AND BackupSchedulerId STARTS_WITH 'b'",
            True,
        ),
    ],
)
def test_temporal_is_asked_for_the_wanted_jobs_as_far_as_it_knows_them(
    wanted: dict[str, Any], query: str, exactly: bool
) -> None:
    assert query_of(JobFilter(**wanted)) == f"BackupSchedulerId IS NOT NULL{query}"
    assert answers_exactly(JobFilter(**wanted)) is exactly


@given(NAMES, st.integers(1, 200))
def test_the_query_for_a_beginning_finds_every_name_that_begins_with_it(name: str, length: int) -> None:
    prefix = name[:length]
    assert bounded(name).startswith(sure_beginning(prefix))
    assert prefix.startswith(sure_beginning(prefix))
    assert may_be_bounded(bounded(name)) or bounded(name) == name
