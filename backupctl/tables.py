"""Tables that lose nothing on a narrow terminal."""

from collections.abc import Iterable
from typing import Any, Final

from rich.cells import cell_len
from rich.console import Console
from rich.measure import Measurement
from rich.segment import Segments
from rich.table import Table

_NO_LIMIT: Final = 10_000
"""Characters, more than any table is wide."""


def put(table: Table, people: Console) -> None:
    """Print a table, or where the terminal is too narrow for it each row on lines of its own; nothing is cut.

    Columns that fold have a least width; of the others each word stays whole.
    """
    for column in table.columns:
        if column.overflow != "fold":
            words = (word for line in _lines(people, column.header, *column.cells) for word in line.split())
            column.min_width, column.overflow = max(column.min_width or 0, longest(words)), "fold"
    spare = people.width - _measured(table, people).maximum
    if spare < 0:
        spare = _narrowed(table, people)
    if spare < 0 and people.is_terminal:
        _put_rows(table, people)
    else:  # a file is as wide as need be
        options = people.options.update(width=max(people.width, people.width - spare))
        people.print(Segments(people.render(table, options)), crop=False)


def _narrowed(table: Table, people: Console) -> int:
    """Give each column its least width, and share out what is left; return what is left then.

    rich takes from the widest column first, which is that of the ids, and then lets the table be too wide.
    """
    natural = []
    for column in table.columns:
        column.width = column.min_width
        lines = longest(_lines(people, column.header, *column.cells))
        natural.append(min(lines, column.max_width or lines))
    spare = people.width - _measured(table, people).maximum
    widths = [column.width or 0 for column in table.columns]
    while spare > 0 and (lacking := [n for n, width in enumerate(widths) if width < natural[n]]):
        for n in lacking[:spare]:
            widths[n] += 1
        spare -= len(lacking[:spare])
    for column, width in zip(table.columns, widths, strict=True):
        column.width = width
    return spare


def _put_rows(table: Table, people: Console) -> None:
    names = [str(column.header) for column in table.columns[1:]]
    for first, *others in zip(*(column.cells for column in table.columns), strict=True):
        head, *more = str(first).splitlines()
        people.print(head, soft_wrap=True)  # an id stays whole for who copies it
        for name, cell in zip(names, others, strict=True):
            more += [f"{name}: {', '.join(str(cell).splitlines())}"] if cell else []
        people.print(*more, sep="\n", end="\n\n", overflow="fold")


def _measured(table: Table, people: Console) -> Measurement:
    return Measurement.get(people, people.options.update(width=_NO_LIMIT), table)


def _lines(people: Console, *cells: Any) -> list[str]:
    return [line for cell in cells for line in people.render_str(str(cell)).plain.splitlines()]


def longest(texts: Iterable[str]) -> int:
    """Return the width in which each text, such as an id that is to be copied, stands on one line."""
    return max(map(cell_len, texts), default=0)
