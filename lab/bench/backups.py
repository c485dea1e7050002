"""Backups: restic run by the worker beside restic alone, on the same data."""

import asyncio
import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from temporalio.client import Client

from backup_scheduler.jobs.names import schedule_id
from lab.bench import charts, figures, jobs, ours
from lab.bench.figures import Spread
from lab.bench.plan import Plan, rotated
from lab.bench.results import Table

_KIB = 1024
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
        folder = Path(name)
        return runner.run(_measure(plan, Places(folder)))


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
            f'cache_dir = "{self.folder / "cache" / name}"\n'
            for name, data in names.items()
        ]
        file.write_text("\n".join(sections))
        return file

    def restic(self, *arguments: str, repository: Path, cache: Path) -> None:
        """Run restic alone."""
        environ = {
            **os.environ,
            "RESTIC_REPOSITORY": str(repository),
            "RESTIC_PASSWORD_FILE": str(self.password),
            "RESTIC_CACHE_DIR": str(cache),
        }
        subprocess.run(["restic", *arguments], env=environ, check=True, capture_output=True)


async def _measure(plan: Plan, places: Places) -> Measured:
    places.make_data(plan)
    names = {f"data{place}-round{number}": data for number in range(plan.rounds) for place, data in enumerate(DATA)}
    measured = Measured()
    with ours.ours(places.folder / "state", policies=places.policies(names)) as stack:
        client = await ours.connected(stack)
        for number in plan.each_round():
            for place, data in enumerate(DATA):
                policy = f"data{place}-round{number}"
                for system in rotated(["ours", "restic alone"], number):
                    began = time.monotonic()
                    if system == "ours":
                        began = await _by_worker(client, policy)
                    else:
                        alone = f"alone-{policy}"
                        places.repository(alone)
                        began = time.monotonic()
                        places.restic(
                            "backup",
                            "--json",
                            str(places.data(data)),
                            repository=places.repository(alone),
                            cache=places.folder / "cache" / alone,
                        )
                    seconds = round(time.monotonic() - began, 2)
                    measured.backups.append(Backup(data=data, system=system, round=number, seconds=seconds))
    return measured


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


def tables(measured: Measured) -> list[Table]:
    """Wall time and its ratio, and the seconds above 1.05 times restic alone."""
    rows = []
    for data in DATA:
        mine, alone = measured.rounds(data, "ours"), measured.rounds(data, "restic alone")
        against = figures.ratio(mine, alone)
        over = Spread.of(mine[number] - 1.05 * alone[number] for number in mine.keys() & alone.keys())
        rows.append(
            [
                data,
                *(Spread.of(seconds.values()).text(2) for seconds in (mine, alone)),
                against.text(2) if against else "",
                over.text(2),
            ]
        )
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
        system: [Spread.of(measured.rounds(data, system).values()).median for data in DATA]
        for system in ("ours", "restic alone")
    }
    return {"backups": charts.bars("A backup by restic", "seconds", list(DATA), series)}
