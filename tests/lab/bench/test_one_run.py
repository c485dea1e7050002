"""The cost of a run is that of runs which all made their one backup."""

from datetime import UTC, datetime

import pytest

from lab.bench import one_run
from lab.bench.due_at_once import OURS, Batch
from lab.bench.one_run import BARE, Cost, Measured, cost

DUE = datetime(2026, 1, 1, tzinfo=UTC)
BATCH = Batch("burst", ["burst-0", "burst-1"], DUE)
SEEN = {each: [DUE.timestamp() + 1.5] for each in BATCH.ids}
HISTORIES = [(17, 4096), (19, 6144)]
CPU = {"temporal": 0.08, "worker": 0.04}


def test_a_cost_is_that_of_one_run() -> None:
    found = cost(OURS, 1, BATCH, SEEN, HISTORIES, CPU)
    assert (found.events, found.kib, found.temporal_ms, found.worker_ms, found.cpu_ms) == (18, 5, 40, 20, 60)
    assert (found.runs, found.seconds, found.round) == (2, 1.5, 1)


@pytest.mark.parametrize(
    ("seen", "histories"),
    [
        ({"burst-0": SEEN["burst-0"]}, HISTORIES),
        ({**SEEN, "burst-0": SEEN["burst-0"] * 2}, HISTORIES),
        (SEEN, [*HISTORIES, (17, 4096)]),
    ],
    ids=["lost", "backed up twice", "started twice"],
)
def test_a_round_with_more_or_fewer_runs_or_backups_is_not_measured(
    seen: dict[str, list[float]], histories: list[tuple[int, int]]
) -> None:
    with pytest.raises(RuntimeError, match="not one run and one backup for each job"):
        cost(OURS, 0, BATCH, seen, histories, CPU)


def test_ours_is_divided_by_the_bare_workflow_within_a_round() -> None:
    def costs(system: str, *events: float) -> list[Cost]:
        made = cost(system, 0, BATCH, SEEN, HISTORIES, CPU)
        return [made.model_copy(update={"round": number, "events": each}) for number, each in enumerate(events)]

    [table] = one_run.tables(Measured(costs=[*costs(OURS, 20, 18), *costs(BARE, 10, 12)]))
    assert [row[:2] for row in table.rows] == [
        [OURS, "19.0 (18.0–20.0)"],
        [BARE, "11.0 (10.0–12.0)"],
        ["ours / bare", "1.75 (1.50–2.00)"],
    ]
