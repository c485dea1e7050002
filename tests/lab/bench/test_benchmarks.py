"""The benchmarks still run; their figures here mean nothing."""

import json
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from lab.bench.document import PAGE, with_tables
from lab.bench.results import FOLDER, Table, tables
from lab.parts.places import ROOT


@pytest.mark.programs
@pytest.mark.lab
@pytest.mark.parametrize(("benchmark_name", "lost"), [("calls", None), ("burst", "0")])
def test_a_tiny_run_leaves_figures_and_a_chart(benchmark_name: str, lost: str | None, tmp_path: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "lab.bench", benchmark_name, "--tiny", "--results", str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    left = json.loads((tmp_path / f"{benchmark_name}.json").read_text())
    for table in left["tables"]:
        assert table["title"].split()[0] in ran.stdout
        assert all(len(row) == len(table["columns"]) for row in table["rows"])
    if lost is not None:
        assert left["tables"][0]["rows"][0][4] == lost
    assert ElementTree.parse(tmp_path / f"{benchmark_name}.svg").getroot().tag.endswith("svg")


def test_tables_go_to_the_places_that_name_them() -> None:
    table = Table(name="a", title="A", columns=["x", "y"], rows=[["1", "2"]])
    page = "before\n<!-- table: a -->\nold\n<!-- end -->\nafter\n<!-- table: b -->\nkept\n<!-- end -->\n"
    filled = with_tables(page, [table])
    assert "| x | y |\n| --- | ---: |\n| 1 | 2 |" in filled
    assert "old" not in filled
    assert "kept" in filled
    assert with_tables(filled, [table]) == filled


def test_the_documentation_shows_the_results_that_are_kept() -> None:
    kept = list(tables(FOLDER))
    page = PAGE.read_text(encoding="utf-8")
    assert kept
    assert with_tables(page, kept) == page
    for table in kept:
        assert f"<!-- table: {table.name} -->" in page, table.name
    for chart in FOLDER.glob("*.svg"):
        assert f"../lab/bench/results/{chart.name}" in page
