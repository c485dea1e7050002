"""The tables of calls: nothing is shown of what too little was measured, and the limit is one of CPU time."""

import pytest

from lab.bench import calls_tables
from lab.bench.bare import CONVERTED
from lab.bench.calls_tables import EMPTY, OURS, PEER, SDK, Cell, Latencies, Measured
from lab.bench.cells import Cells, _source
from lab.bench.supply import Least, Supply, Timing

TEMPORAL, BROKER, HERE = "temporal", "rabbitmq", "callers"


def cell(system: str, operation: str, per_second: float, number: int = 0, **cpu_ms: float) -> Cell:
    return Cell(
        system=system,
        operation=operation,
        round=number,
        seconds=10,
        operations=int(10 * per_second),
        cpu_ms=cpu_ms or {TEMPORAL: 1.0},
    )


def shown(measured: Measured, name: str, row: str) -> dict[str, str]:
    [table] = [table for table in calls_tables.tables(measured) if table.name == name]
    [found] = [each for each in table.rows if each[0] == row]
    return dict(zip(table.columns, found, strict=True))


def test_rates_are_medians_with_their_spread_and_ratios_are_of_a_round() -> None:
    cells = [cell(OURS, "get", rate, number) for number, rate in enumerate((100, 200, 150))]
    cells += [cell(SDK, "get", rate, number) for number, rate in enumerate((200, 200, 200))]
    row = shown(Measured(cells=cells), "calls", "get")
    assert (row["ours"], row["bare SDK"], row["ours / SDK"]) == ("150 (100–200)", "200", "0.75 (0.50–1.00)")
    assert row["peer"] == "–"


@pytest.mark.parametrize(("seconds", "operations"), [(4.9, 2000), (10.0, 499)])
def test_a_rate_of_too_short_a_measurement_is_not_shown(seconds: float, operations: int) -> None:
    """Each round has to take five seconds, and all rounds have to have a thousand operations."""
    enough = Cell(system=OURS, operation="get", round=0, seconds=5.0, operations=500, cpu_ms={})
    short = enough.model_copy(update={"round": 1, "seconds": seconds, "operations": operations})
    assert shown(Measured(cells=[enough, short]), "calls", "get")["ours"] == "–"
    long = enough.model_copy(update={"round": 1})
    assert shown(Measured(cells=[enough, long]), "calls", "get")["ours"] == "100"


def test_a_percentile_of_too_few_calls_is_not_shown() -> None:
    cells = Cells(Least(0, 500), dict, 10)
    cells._taken[OURS, "get"] = [0.01] * 999
    assert [each.text() for each in cells.latencies(OURS)] == ["10 / 10 / –"]
    cells._taken[OURS, "get"] += [0.02]
    assert [each.text() for each in cells.latencies(OURS)] == ["10 / 10 / 10"]
    assert cells.latencies(PEER) == []


def test_latencies_stand_beside_their_operation() -> None:
    latencies = [Latencies(operation="add", samples=1000, p50=1.4, p95=2.0, p99=3.0)]
    measured = Measured(cells=[cell(OURS, "add", 100)], latencies=latencies)
    assert shown(measured, "calls", "add")["ours p50 / p95 / p99 (ms)"] == "1 / 2 / 3"
    assert shown(measured, "calls", "get")["ours p50 / p95 / p99 (ms)"] == "–"


def test_the_sdks_own_conversion_has_a_row_beside_the_raw_request() -> None:
    cells = [cell(OURS, "get", 100), cell(SDK, "get", 200), cell(SDK, CONVERTED, 125)]
    row = shown(Measured(cells=cells), "calls", CONVERTED)
    assert (row["bare SDK"], row["ours / SDK"], row["peer"]) == ("125", "0.80", "")


def test_the_limit_is_the_cores_divided_by_the_cpu_time_of_the_requests_and_of_an_empty_call() -> None:
    cells = [
        cell(OURS, "get", 200),
        cell(SDK, "get", 500, temporal=3.0, callers=1.0),
        cell(EMPTY, "nothing", 600, rabbitmq=0.5, callers=0.5),
        cell(OURS, "pause+resume", 100),
        cell(SDK, "pause+resume", 120, temporal=7.0, callers=1.0),
    ]
    measured = Measured(cells=cells, cores=2)
    assert measured.limits("get") == {0: pytest.approx(400)}  # 2 / (4 + 1) ms; of the rates it would be 273
    assert measured.limits("pause+resume") == {0: pytest.approx(200)}  # two calls: 2 / (8 + 2) ms
    assert shown(measured, "calls", "get")["ours / limit of CPU time"] == "0.50"
    assert measured.busy_cores(EMPTY, "nothing") == {0: pytest.approx(0.6)}


def test_cpu_time_is_shown_part_by_part() -> None:
    cells = [
        cell(OURS, "get", 200, temporal=3.0, rabbitmq=0.8, callers=0.7, rpc=1.6),
        cell(SDK, "get", 500, temporal=3.0, callers=0.8),
    ]
    row = calls_tables.tables(Measured(cells=cells, cores=2))[-1].rows[1]
    assert row == ["get", "3.0", "0.8", "0.7", "1.6", "6.1", "1.22", "3.0", "0.8", "3.8", "1.90", "-0.5"]


def test_jobs_are_made_anew_read_again_and_again_and_removed_once() -> None:
    made = Supply(_source("add", []), Least(0, 3))
    while made.take():
        pass
    assert len(set(made.taken)) == 3
    read = Supply(_source("get", made.taken), Least(0, 7))
    assert [read.take() for _ in range(7)] == [*made.taken, *made.taken, made.taken[0]]
    removed = Supply(_source("remove", made.taken), Least(0, 7))
    assert [removed.take() for _ in range(4)] == [*made.taken, None]


def test_a_timing_of_nothing_has_no_operations() -> None:
    assert Timing().operations == 0
