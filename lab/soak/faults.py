"""The faults that a soak makes, and their order: pure, so that a seed repeats them."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from itertools import combinations
from random import Random
from typing import Final

from lab.soak.sites import DEVELOPMENT, Site, part_of

_TERM_SHARE = 0.25
"""Share of kills by SIGTERM; the others are kill -9."""

_FROZEN = (3.0, 12.0)
"""Seconds, from shortest to longest; callers wait for 15."""

_CUT = (5.0, 15.0)
"""Seconds, from shortest to longest."""

_VANISHED = (20.0, 40.0)
"""Seconds that packets vanish between two machines, from shortest to longest."""

_SPLIT: Final = 30.0

_LOST: Final = 45.0
"""Seconds after which a lost attempt (30 s without a heartbeat) of restic has been followed by the next one (15 s)."""

_A_MINUTE: Final = 60.0

BROKER_HEARTBEAT: Final = 15
"""Seconds that the RabbitMQ of a soak has as its heartbeat time-out, instead of 60: within three times as long it gives
a silent connection up and hands the calls of that connection to others."""

_GIVEN_UP: Final = 50.0
"""Seconds in which it does."""


UPGRADED: Final = ("temporal", "rpc", "worker")
"""Parts that an upgrade replaces, in its order."""


class Kind(StrEnum):
    """A way to strike."""

    KILL = "SIGKILL"
    TERMINATE = "SIGTERM"
    FREEZE = "SIGSTOP"
    UPGRADE = "upgrade"
    """SIGTERM; the process that takes its place is of the new release."""
    CUT = "partition"
    """Nothing passes between two parts, and no connection ends."""


@dataclass(frozen=True)
class Fault:
    """One fault."""

    kind: Kind
    where: str
    """A process, or a link."""
    seconds: float = 0
    """Time until a frozen process goes on, or a link is mended."""

    @property
    def part(self) -> str:
        """The part that has the fault."""
        return part_of(self.where.partition("|")[0])

    @property
    def splits(self) -> bool:
        """Whether nodes of Temporal cannot reach each other, and each holds itself for the only one."""
        return self.kind is Kind.CUT and self.part == "temporal"

    @property
    def is_kill(self) -> bool:
        """Whether the process ends."""
        return self.kind in (Kind.KILL, Kind.TERMINATE, Kind.UPGRADE)

    def __str__(self) -> str:
        """Return it for a person to read."""
        return f"{self.where} {self.kind}" if self.is_kill else f"{self.where} {self.kind} for {self.seconds:g} s"


@dataclass(frozen=True)
class Step:
    """Faults that are made at one moment."""

    faults: tuple[Fault, ...]
    amid: str | None = None
    """A process, or `any`: the step waits until a worker has a restic under way that lasts longer than the faults."""

    @property
    def splits(self) -> bool:
        """Whether one of the faults does."""
        return any(fault.splits for fault in self.faults)

    def __str__(self) -> str:
        """Return it for a person to read."""
        amid = " amid a restic backup" if self.amid else ""
        return " and ".join(map(str, self.faults)) + amid


def steps(random: Random, site: Site = DEVELOPMENT) -> Iterator[Step]:
    """Yield the steps of a soak without end.

    On the development stack each 20 have every fault, the first 6 a kill of each part, too.
    """
    worker, rpc = site.own("worker"), site.own("rpc")
    while True:
        frozen = [_freeze(random, site, part) for part in random.sample(site.parts, len(site.parts))]
        cut = _cuts(random, site)
        first_cut, later_cut = ([cut[:2], cut[2:]], cut) if site.machines else ([cut[:1]], cut[1:])
        pairs = random.sample(list(combinations(site.parts, 2)), 2)
        yield from _shuffled(
            random, [*_kills(random, site), frozen[0]], [Step(tuple(at_once)) for at_once in first_cut]
        )
        yield from _shuffled(
            random,
            [*_kills(random, site), *frozen[1:], *later_cut],
            [
                Step(_all(site, "temporal", Kind.FREEZE, _LOST), amid="any"),
                Step((Fault(Kind.CUT, f"{worker}|temporal", _LOST),), amid=worker),
                Step((Fault(Kind.CUT, f"{rpc}|rabbitmq", _GIVEN_UP),)),
                *(Step((_any(random, site, one), _any(random, site, other))) for one, other in pairs),
                *_of_a_whole_part(site),
            ],
        )


def _cuts(random: Random, site: Site) -> list[Fault]:
    """Return a partition of each way of the soak's own processes."""
    chosen = [link for link in site.links if part_of(link.partition("|")[0]) != "temporal"]
    length = _VANISHED if site.machines else _CUT
    return [Fault(Kind.CUT, link, _seconds(random, length)) for link in random.sample(chosen, len(chosen))]


def upgrades(site: Site) -> list[Step]:
    """Return the steps of a rolling upgrade: each process of Temporal and of this project, one after the other."""
    names = (name for part in UPGRADED for name in site.processes[part])
    return [Step((Fault(Kind.UPGRADE, name),)) for name in names]


def splits(site: Site) -> list[Step]:
    """Return the partitions of each node of Temporal from the other ones, and of one from everything."""
    nodes = site.processes["temporal"]
    links = [*(f"{node}|temporal" for node in nodes), f"{nodes[0]}|all"]
    return [Step((Fault(Kind.CUT, link, _SPLIT),)) for link in links if link in site.links]


def _of_a_whole_part(site: Site) -> list[Step]:
    """Return the faults of a cluster that are more than those of one node."""
    if "postgresql" not in site.parts:
        return []
    nodes = [Step(_all(site, part, Kind.KILL)) for part in ("temporal", "rabbitmq")]
    return [*nodes, Step(_all(site, "postgresql", Kind.FREEZE, _A_MINUTE))]


def _all(site: Site, part: str, kind: Kind, seconds: float = 0) -> tuple[Fault, ...]:
    return tuple(Fault(kind, process, seconds) for process in site.processes[part])


def _shuffled(random: Random, faults: list[Fault], more: list[Step] | None = None) -> list[Step]:
    made = [*(Step((fault,)) for fault in faults), *(more or [])]
    return random.sample(made, len(made))


def _kills(random: Random, site: Site) -> list[Fault]:
    return [_kill(random, site, part) for part in site.parts]


def _kill(random: Random, site: Site, part: str) -> Fault:
    kind = Kind.TERMINATE if random.random() < _TERM_SHARE and part not in site.patient else Kind.KILL
    return Fault(kind, random.choice(site.processes[part]))


def _freeze(random: Random, site: Site, part: str) -> Fault:
    return Fault(Kind.FREEZE, random.choice(site.processes[part]), _seconds(random, _FROZEN))


def _any(random: Random, site: Site, part: str) -> Fault:
    return _freeze(random, site, part) if random.random() < 1 / 3 else _kill(random, site, part)


def _seconds(random: Random, between: tuple[float, float]) -> float:
    return round(random.uniform(*between), 1)
