"""What was lost and what was doubled is counted, in every table."""

from datetime import UTC, datetime
from typing import Any

import pytest

from lab.bench import burst, crash, goals, outage
from lab.bench.due_at_once import OURS, THREADS, Batch, Outcome, peer_with
from lab.bench.outage import Recovery
from lab.bench.results import Table

DUE = datetime(2026, 1, 1, tzinfo=UTC)
BATCH = Batch("burst", [f"burst-{number}" for number in range(4)], DUE)
FEW, MANY = map(peer_with, THREADS)


def seen(**seconds: list[float]) -> dict[str, list[float]]:
    return {f"burst-{name[1:]}": [DUE.timestamp() + each for each in at] for name, at in seconds.items()}


def outcome(system: str, number: int = 0, **changes: Any) -> Outcome:
    found = Outcome.read(system, number, BATCH, seen(_0=[1.0], _1=[1.0], _2=[2.0], _3=[2.0]), 4)
    return found.model_copy(update=changes)


def cells(tables: list[Table], name: str, row: str) -> dict[str, str]:
    [table] = [table for table in tables if table.name == name]
    [found] = [each for each in table.rows if each[0] == row]
    return dict(zip(table.columns, found, strict=True))


@pytest.mark.parametrize("system", [OURS, FEW, MANY, "peer"], ids=["ours", "few-threads", "many-threads", "peer"])
def test_jobs_without_a_backup_are_lost(system: str) -> None:
    found = Outcome.read(system, 0, BATCH, seen(_0=[1.0], _2=[2.5], _9=[1.0]), 2)
    assert (found.lost, found.repeated, found.started_twice, found.last_done) == (2, 0, 0, 2.5)
    assert found.points()[-1] == (2.5, 2)
    none = Outcome.read(system, 0, BATCH, {}, 0)
    assert (none.lost, none.last_done) == (4, 0)


def test_backups_beyond_one_for_each_job_are_made_twice() -> None:
    found = Outcome.read(OURS, 0, BATCH, seen(_0=[1.0, 3.0], _1=[1.0, 1.0, 1.0], _2=[2.0], _3=[2.0]), 7)
    assert (found.lost, found.repeated, found.started_twice, found.last_done) == (0, 3, 3, 2.0)


def test_runs_that_nobody_counted_are_not_zero() -> None:
    assert Outcome.read(FEW, 0, BATCH, {}).started_twice is None


def test_the_table_of_bursts_adds_up_what_each_system_lost_and_doubled() -> None:
    outcomes = [
        outcome(OURS, 0, lost=1, repeated=2, started_twice=3),
        outcome(OURS, 1, lost=2),
        outcome(FEW, 0, lost=7, repeated=1, started_twice=None),
        outcome(MANY, 0, lost=0, started_twice=None),
        outcome(MANY, 1, lost=5, started_twice=None),
    ]
    tables = burst.tables(burst.Measured(outcomes=outcomes))
    counted = {
        system: [cells(tables, "burst", system)[name] for name in ("jobs in all rounds", "lost", "backed up twice")]
        for system in burst.SYSTEMS
    }
    assert counted == {OURS: ["8", "3", "2"], FEW: ["4", "7", "1"], MANY: ["8", "5", "0"]}
    assert [cells(tables, "burst", each)["runs started twice"] for each in (OURS, FEW)] == ["3", "–"]


def test_the_table_of_bursts_has_a_row_for_each_number_of_threads_and_its_time_beside_ours() -> None:
    outcomes = [outcome(OURS, last_done=40.0), outcome(FEW, last_done=100.0), outcome(MANY, last_done=10.0)]
    measured = burst.Measured(outcomes=outcomes)
    ratios = {system: cells(burst.tables(measured), "burst", system)["its time / ours"] for system in burst.SYSTEMS}
    assert ratios == {OURS: "", "peer, 10 threads": "2.50", "peer, 100 threads": "0.25"}
    assert [settings["title"] for _, settings in burst.draw(measured)["burst"].raw_series] == list(burst.SYSTEMS)


def test_the_table_of_crashes_shows_what_each_system_lost_and_doubled() -> None:
    outcomes = [
        outcome(OURS, 0, lost=1, repeated=90, started_twice=0),
        outcome(OURS, 1, lost=3, repeated=80, started_twice=2),
        outcome(FEW, 0, lost=290, started_twice=None),
        outcome(MANY, 0, lost=200, repeated=4, started_twice=None),
    ]
    tables = crash.tables(crash.Measured(outcomes=outcomes))
    counted = {
        system: [
            cells(tables, "crash", system)[name]
            for name in ("jobs in all rounds", "lost per burst", "backed up twice per burst", "runs started twice")
        ]
        for system in crash.SYSTEMS
    }
    assert counted == {
        OURS: ["8", "2 (1–3)", "85 (80–90)", "1 (0–2)"],
        FEW: ["4", "290", "0", "–"],
        MANY: ["4", "200", "4", "–"],
    }


def test_the_table_of_outages_shows_what_each_system_lost_and_doubled() -> None:
    def recovery(system: str, **changes: Any) -> Recovery:
        return Recovery.of(system, outcome(system, **changes), DUE.timestamp(), DUE.timestamp() - 2)

    recoveries = [recovery(OURS, lost=1, repeated=2, started_twice=5), recovery("peer", lost=3, repeated=4)]
    row = cells(outage.tables(outage.Measured(recoveries=recoveries)), "outage", "4")
    counted = [row[f"{what} by {who}"] for what in ("lost", "backed up twice") for who in ("ours", "the peer")]
    assert (*counted, row["runs of ours started twice"]) == ("1", "3", "2", "4", "5")
    assert (row["ours"], row["runs per second, ours"]) == ("4.0", "1")  # from the start, not from the due moment


@pytest.mark.parametrize(("lost", "says"), [(0, "met"), (1, "not met")])
def test_the_goal_of_losing_nothing_is_judged_by_what_was_counted(lost: int, says: str) -> None:
    bursts = burst.Measured(outcomes=[outcome(OURS), outcome(FEW), outcome(MANY)])
    killed = crash.Measured(outcomes=[outcome(OURS, lost=lost), outcome(FEW), outcome(MANY, lost=3)])
    row = goals.of_bursts(bursts, killed)[1]
    assert row[1] == f"in a burst 0 of 4; by kill -9 {lost} of 4"
    assert row[2].startswith(says) or f"{says}: by kill -9" in row[2]
    assert (
        cells([goals.beside_the_peer(bursts, killed)], "beside-the-peer", MANY)["lost of 400 by kill -9 in the middle"]
        == "3"
    )
