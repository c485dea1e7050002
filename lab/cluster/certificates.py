"""The certificates of a cluster: one authority, and a key for each part."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import trustme

SERVER_NAME: Final = "temporal.cluster.test"
"""Name in the certificates of all servers; clients ask for it, whichever address they reach."""

CLIENTS: Final = ("operator", "rpc", "worker", "web-ui")


def authority(folder: Path) -> trustme.CA:
    """Return the folder's authority; make it if there is none. Files: ca.pem, which clients trust, and ca.key."""
    certificate, key = folder / "ca.pem", folder / "ca.key"
    if key.exists():
        return trustme.CA.from_pem(certificate.read_bytes(), key.read_bytes())
    made = trustme.CA(organization_name="backup-scheduler cluster")
    _write(key, made.private_key_pem.bytes())
    made.cert_pem.write_to_path(certificate)
    return made


def issue(authority: trustme.CA, folder: Path, name: str, identities: Sequence[str]) -> None:
    """Write NAME.pem and NAME.key, which are good for the names and addresses of `identities`."""
    made = authority.issue_cert(*identities, common_name=name, organization_name="backup-scheduler cluster")
    _write(folder / f"{name}.key", made.private_key_pem.bytes())
    _write(folder / f"{name}.pem", b"".join(each.bytes() for each in made.cert_chain_pems))


def make(folder: Path, servers: dict[str, Sequence[str]]) -> None:
    """Make a certificate for each server, with its addresses, and one for each client; the authority stays.

    They are made anew at each start, as the addresses may be others than before.
    """
    folder.mkdir(parents=True, exist_ok=True)
    made = authority(folder)
    identities = {name: [SERVER_NAME, *addresses] for name, addresses in servers.items()}
    identities |= {name: [f"{name}.cluster.test"] for name in CLIENTS}
    for name, names in identities.items():
        issue(made, folder, name, names)


def _write(file: Path, content: bytes) -> None:
    """Write a file that only its owner may read, in one step: a process that reads it sees the old or the new one."""
    new = file.with_suffix(f"{file.suffix}.new")
    new.unlink(missing_ok=True)
    new.touch(mode=0o600)
    new.write_bytes(content)
    new.replace(file)
