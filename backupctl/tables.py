"""Tables that lose nothing on a narrow terminal."""

from collections.abc import Iterable
from typing import Any, Final

from rich.cells import cell_len
from rich.console import Console
from rich.measure import Measurement
from rich.segment import Segment, Segments
from rich.table import Table

_NO_LIMIT: Final = 10_000
"""Characters, more than any table is wide."""


def put(table: Table, people: Console) -> None:
    """Print a table, or where the terminal is too narrow for it each row on lines of its own; nothing is cut.

    Columns that fold hold ids or sentences; of the others each word stays whole.
    """
    folding = [column for column in table.columns if column.overflow == "fold"]
    for column in table.columns:
        if column not in folding:
            words = (_longest_word(people, each) for each in (column.header, *column.cells))
            column.min_width, column.overflow = max(column.min_width or 0, *words), "fold"
    needed = Measurement.get(people, people.options.update(width=_NO_LIMIT), table).minimum
    width = people.width if people.is_terminal else max(people.width, needed)
    if _width(table, people, width) > width:
        for column in folding:
            column.width = column.min_width  # else rich takes from it, gives it back, and the table is too wide
    if people.is_terminal and max(needed, _width(table, people, width)) > width:
        _put_rows(table, people)
    else:
        people.print(Segments(_rendered(table, people, width)), crop=False)


def _put_rows(table: Table, people: Console) -> None:
    names = [str(column.header) for column in table.columns[1:]]
    for first, *others in zip(*(column.cells for column in table.columns), strict=True):
        head, *more = str(first).splitlines()
        people.print(head, soft_wrap=True)  # an id stays whole for who copies it
        for name, cell in zip(names, others, strict=True):
            more += [f"{name}: {', '.join(str(cell).splitlines())}"] if cell else []
        people.print(*more, sep="\n", end="\n\n", overflow="fold")


def _width(table: Table, people: Console, width: int) -> int:
    return max(map(Segment.get_line_length, Segment.split_lines(_rendered(table, people, width))))


def _rendered(table: Table, people: Console, width: int) -> Iterable[Segment]:
    return people.render(table, people.options.update(width=width))


def _longest_word(people: Console, cell: Any) -> int:
    return longest(people.render_str(str(cell)).plain.split())


def longest(ids: Iterable[str]) -> int:
    """Return the width in which each id stands on one line, so that it can be copied."""
    return max(map(cell_len, ids), default=0)
