"""A network of machines on one machine: some processes have a network namespace of their own, and ways can be cut.

All of it is inside another network namespace, so that it disturbs nothing else and ends with its last process.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

NETWORK: Final = "10.0.0"
"""First three numbers of all its addresses."""

HOST: Final = f"{NETWORK}.1"
"""Address of the programs that have no namespace of their own, for the others."""

_FOLDER: Final = Path("/run/netns")
"""Where `ip` looks for namespaces by their names."""

_INSIDE: Final = ("unshare", "--net", "--mount")
_ENTERED: Final = "CLUSTER_NETWORK"

# `beyond` throws away what `void` sends there; nothing has an address there, so no sender gets an error.
# With rp_filter=1 a packet from an address is dropped, too, while the way to that address leads elsewhere.
_MACHINE: Final = """
ip netns add {name}
ip link add {name} type veth peer name network netns {name}
ip link set {name} master cluster up
ip -n {name} link set lo up
ip -n {name} address add {address}/24 dev network
ip -n {name} link set network up
ip -n {name} link add void type veth peer name beyond
ip -n {name} link set void arp off up
ip -n {name} link set beyond arp off up
nsenter --net={folder}/{name} sh -c "echo 1 >/proc/sys/net/ipv4/conf/all/rp_filter"
"""


def why_not() -> str | None:
    """Return the reason why there can be no network of this kind here; None where there can."""
    missing = [name for name in ("ip", "unshare", "nsenter", "mount") if shutil.which(name) is None]
    if missing:
        return f"there is no {' and no '.join(missing)}"
    if os.geteuid() != 0:
        return "they need root"
    tried = "mount -t tmpfs none /run && ip link add cluster type bridge && ip link add one type veth peer name other"
    done = subprocess.run([*_INSIDE, "sh", "-c", tried], capture_output=True, text=True, check=False)
    return None if done.returncode == 0 else f"they cannot be made: {done.stderr.strip()}"


def entered(environ: Mapping[str, str]) -> bool:
    """Whether this process, or one that has this environment, is in a network of this kind."""
    return environ.get(_ENTERED) == NETWORK


def enter() -> None:
    """Begin this program again, with the same arguments, in a new network that has no machine yet."""
    os.environ[_ENTERED] = NETWORK
    os.execvp(_INSIDE[0], [*_INSIDE, sys.executable, "-m", *_module_and_arguments()])  # noqa: S606  # our own


def _module_and_arguments() -> Sequence[str]:
    position = sys.orig_argv.index("-m")
    return sys.orig_argv[position + 1 :]


def make(machines: Mapping[str, int], others: Sequence[int]) -> None:
    """Make a namespace for each machine, by the last number of its address; the numbers of all others stay outside."""
    lines = ["ip link set lo up", f"mkdir -p {_FOLDER}", f"mount -t tmpfs none {_FOLDER}"]
    lines += ["mount -t tmpfs none /dev/shm", "ip link add cluster type bridge"]
    lines += [f"ip address add {NETWORK}.{number}/24 dev cluster" for number in (1, *others)]
    lines += ["ip link set cluster up"]
    made = [
        _MACHINE.format(name=name, address=f"{NETWORK}.{number}", folder=_FOLDER) for name, number in machines.items()
    ]
    _run("\n".join([*lines, *made]))


def inside(machine: str) -> list[str]:
    """Return what stands before a command to run it in the namespace of a machine; it becomes the command itself."""
    return ["nsenter", f"--net={_FOLDER / machine}", "--"]


@dataclass(frozen=True)
class Way:
    """The way between a machine and some addresses; it can be cut, with all the machine's other ways left open."""

    machine: str
    addresses: Sequence[str]
    """Addresses, or networks of them."""

    def cut(self) -> None:
        """Let all packets of both directions vanish from now on; no sender gets an error, no connection ends."""
        self._route("add")

    def mend(self) -> None:
        """Let them arrive again."""
        self._route("delete")

    def _route(self, what: str) -> None:
        _run("\n".join(f"ip -n {self.machine} route {what} {each} dev void" for each in self.addresses))


def _run(script: str) -> None:
    subprocess.run(["sh", "-ec", script], check=True)
