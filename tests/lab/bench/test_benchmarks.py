"""The benchmarks still run, and the pages show what was kept of them; the figures of a tiny run mean nothing."""

import json
import subprocess
import sys
from itertools import groupby
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from lab.bench import backups, burst, crash, lists, one_run, outage
from lab.bench.calls_tables import EMPTY, OURS, OURS_APART, PEER, SDK, SDK_APART
from lab.bench.document import PAGES, all_tables, places, with_tables
from lab.bench.results import FOLDER, Result, Table
from lab.bench.turns import rotated
from lab.parts.places import ROOT


def tiny_run(benchmark_name: str, results: Path) -> dict[str, Any]:
    """Run a benchmark and return what it has left."""
    ran = subprocess.run(
        [sys.executable, "-m", "lab.bench", benchmark_name, "--tiny", "--results", str(results)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    left: dict[str, Any] = json.loads((results / f"{benchmark_name}.json").read_text())
    for table in left["tables"]:
        assert table["title"].split()[0] in ran.stdout
        assert all(len(row) == len(table["columns"]) for row in table["rows"])
    return left


@pytest.mark.programs
@pytest.mark.lab
@pytest.mark.cluster
def test_a_tiny_run_on_a_cluster_loses_nothing(tmp_path: Path) -> None:
    [load, of_a_run] = tiny_run("cluster-load", tmp_path)["tables"]
    assert [row[2:] for row in load["rows"]] == [["0"] * 3] * 3
    assert float(of_a_run["rows"][0][of_a_run["columns"].index("rows")]) > 1


@pytest.mark.programs
@pytest.mark.lab
@pytest.mark.parametrize(("benchmark_name", "lost"), [("calls", None), ("burst", "0"), ("lists", None)])
def test_a_tiny_run_leaves_figures_and_a_chart(benchmark_name: str, lost: str | None, tmp_path: Path) -> None:
    left = tiny_run(benchmark_name, tmp_path)
    if lost is not None:
        [table, _] = left["tables"]
        counted = [row[table["columns"].index("lost")] for row in table["rows"]]
        assert counted == [lost] * len(burst.SYSTEMS), left["measured"]
        assert our_cpu_time_in_turns_of_the_peer(left["measured"]["outcomes"]) == [0.0] * 3 * (len(burst.SYSTEMS) - 1)
    assert ElementTree.parse(tmp_path / f"{benchmark_name}.svg").getroot().tag.endswith("svg")


@pytest.mark.programs
@pytest.mark.lab
def test_a_tiny_run_tells_what_a_run_adds_to_a_bare_one(tmp_path: Path) -> None:
    left = tiny_run("run", tmp_path)
    events = {row[0]: float(row[1]) for row in left["tables"][0]["rows"]}
    assert events["ours"] > events["bare workflow"] == 11


def our_cpu_time_in_turns_of_the_peer(outcomes: list[dict[str, Any]]) -> list[float]:
    turns = [each["cpu"] for each in outcomes if each["system"] != OURS]
    return [cpu[name] for cpu in turns for name in ("temporal", "worker", "rpc")]


def test_tables_go_to_the_places_that_name_them() -> None:
    table = Table(name="a", title="A", columns=["x", "y"], rows=[["1", "2"]])
    page = "before\n<!-- table: a -->\nold\n<!-- end -->\nafter\n<!-- table: b -->\nkept\n<!-- end -->\n"
    assert places(page) == ["a", "b"]
    filled = with_tables(page, [table])
    assert "| x | y |\n| --- | ---: |\n| 1 | 2 |" in filled
    assert "old" not in filled
    assert "kept" in filled
    assert with_tables(filled, [table]) == filled


def test_the_documentation_shows_the_results_that_are_kept() -> None:
    kept = all_tables()
    pages = {path: path.read_text(encoding="utf-8") for path in PAGES}
    assert kept
    for page in pages.values():
        assert with_tables(page, kept) == page
    assert sorted(name for page in pages.values() for name in places(page)) == sorted(table.name for table in kept)
    for chart in FOLDER.glob("*.svg"):
        assert any(f"lab/bench/results/{chart.name}" in page for page in pages.values())


def kept(benchmark_name: str, records: str) -> list[dict[str, Any]]:
    found = Result.model_validate_json((FOLDER / f"{benchmark_name}.json").read_bytes()).measured[records]
    assert isinstance(found, list)
    return found


@pytest.mark.parametrize(
    ("benchmark_name", "records", "systems"),
    [
        ("burst", "outcomes", burst.SYSTEMS),
        ("crash", "outcomes", crash.SYSTEMS),
        ("outage", "recoveries", outage.SYSTEMS),
        ("backups", "backups", (backups.OURS, backups.ALONE)),
        ("run", "costs", one_run.SYSTEMS),
        ("calls", "cells", (OURS, SDK, PEER, EMPTY, OURS_APART, SDK_APART, "one call at a time")),
    ],
)
def test_what_is_kept_was_measured_in_turns(benchmark_name: str, records: str, systems: tuple[str, ...]) -> None:
    """Records are in the order in which they were measured."""
    for number, of_round in groupby(kept(benchmark_name, records), lambda each: each["round"]):
        order = [system for system, _ in groupby(each["system"] for each in of_round)]
        assert order == [system for system in rotated(systems, number) if system in order]
        assert len(order) >= 2  # one system of three may be measured in the first round only


def test_who_had_no_turn_used_no_cpu_time_in_the_calls_that_are_kept() -> None:
    others = {
        OURS: ("peer", "empty service"),
        SDK: ("rpc", "peer", "empty service"),
        PEER: ("temporal", "worker", "rpc"),
    }
    cells = [cell for cell in kept("calls", "cells") if cell["system"] in others]
    assert cells
    for cell in cells:
        assert [cell["cpu_ms"][name] for name in others[cell["system"]]] == [0.0] * len(others[cell["system"]])


def test_what_is_kept_of_growth_was_measured_in_turns() -> None:
    systems = [("ours", "many"), ("ours", "few"), ("peer", "many"), ("peer", "few")]
    for (_, number), of_round in groupby(kept("growth", "samples"), lambda each: (each["jobs"], each["round"])):
        assert [(each["system"], each["installation"]) for each in of_round] == rotated(systems, number)


def test_what_is_kept_of_lists_was_measured_in_turns() -> None:
    for (_, number), of_round in groupby(kept("lists", "samples"), lambda each: (each["level"], each["round"])):
        order = [system for system, _ in groupby(each["system"] for each in of_round)]
        assert order == rotated([lists.OURS, lists.SDK], number)
