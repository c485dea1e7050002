"""Puts the tables of lab/bench/results/ into docs/performance.md."""

import re
from collections.abc import Iterable

from lab.bench.results import Table, tables
from lab.parts.places import ROOT

PAGE = ROOT / "docs/performance.md"
_PLACE = re.compile(r"(<!-- table: ([\w-]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def with_tables(page: str, measured: Iterable[Table]) -> str:
    """Return the page with each table at the place that names it; a table that was not measured stays as it was."""
    known = {table.name: table for table in measured}

    def fill(place: re.Match[str]) -> str:
        table = known.get(place[2])
        return f"{place[1]}\n{table.markdown()}\n\n{place[3]}" if table else place[0]

    return _PLACE.sub(fill, page)


def document() -> None:
    """Bring the page up to date."""
    PAGE.write_text(with_tables(PAGE.read_text(encoding="utf-8"), tables()), encoding="utf-8")
