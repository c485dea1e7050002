"""How many reports of progress a run takes."""

from datetime import UTC, datetime, timedelta

import pytest
from temporalio import workflow
from temporalio.exceptions import ApplicationError

from backup_scheduler.runs.reports import TOO_SOON, RunReport
from workflows.reports import Reports

UPDATES = 2_000
"""Temporal takes no more of one run."""


def test_however_long_the_answer_takes_the_report_of_the_end_is_among_the_updates_of_the_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = datetime(2026, 1, 31, tzinfo=UTC)
    monkeypatch.setattr(workflow, "now", lambda: now)
    reports, told = Reports(), list[str]()
    reports.expect(timedelta(minutes=1), lambda what, *_: told.append(what))
    while len(told) < 1_500:
        progress = RunReport(run_id="run", outcome="running", progress=len(told) / 100)
        reports.check(progress)
        reports.take(progress)
        now += timedelta(seconds=10)
    with pytest.raises(ApplicationError) as caught:
        reports.check(progress)
    assert caught.value.type == TOO_SOON, "nothing is wrong with the report"
    now += timedelta(days=1)
    with pytest.raises(ApplicationError, match="the run has taken 1,500 reports of progress, and"):
        reports.check(progress)
    reports.check(RunReport(run_id="run", outcome="completed"))
    assert len(told) < UPDATES
