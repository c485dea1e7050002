"""An upgrade: processes of the earlier release are known, so that one that was not replaced is noticed."""

import subprocess
from pathlib import Path

import pytest

from lab.cluster.plan import SERVER
from lab.cluster.upgrade import EARLIER_SERVER, Upgrade
from lab.parts.places import ROOT


@pytest.mark.programs
def test_a_process_of_the_earlier_release_is_known(tmp_path: Path) -> None:
    earlier = tmp_path / "earlier"
    earlier.mkdir()
    upgrade = Upgrade(tmp_path, "HEAD")
    for folder, is_of_earlier in ((earlier, True), (tmp_path, False)):
        with subprocess.Popen(["sleep", "60"], cwd=folder) as process:
            try:
                assert upgrade.is_of_earlier(process.pid) is is_of_earlier
            finally:
                process.kill()


def test_the_earlier_server_is_the_release_before() -> None:
    def minor(pin: str) -> int:
        module = (ROOT / "lab/cluster/tools" / pin / "go.mod").read_text()
        return int(module.split("go.temporal.io/server v1.")[1].split(".")[0])

    assert minor(EARLIER_SERVER) == minor(SERVER) - 1
