"""A running cluster: its parts, their CPU time and memory, and what PostgreSQL keeps."""

import os
import subprocess
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

import psutil
from pydantic import BaseModel

from devstack.running import StackInfo
from lab.bench.processes import family

PARTS = ("temporal", "postgresql", "rabbitmq", "balancer", "rpc", "worker")
_MIB = 1024 * 1024
_SIZES = """
select format('select %L, count(*), %s from %I', relname, pg_total_relation_size(oid), relname)
from pg_class where relkind = 'r' and relnamespace = 'public'::regnamespace
"""


def part_of(service: str) -> str:
    """Return the part that a service belongs to: temporal-2 is one of three nodes of `temporal`."""
    return service.partition("-")[0]


def cpu_seconds(pids: Mapping[str, int]) -> dict[str, float]:
    """Return the CPU time that each part has used, with the processes that its services have started."""
    return _by_part(pids, lambda process: sum(process.cpu_times()[:4]))  # the last two: children that have ended


def memory_mib(pids: Mapping[str, int]) -> dict[str, float]:
    """Return the memory of each part; what processes share counts once (PSS)."""
    used = _by_part(pids, lambda process: process.memory_full_info().pss)
    return {part: round(total / _MIB, 1) for part, total in used.items()}


def _by_part(pids: Mapping[str, int], of: Callable[[psutil.Process], float]) -> dict[str, float]:
    """Sum something up over the processes of each part, and those that they have started."""
    sums: dict[str, float] = {}
    for service, pid in pids.items():
        part = part_of(service)
        sums.setdefault(part, 0.0)
        for each in family(pid):
            with suppress(psutil.NoSuchProcess):
                sums[part] += of(psutil.Process(each))
    return sums


class Stored(BaseModel):
    """What PostgreSQL keeps for Temporal: tables of both databases, with their indexes."""

    rows: int
    mib: float
    by_table: dict[str, int]
    """Rows of each table."""

    @classmethod
    def now(cls, stack: StackInfo, state: Path) -> "Stored":
        """Count rows and bytes."""
        by_table: dict[str, int] = {}
        total = 0
        for database in ("temporal", "temporal_visibility"):
            queries = _ask(stack, state, database, _SIZES)
            for answer in _ask(stack, state, database, ";\n".join(query for (query,) in queries)):
                table, count, size = answer
                by_table[table] = int(count)
                total += int(size)
        return cls(rows=sum(by_table.values()), mib=round(total / _MIB, 1), by_table=by_table)

    def since(self, before: "Stored", number: int) -> tuple[float, float]:
        """Return the rows and the bytes that each of a number of jobs or runs has added."""
        return (self.rows - before.rows) / number, (self.mib - before.mib) * _MIB / number


def _ask(stack: StackInfo, state: Path, database: str, query: str) -> list[list[str]]:
    network = stack.temporal_address.rpartition(":")[0].rpartition(".")[0]
    answer = subprocess.run(
        ["psql", "--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--field-separator=\x1f", "-c", query],
        env={
            **os.environ,
            "PGHOST": f"{network}.31",
            "PGUSER": "temporal",
            "PGDATABASE": database,
            "PGPASSWORD": (state / "postgresql-password").read_text(),
            "PGSSLMODE": "verify-full",
            "PGSSLROOTCERT": str(stack.amqp_ca),
        },
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    return [line.split("\x1f") for line in answer.splitlines()]
