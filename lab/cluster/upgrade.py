"""An upgrade of a running cluster: an earlier release of Temporal and of this project, and the change to the new ones.

A process takes up the new release when it is started again.
"""

import os
import subprocess
from pathlib import Path
from typing import Final

from lab.cluster import certificates
from lab.cluster.network import NETWORK
from lab.cluster.plan import HOSTS, POSTGRESQL, build
from lab.parts.places import ROOT

EARLIER_SERVER: Final = "temporal-server-1.31.5"
"""Pin of the server that comes before the usual one: upgrades go from one minor release to the next."""


class Upgrade:
    """The upgrade of the cluster in a state folder, which has to be in a network of machines."""

    def __init__(self, state_dir: Path, revision: str) -> None:
        self._state_dir = state_dir
        self._release = state_dir / "release"
        self._revision = revision
        self._earlier = state_dir / "earlier"

    def environ(self) -> dict[str, str]:
        """Put the earlier release of this project beside the cluster; return the variables to start the cluster with.

        Raises CalledProcessError when git does not know the revision.
        """
        self._earlier.mkdir(parents=True)
        archive = subprocess.run(
            ["git", "archive", self._revision], cwd=ROOT, stdout=subprocess.PIPE, check=True
        ).stdout
        subprocess.run(["tar", "-x", "-C", self._earlier], input=archive, check=True)
        self._release.symlink_to(self._earlier)
        return {"CLUSTER_SERVER": EARLIER_SERVER, "CLUSTER_RELEASE": str(self._release)}

    def prepare(self) -> None:
        """Bring the tables of Temporal up to date, and let processes that start from now on be of the new releases."""
        _replace(self._state_dir / "bin/temporal-server", build()["temporal-server"])
        _replace(self._release, ROOT)
        authority = str(self._state_dir / "certificates/ca.pem")
        password = (self._state_dir / "postgresql-password").read_text()
        environ = {
            **os.environ,
            "PATH": f"{self._state_dir / 'bin'}:{POSTGRESQL}:{os.environ['PATH']}",
            "SQL_HOST": f"{NETWORK}.{HOSTS['POSTGRESQL'][0]}",
            "SQL_PASSWORD": password,
            "SQL_TLS_CA_FILE": authority,
            "SQL_TLS_SERVER_NAME": certificates.SERVER_NAME,
            "PGPASSWORD": password,
            "PGSSLMODE": "verify-full",
            "PGSSLROOTCERT": authority,
        }
        subprocess.run(["bash", "lab/cluster/schema.sh"], cwd=ROOT, env=environ, check=True)

    def is_of_earlier(self, pid: int) -> bool:
        """Whether a process is of the earlier release of Temporal or of this project."""
        process = Path(f"/proc/{pid}")
        server = (process / "exe").resolve()
        return EARLIER_SERVER in str(server) or (process / "cwd").resolve() == self._earlier.resolve()


def _replace(link: Path, target: Path) -> None:
    new = link.with_suffix(".new")
    new.unlink(missing_ok=True)
    new.symlink_to(target)
    new.replace(link)
