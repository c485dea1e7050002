"""A network of machines: a way that is cut loses packets, ends no connection, and leaves all other ways open."""

import subprocess
import sys

import pytest

from lab.cluster import network
from lab.parts.places import ROOT


@pytest.mark.programs
def test_a_cut_way_loses_packets_and_no_connection() -> None:
    if reason := network.why_not():
        pytest.skip(f"no network namespaces: {reason}")
    command = ["unshare", "--net", "--mount", sys.executable, "-m", "tests.support.cut_way"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
