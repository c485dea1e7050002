"""The processes of a soak by their names: those of its stack, and those beside them."""

import time
from pathlib import Path

from devstack.running import LOG, StackInfo
from lab.cluster.upgrade import Upgrade
from lab.soak.faults import UPGRADED
from lab.soak.signs import LogFile
from lab.soak.sites import Site, part_of
from lab.soak.twins import Link, Twins


class Processes:
    """Finds processes, links and signs of work."""

    def __init__(self, site: Site, state_dir: Path, twins: Twins, upgrade: Upgrade | None = None) -> None:
        self._upgrade = upgrade
        self._state_dir = state_dir
        self._twins = twins
        log = state_dir / LOG
        self._logs = {
            **{name: LogFile(log, name) for part in ("rpc", "worker") for name in site.stacks(part)},
            **{name: LogFile(twin.log, ahead=twin.ahead) for name, twin in twins.by_name.items()},
        }

    def pid(self, name: str) -> int | None:
        """Return the id of a process; None while it is away. Raises RuntimeError when the stack is gone."""
        if name in self._twins.by_name:
            return self._twins.by_name[name].pid
        info = StackInfo.read(self._state_dir)
        if info is None:
            raise RuntimeError("the stack is gone")
        return info.pids.get(name)

    def link(self, name: str) -> Link:
        """Return what a link leads through."""
        return self._twins.links[name]

    def prepare_upgrade(self) -> None:
        """Let processes that are started from now on be of the new releases."""
        assert self._upgrade is not None  # noqa: S101  # else no step upgrades anything
        self._upgrade.prepare()

    def of_release(self, *, earlier: bool) -> list[str]:
        """Return those of the processes to upgrade that are of the earlier releases, or those that are not."""
        if (upgrade := self._upgrade) is None or (info := StackInfo.read(self._state_dir)) is None:
            return []
        pids = {**info.pids, **{name: twin.pid for name, twin in self._twins.by_name.items()}}
        return [
            name
            for name, pid in pids.items()
            if part_of(name) in UPGRADED and pid is not None and upgrade.is_of_earlier(pid) is earlier
        ]

    def restarts(self) -> dict[str, int]:
        """Return how often each process was started again; empty when the stack is gone."""
        info = StackInfo.read(self._state_dir)
        own = {name: twin.restarts for name, twin in self._twins.by_name.items()}
        return {**info.restarts, **own} if info else {}

    def all_worked(self, since: float) -> float | None:
        """Return a moment by which each RPC process and each worker has done its work since then; None before."""
        latest = [log.worked() for log in self._logs.values()]
        return time.time() if min(latest) > since else None

    def idle(self, since: float) -> list[str]:
        """Return the names of those that have not."""
        return [name for name, log in self._logs.items() if log.worked() <= since]
