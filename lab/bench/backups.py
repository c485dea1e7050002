"""Backups: restic run by the worker beside restic alone, on the same data."""

import asyncio
import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from temporalio.client import Client

from backup_scheduler.jobs.names import schedule_id
from lab.bench import charts, figures, jobs, ours
from lab.bench.figures import Spread, spread_text
from lab.bench.plan import Plan
from lab.bench.results import Table
from lab.bench.turns import System, in_turns, no_processes

_KIB = 1024
OURS, ALONE = "ours", "restic alone"
DATA = {"many small files": (5000, 8 * _KIB), "few large files": (3, 100 * _KIB * _KIB)}
"""Number of files, and the bytes of each."""


class Backup(BaseModel):
    """One backup."""

    data: str
    system: str
    round: int
    seconds: float
    """Wall time: of the process, or from the trigger to the end of the run."""


class Measured(BaseModel):
    """All rounds."""

    backups: list[Backup] = []

    def rounds(self, data: str, system: str) -> dict[int, float]:
        """Return the seconds of each round."""
        found = [each for each in self.backups if (each.data, each.system) == (data, system)]
        return figures.by_round(found, lambda each: each.round, lambda each: each.seconds)


def measure(plan: Plan) -> Measured:
    """Back the same data up in turns, each time into an empty repository."""
    with tempfile.TemporaryDirectory(prefix="bench-backups-") as name, asyncio.Runner() as runner:
        return _measure(plan, Places(Path(name)), runner)


class Places:
    """Folders of data and repositories, and the policy file."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.password = folder / "password"
        self.password.write_text("only for measuring")
        self.empty = folder / "empty"
        self.restic("init", repository=self.empty, cache=folder / "cache")

    def make_data(self, plan: Plan) -> None:
        """Write files that neither compress nor repeat."""
        for data, (count, size) in DATA.items():
            for number in range(plan.size(count, 5)):
                place = self.data(data) / str(number % 50)
                place.mkdir(parents=True, exist_ok=True)
                (place / f"{number}.bin").write_bytes(os.urandom(plan.size(size, _KIB)))

    def data(self, data: str) -> Path:
        """Return the folder that is backed up."""
        return self.folder / "data" / data.replace(" ", "-")

    def bytes_of(self, data: str) -> int:
        """Return the size of what is backed up."""
        return sum(file.stat().st_size for file in self.data(data).rglob("*.bin"))

    def cache(self, policy: str) -> Path:
        """Return restic's cache for a policy."""
        return self.folder / "cache" / policy

    def repository(self, policy: str) -> Path:
        """Return an empty repository, made now."""
        place = self.folder / "repositories" / policy
        if not place.exists():
            shutil.copytree(self.empty, place)
        return place

    def policies(self, names: dict[str, str]) -> Path:
        """Write a policy file; `names` has the name of each policy and the data that it backs up."""
        file = self.folder / "policies.toml"
        sections = [
            f'[policies.{name}]\ntype = "restic"\npaths = ["{self.data(data)}"]\n'
            f'repository = "{self.repository(name)}"\npassword_file = "{self.password}"\n'
            f'cache_dir = "{self.cache(name)}"\n'
            for name, data in names.items()
        ]
        file.write_text("\n".join(sections))
        return file

    def restic(self, *arguments: str, repository: Path, cache: Path) -> str:
        """Run restic alone and return what it prints."""
        environ = {
            **os.environ,
            "RESTIC_REPOSITORY": str(repository),
            "RESTIC_PASSWORD_FILE": str(self.password),
            "RESTIC_CACHE_DIR": str(cache),
        }
        return subprocess.run(["restic", *arguments], env=environ, check=True, capture_output=True, text=True).stdout


def _measure(plan: Plan, places: Places, runner: asyncio.Runner) -> Measured:
    places.make_data(plan)
    names = {_policy(data, number): data for number in range(plan.rounds) for data in DATA}
    with ours.ours(places.folder / "state", policies=places.policies(names)) as stack:
        client = runner.run(ours.connected(stack))

        def by_worker(number: int) -> Iterator[Backup]:
            for data in DATA:
                policy = _policy(data, number)
                began = runner.run(_by_worker(client, policy))
                yield measured(places, data, OURS, number, policy, began)

        def alone(number: int) -> Iterator[Backup]:
            for data in DATA:
                policy = f"alone-{_policy(data, number)}"
                repository, cache = places.repository(policy), places.cache(policy)
                began = time.monotonic()
                places.restic("backup", "--json", str(places.data(data)), repository=repository, cache=cache)
                yield measured(places, data, ALONE, number, policy, began)

        systems = [System(OURS, by_worker, processes=lambda: ours.processes(stack)), System(ALONE, alone, no_processes)]
        return Measured(backups=list(in_turns(plan, systems)))


def _policy(data: str, number: int) -> str:
    return f"{data.replace(' ', '-')}-{number}"


def measured(places: Places, data: str, system: str, number: int, policy: str, began: float) -> Backup:
    """Sum up a backup that has ended now. Raises RuntimeError if it has not all the files."""
    seconds = round(time.monotonic() - began, 2)
    stats = places.restic("stats", "latest", "--json", repository=places.repository(policy), cache=places.cache(policy))
    saved = json.loads(stats)["total_size"]
    if saved != places.bytes_of(data):
        raise RuntimeError(f"{system} saved {saved} bytes of {data}, which has {places.bytes_of(data)}")
    return Backup(data=data, system=system, round=number, seconds=seconds)


async def _by_worker(client: Client, policy: str) -> float:
    """Run the policy once; return the moment of the trigger."""
    where = jobs.alignment(policy)
    await jobs.create(client, type(where)(where.request.model_copy(update={"policy_name": policy}), where.first_run))
    schedule = client.get_schedule_handle(schedule_id(policy))
    began = time.monotonic()
    await schedule.trigger()
    while not (started := (await schedule.describe()).info.recent_actions):
        await asyncio.sleep(0.02)
    action: Any = started[-1].action
    await client.get_workflow_handle(action.workflow_id, run_id=action.first_execution_run_id).result()
    return began


def over(measured: Measured, data: str) -> dict[int, float]:
    """Return the seconds of ours above 1.05 times restic alone, by round."""
    mine, alone = measured.rounds(data, OURS), measured.rounds(data, ALONE)
    return {number: mine[number] - 1.05 * alone[number] for number in mine.keys() & alone.keys()}


def tables(measured: Measured) -> list[Table]:
    """Wall time and its ratio, and the seconds above 1.05 times restic alone."""
    rows = []
    for data in DATA:
        mine, alone = measured.rounds(data, OURS), measured.rounds(data, ALONE)
        figures_of_data = (mine, alone, figures.ratios(mine, alone), over(measured, data))
        rows.append([data, *(spread_text(each.values(), 2) for each in figures_of_data)])
    return [
        Table(
            name="backups",
            title="A backup by restic, seconds",
            columns=["", "ours", "restic alone", "ours / alone", "ours - 1.05 x alone"],
            rows=rows,
        )
    ]


def draw(measured: Measured) -> dict[str, Any]:
    """Draw both wall times."""
    series: dict[str, list[float | None]] = {
        system: [Spread.of(measured.rounds(data, system).values()).median for data in DATA] for system in (OURS, ALONE)
    }
    return {"backups": charts.bars("A backup by restic", "seconds", list(DATA), series)}
