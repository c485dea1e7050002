"""`make soak`, shorter: each part is killed once, one is frozen and one is cut off, then Ctrl-C ends it."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from devstack import processes
from lab.parts.places import ROOT

pytestmark = pytest.mark.programs

FAULTS = 6
OPTIONS = ("--minutes=10", "--seed=3", "--every=4", f"--faults={FAULTS}", "--callers=2", "--down=0", "--slowness=0.3")


@pytest.mark.lab
@pytest.mark.timeout(600)
def test_every_part_has_its_fault_and_nothing_is_lost(tmp_path: Path) -> None:
    said = []
    with subprocess.Popen(
        [sys.executable, "-m", "lab.soak", *OPTIONS],
        cwd=ROOT,
        env={**os.environ, "SCHEDULER_STATE_DIR": str(tmp_path), "NO_COLOR": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            said.append(line)
            if "all works again" in line and sum("all works again" in each for each in said) == FAULTS:
                process.send_signal(signal.SIGINT)
    assert process.returncode == 0, "".join(said)
    assert "Nothing was lost, nothing ran twice, every answer was true.\n" in said

    [file] = tmp_path.glob("soak/*/figures.json")
    figures = json.loads(file.read_text())
    assert figures["interrupted"]
    assert len(figures["outages"]) == FAULTS
    parts = figures["parts"].values()
    assert [part["killed"] + part["terminated"] for part in parts] == [1, 1, 1, 1]
    assert [sum(part[kind] for part in parts) for kind in ("frozen", "cut_off")] == [1, 1]
    assert figures["calls"]["answered"]["200"] > 20
    for tally in ("jobs", "timed_runs", "triggered_runs", "http_backups", "restic_snapshots"):
        assert figures[tally]["certain"] > 0
        assert not figures[tally]["lost"] + figures[tally]["doubled"] + figures[tally]["wrong"]
    assert figures["snapshots_restored"] == figures["restic_snapshots"]["certain"]
    assert not processes.of_stack(str(file.parent / "stack"))
