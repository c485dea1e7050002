"""Charts as SVG."""

from collections.abc import Collection
from pathlib import Path
from typing import Any

import pygal
from pygal.style import Style

_STYLE = Style(
    background="white",
    plot_background="white",
    colors=("#1f6fb4", "#8a8f98", "#d9822b", "#3d9970", "#7a4fb5"),
    font_family="sans-serif",
    label_font_size=13,
    major_label_font_size=13,
    legend_font_size=14,
    title_font_size=16,
)


def _settings(
    title: str, y_title: str, x_title: str | None, series: Collection[str], *, logarithmic: bool = False
) -> dict[str, Any]:
    return {
        "title": title,
        "y_title": y_title,
        "x_title": x_title,
        "logarithmic": logarithmic,
        "style": _STYLE,
        "width": 800,
        "height": 420,
        "legend_at_bottom": True,
        "legend_at_bottom_columns": len(series),  # else pygal leaves less room for it than it takes
        "js": [],  # a picture needs no scripts from another site
        "include_x_axis": not logarithmic,
    }


def bars(title: str, y_title: str, labels: list[str], series: dict[str, list[float | None]]) -> Any:
    """Draw one group of bars for each label."""
    chart = pygal.Bar(**_settings(title, y_title, None, series))
    chart.x_labels = labels
    for name, values in series.items():
        chart.add(name, values)
    return chart


def growth(
    title: str, y_title: str, labels: list[str], series: dict[str, list[float | None]], x_title: str = "jobs"
) -> Any:
    """Draw lines over numbers that grow tenfold from label to label, the y axis logarithmic too."""
    chart = pygal.Line(**_settings(title, y_title, x_title, series, logarithmic=True))
    chart.x_labels = labels
    drawn = [value for values in series.values() for value in values if value]
    steps = [step * 10**power for power in range(-4, 5) for step in (1, 2, 5)]
    chart.y_labels = [step for step in steps if min(drawn) / 2 < step < max(drawn) * 2]
    for name, values in series.items():
        chart.add(name, values)
    return chart


def curves(title: str, x_title: str, y_title: str, series: dict[str, list[tuple[float, float]]]) -> Any:
    """Draw curves through points."""
    chart = pygal.XY(**_settings(title, y_title, x_title, series), show_dots=False)
    for name, points in series.items():
        chart.add(name, points)
    return chart


def write(chart: Any, file: Path) -> None:
    """Write a chart."""
    file.write_bytes(chart.render())
