"""Puts the tables of lab/bench/results/ into the pages that have a place for them."""

import re
from collections.abc import Iterable
from pathlib import Path

from lab.bench import goals
from lab.bench.results import FOLDER, Table, tables
from lab.parts.places import ROOT

PAGES = (ROOT / "docs/performance.md", ROOT / "docs/scale.md", ROOT / "README.md")
_PLACE = re.compile(r"(<!-- table: ([\w-]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def all_tables(folder: Path = FOLDER) -> list[Table]:
    """Return the tables of all results, and those that they make together."""
    return [*tables(folder), *goals.tables(folder)]


def with_tables(page: str, measured: Iterable[Table]) -> str:
    """Return the page with each table at the place that names it; a table that was not measured stays as it was."""
    known = {table.name: table for table in measured}

    def fill(place: re.Match[str]) -> str:
        table = known.get(place[2])
        return f"{place[1]}\n{table.markdown()}\n\n{place[3]}" if table else place[0]

    return _PLACE.sub(fill, page)


def places(page: str) -> list[str]:
    """Return the names of the tables that a page has a place for."""
    return [place[2] for place in _PLACE.finditer(page)]


def document() -> None:
    """Bring the pages up to date."""
    measured = all_tables()
    for page in PAGES:
        page.write_text(with_tables(page.read_text(encoding="utf-8"), measured), encoding="utf-8")
