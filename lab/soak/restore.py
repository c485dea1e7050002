"""A drill: PostgreSQL is restored from a base backup while jobs run; what has become of jobs and runs is counted.

`python -m lab.soak.restore` runs it on a cluster of its own.
"""

import argparse
import asyncio
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any, Final

from rich.console import Console
from temporalio.client import Client

from backup_scheduler.contract.methods import ADD, GET_ALL, MODIFY, PAUSE, REMOVE
from devstack.running import StackInfo, running_stack
from lab.cluster.plan import POSTGRESQL
from lab.parts.answers import Terms
from lab.parts.clients import client_of
from lab.parts.waiting import eventually_async
from lab.soak.rpc import CallLog, Rpc
from lab.soak.runs import Run, read_runs
from lab.soak.target import Target, backup_target
from lab.soak.timed import TimedSchedules

_TASK_QUEUE: Final = "restore"
_AWAY: Final = 15.0
"""Seconds that a killed process stays away, which the exchange of the data has to fit into."""

_INTERVALS: Final = [4, 5, 6]
_BEFORE, _AFTER = 20.0, 40.0
"""Seconds of runs before the base backup, and between it and the loss."""

_PATIENCE: Final = 420.0
"""Seconds; an activity that no worker knows of any more is put into the task queue anew after 5 minutes."""


@dataclass(frozen=True)
class Restored:
    """What has become of the runs that came due by themselves; `made` are the backups at the target."""

    due: int
    lost: int
    """Due times without a backup."""
    made_twice: int
    """Due times whose backup was made again, by a run of its own."""
    lost_in_history: int
    """Due times without a run in Temporal's history."""
    doubled_in_history: int


def judge(due: Iterable[str], runs: Iterable[Run], made: Iterable[str]) -> Restored:
    """Compare the due times, by the workflow ids of their runs, with Temporal's history and the keys of the target."""
    ids = list(due)
    there = Counter(run.workflow_id for run in runs)
    backups = Counter(key.rpartition("~")[0] for key in set(made))
    return Restored(
        due=len(ids),
        lost=sum(not backups[each] for each in ids),
        made_twice=sum(backups[each] > 1 for each in ids),
        lost_in_history=sum(not there[each] for each in ids),
        doubled_in_history=sum(there[each] > 1 for each in ids),
    )


class Drill:
    """One drill."""

    def __init__(self, folder: Path, console: Console, *, stop_nodes: bool) -> None:
        self._folder = folder
        self._console = console
        self._stop_nodes = stop_nodes

    async def run(self) -> bool:
        """Run it; return whether jobs and runs came back as they have to."""
        random = Random(1)  # noqa: S311  # chance that can be repeated
        async with backup_target(random, 0.2, "127.0.0.1") as target:
            kept = {name: value for name, value in os.environ.items() if not name.startswith(("SCHEDULER_", "AMQP_"))}
            environ = kept | {
                "SCHEDULER_TIMEZONE": "UTC",
                "SCHEDULER_TASK_QUEUE": _TASK_QUEUE,
                "SCHEDULER_BACKUP_URL": target.url,
            }
            stack = running_stack(self._folder, environ, keep_alive=_AWAY, program="lab.cluster")
            info = await asyncio.to_thread(stack.__enter__)
            try:
                os.environ |= info.environ()
                return await self._run(info, await client_of(info), target)
            finally:
                await asyncio.to_thread(stack.__exit__, None, None, None)

    async def _run(self, info: StackInfo, client: Client, target: Target) -> bool:
        rpc = Rpc(info.amqp_uri, CallLog(self._folder / "calls.jsonl"), timeout=15)
        for name in ("stays", "is-changed", "is-paused", "is-removed"):
            await _called(rpc, ADD, name, _terms(1))
        timed = TimedSchedules(client, _TASK_QUEUE)
        await timed.start(_INTERVALS)
        await asyncio.sleep(_BEFORE)
        before = await _jobs(rpc)
        copy = self._folder / "postgresql/copy"
        began = datetime.now(UTC)
        await asyncio.to_thread(self._base_backup, info, copy)
        self._say(f"A base backup was made in {(datetime.now(UTC) - began).total_seconds():.1f} s.")
        await _called(rpc, ADD, "is-new", _terms(1))
        await _called(rpc, MODIFY, "is-changed", _terms(2))
        await _called(rpc, PAUSE, "is-paused")
        await _called(rpc, REMOVE, "is-removed")
        await asyncio.sleep(_AFTER)
        at_loss = {run.key for run in await read_runs(client)}
        lost_at = time.time()
        names = ["postgresql", *(["temporal-1", "temporal-2", "temporal-3"] if self._stop_nodes else [])]
        await self._restore(names, copy)
        after = await eventually_async(lambda: _answered(rpc), _PATIENCE)
        self._say(f"The first call was answered {time.time() - lost_at:.1f} s after the loss.")
        await timed.end()
        due = [each for schedule in timed.all for each in schedule.due()]
        runs = await self._settled(client, due)
        made = [request.key for request in target.requests if request.succeeded]
        found = judge(due, runs, made)
        forgotten = at_loss - {run.key for run in runs}
        since = {run.run_id for run in runs if run.start < began - timedelta(seconds=1)}
        self._say(f"Jobs as at the base backup: {after == before}; {', '.join(sorted(after))}.")
        self._say(
            f"{found}; {len(forgotten)} runs were in the history and are not any more; {len(since)} are from before."
        )
        last = max(run.close.timestamp() for run in runs if run.close)
        self._say(f"The last run ended {last - lost_at:.1f} s after the loss.")
        await rpc.close()
        return after == before and not found.lost and not found.lost_in_history and not found.doubled_in_history

    def _base_backup(self, info: StackInfo, copy: Path) -> None:
        state = self._folder
        environ = {
            **os.environ,
            "PGPASSWORD": (state / "postgresql-password").read_text(),
            "PGSSLMODE": "verify-ca",
            "PGSSLROOTCERT": str(info.temporal_tls_ca),
        }
        host = info.temporal_address.rpartition(":")[0].rpartition(".")[0] + ".31"
        command = [
            str(POSTGRESQL / "pg_basebackup"),
            "-h",
            host,
            "-U",
            "temporal",
            "-D",
            str(copy),
            "--checkpoint=fast",
        ]
        subprocess.run(command, env=environ, check=True)

    async def _restore(self, names: list[str], copy: Path) -> None:
        """Kill these processes, and let PostgreSQL find the base backup when it is started again."""
        pids = (StackInfo.read(self._folder) or sys.exit("the stack is gone")).pids
        for name in names:
            os.kill(pids[name], signal.SIGKILL)
        data = copy.with_name("data")
        shutil.move(data, copy.with_name("lost"))
        shutil.move(copy, data)
        self._say(f"Killed {', '.join(names)}; the base backup is in the place of the data.")

    async def _settled(self, client: Client, due: list[str]) -> list[Run]:
        deadline = time.monotonic() + _PATIENCE
        while True:
            runs = await read_runs(client)
            missing = set(due) - {run.workflow_id for run in runs}
            if (not missing and not any(run.is_open for run in runs)) or time.monotonic() > deadline:
                return runs
            await asyncio.sleep(1)

    def _say(self, sentence: str) -> None:
        self._console.print(f"{time.strftime('%H:%M:%S')} {sentence}", markup=False)


def _terms(revision: int) -> Terms:
    start = datetime.now(UTC) + timedelta(hours=6)
    return Terms(
        "restore", days=1, start_time=f"{start:%H:%M}", duration=0, misfire_grace_time=86400, revision=revision
    )


async def _called(rpc: Rpc, method: str, scheduler_id: str, terms: Terms | None = None) -> None:
    reply = await rpc.call(method, {"scheduler_id": scheduler_id, **(terms.arguments() if terms else {})})
    if reply is None or reply["code"] != 200:
        raise RuntimeError(f"{method} {scheduler_id}: {reply}")


async def _jobs(rpc: Rpc) -> Mapping[str, Any]:
    return {each["job_id"]: each for each in (await _answered(rpc) or {}).values()}


async def _answered(rpc: Rpc) -> dict[str, Any] | None:
    reply = await rpc.call(GET_ALL, {})
    if reply is None or reply["code"] != 200:
        return None
    return {each["job_id"]: each for each in reply["description"]}


def main() -> int:
    """Run the drill; returns 0 when jobs and runs came back as they have to."""
    parser = argparse.ArgumentParser(prog="python -m lab.soak.restore", description=__doc__)
    parser.add_argument("--nodes-go-on", action="store_true", help="do not end the Temporal nodes, as one has to")
    arguments = parser.parse_args()
    console = Console(highlight=False, emoji=False, soft_wrap=True)
    place = Path(os.environ.get("SCHEDULER_STATE_DIR") or ".state").absolute()
    folder = place / "restore" / time.strftime("%Y%m%d-%H%M%S")
    return 0 if asyncio.run(Drill(folder, console, stop_nodes=not arguments.nodes_go_on).run()) else 1


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    os._exit(code)  # a client of Temporal can crash while the interpreter shuts down
