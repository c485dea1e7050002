"""`make soak`, shorter: each part is killed once."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from devstack import processes
from tests.conftest import ROOT, eventually


def soak(state_dir: Path, *options: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "soak", "--seed=3", "--callers=2", "--slowness=0.3", *options],
        cwd=ROOT,
        env={**os.environ, "SCHEDULER_STATE_DIR": str(state_dir), "NO_COLOR": "1", "COLUMNS": "120"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def left_running(state_dir: Path) -> list[object]:
    [folder] = (state_dir / "soak").iterdir()
    return list(processes.of_stack(str(folder / "stack")))


@pytest.mark.timeout(400)
def test_every_part_is_killed_once_and_nothing_is_lost(tmp_path: Path) -> None:
    process = soak(tmp_path, "--minutes=0.55", "--every=4", "--kills=4")
    output, _ = process.communicate()
    assert process.returncode == 0, output
    assert "Nothing was lost, nothing ran twice, every answer was true." in output
    [file] = tmp_path.glob("soak/*/figures.json")
    figures = json.loads(file.read_text())
    assert {kill["part"] for kill in figures["kills"]} == {"rpc", "worker", "temporal", "rabbitmq"}
    assert figures["calls"]["answered"]["200"] > 20
    for tally in ("jobs", "timed_runs", "triggered_runs", "restic_snapshots"):
        assert figures[tally]["expected"] == figures[tally]["found"] > 0
    assert not left_running(tmp_path)


@pytest.mark.timeout(240)
def test_ctrl_c_ends_it_early_with_an_audit(tmp_path: Path) -> None:
    process = soak(tmp_path, "--minutes=10", "--every=600")
    log = eventually(lambda: next(tmp_path.glob("soak/*/calls.jsonl"), None), patience=60)
    assert log is not None
    eventually(lambda: len(log.read_text().splitlines()) > 20)
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate()
    assert process.returncode == 0, output
    assert time.monotonic() - began < 100
    assert re.search(r"│ jobs +│ +[1-9]", output)
    assert not left_running(tmp_path)
