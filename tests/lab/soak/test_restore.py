"""The judge of a restored database counts what was lost, and what was made again."""

from datetime import UTC, datetime

import pytest

from lab.soak.restore import Restored, judge
from lab.soak.runs import Run

NOW = datetime(2026, 1, 1, tzinfo=UTC)
DUE = ["backup-job-1", "backup-job-2"]


def run(workflow_id: str, run_id: str = "r") -> Run:
    return Run(workflow_id, run_id, "job", NOW)


@pytest.mark.parametrize(
    ("runs", "made", "found"),
    [
        ([run(DUE[0]), run(DUE[1])], ["backup-job-1~r", "backup-job-2~r"], Restored(2, 0, 0, 0, 0)),
        (
            [run(DUE[0]), run(DUE[1])],
            ["backup-job-1~r", "backup-job-1~lost", "backup-job-2~r"],
            Restored(2, 0, 1, 0, 0),
        ),
        ([run(DUE[0]), run(DUE[1])], ["backup-job-1~r", "backup-job-1~r"], Restored(2, 1, 0, 0, 0)),
        ([run(DUE[0])], ["backup-job-1~r", "backup-job-2~lost"], Restored(2, 0, 0, 1, 0)),
        ([run(DUE[0]), run(DUE[0], "s"), run(DUE[1])], ["backup-job-1~r", "backup-job-2~r"], Restored(2, 0, 0, 0, 1)),
    ],
)
def test_losses_and_repetitions_are_counted(runs: list[Run], made: list[str], found: Restored) -> None:
    assert judge(DUE, runs, made) == found
