"""The tables and the chart of calls: pure functions of what was measured."""

from collections.abc import Callable
from typing import Any

from pydantic import BaseModel

from lab.bench import bare, charts, figures, one_call
from lab.bench.callers import OPERATIONS
from lab.bench.figures import NOT_SHOWN, Spread, spread_text
from lab.bench.results import Table
from lab.bench.supply import Least

OURS, SDK, PEER, EMPTY = "ours", "bare SDK", "peer", "empty method"
OURS_APART, SDK_APART = "ours, Temporal apart", "bare SDK, Temporal apart"
HERE = "callers"
"""The process of the benchmark: its threads call by RPC, and its asyncio loop calls through the SDK."""
AT_LEAST = Least(seconds=5.0, operations=1000)
"""What a figure of a table is made of: the seconds in each round, the operations in all rounds."""
GOAL = 0.95
"""Share of the bare SDK's throughput that a service should reach."""


class Cell(BaseModel):
    """One operation of one system in one round."""

    system: str
    operation: str
    round: int
    seconds: float
    operations: int
    cpu_ms: dict[str, float]
    """CPU time per operation of each process, in milliseconds."""

    @property
    def per_second(self) -> float:
        """Operations per second."""
        return self.operations / self.seconds

    @property
    def cpu(self) -> float:
        """CPU time per operation of all processes, in seconds."""
        return sum(self.cpu_ms.values()) / 1000


class Latencies(BaseModel):
    """Latencies of an operation in milliseconds, of all rounds together; None where there are too few for that one."""

    operation: str
    samples: int
    p50: float | None
    p95: float | None
    p99: float | None

    def text(self) -> str:
        """Write all three."""
        return " / ".join(NOT_SHOWN if each is None else f"{each:.0f}" for each in (self.p50, self.p95, self.p99))


class Measured(BaseModel):
    """All rounds, in the order in which they were measured."""

    cores: int = 1
    callers: int = 1
    cells: list[Cell] = []
    latencies: list[Latencies] = []
    """Of ours."""
    singles: list[one_call.Median] = []

    def of(self, system: str, operation: str) -> list[Cell]:
        """Return the rounds of one cell of the table; none if too little was measured to show it."""
        cells = [cell for cell in self.cells if (cell.system, cell.operation) == (system, operation)]
        enough = sum(cell.operations for cell in cells) >= AT_LEAST.operations
        return cells if enough and all(cell.seconds >= AT_LEAST.seconds for cell in cells) else []

    def rates(self, system: str, operation: str) -> dict[int, float]:
        """Return the operations per second of each round."""
        return self._rounds(system, operation, lambda cell: cell.per_second)

    def limits(self, operation: str) -> dict[int, float]:
        """Return for each round the rate at which no core would have any time left.

        Each operation has to cost what it costs through the bare SDK, and for each call what an empty method costs. The
        two rates alone would give no limit: callers of an empty method leave a part of the cores idle, as nobody uses
        more than one core there.
        """
        calls = len(operation.split("+"))
        sdk = self._rounds(SDK, operation, lambda cell: cell.cpu)
        empty = self._rounds(EMPTY, "nothing", lambda cell: cell.cpu)
        return {number: self.cores / (sdk[number] + calls * empty[number]) for number in sdk.keys() & empty.keys()}

    def to_sdk(self, operation: str) -> dict[int, float]:
        """Return ours divided by the bare SDK, by round."""
        return figures.ratios(self.rates(OURS, operation), self.rates(SDK, operation))

    def busy_cores(self, system: str, operation: str) -> dict[int, float]:
        """Return how many cores were busy, by round."""
        return self._rounds(system, operation, lambda cell: cell.cpu * cell.per_second)

    def cpu_ms(self, system: str, operation: str, part: str) -> float | None:
        """Return the CPU time of a part for an operation, the median of all rounds."""
        found = [cell.cpu_ms.get(part, 0.0) for cell in self.of(system, operation)]
        return Spread.of(found).median if found else None

    def _rounds(self, system: str, operation: str, value: Callable[[Cell], float]) -> dict[int, float]:
        return figures.by_round(self.of(system, operation), lambda cell: cell.round, value)


def tables(measured: Measured) -> list[Table]:
    """Throughput and latency, the time that RPC adds to one call, and CPU time."""
    return [_throughput(measured), _apart(measured), one_call.added(measured.singles), _cpu(measured)]


def _throughput(measured: Measured) -> Table:
    latencies = {each.operation: each.text() for each in measured.latencies}
    rows = []
    for operation in OPERATIONS:
        mine, sdk, peer = (measured.rates(system, operation) for system in (OURS, SDK, PEER))
        against = [figures.ratios(mine, other) for other in (measured.limits(operation), peer)]
        rows.append(
            [
                operation,
                *(spread_text(each.values(), 0) for each in (mine, sdk)),
                *(spread_text(each.values(), 2) for each in (measured.to_sdk(operation), against[0])),
                spread_text(peer.values(), 0),
                spread_text(against[1].values(), 2),
                latencies.get(operation, NOT_SHOWN),
            ]
        )
        if operation == "get":
            converted = measured.rates(SDK, bare.CONVERTED)
            to_converted = figures.ratios(mine, converted)
            sdk_only = [spread_text(converted.values(), 0), spread_text(to_converted.values(), 2)]
            rows.append([bare.CONVERTED, "", *sdk_only, "", "", "", ""])
    rows.append([EMPTY, spread_text(measured.rates(EMPTY, "nothing").values(), 0), "", "", "", "", "", ""])
    return Table(
        name="calls",
        title=f"Operations per second, {measured.callers} callers",
        columns=[
            "",
            "ours",
            "bare SDK",
            "ours / SDK",
            "ours / limit of CPU time",
            "peer",
            "ours / peer",
            "ours p50 / p95 / p99 (ms)",
        ],
        rows=rows,
    )


def _apart(measured: Measured) -> Table:
    rows = []
    for operation in OPERATIONS:
        mine, sdk = (measured.rates(system, operation) for system in (OURS_APART, SDK_APART))
        if mine or sdk:
            rates = [spread_text(each.values(), 0) for each in (mine, sdk)]
            rows.append([operation, *rates, spread_text(figures.ratios(mine, sdk).values(), 2)])
    return Table(
        name="calls-apart",
        title=f"Operations per second, {measured.callers} callers, Temporal on a core of its own",
        columns=["", "ours", "bare SDK", "ours / SDK"],
        rows=rows,
    )


def _cpu(measured: Measured) -> Table:
    rows = []
    for operation in OPERATIONS:
        around = [measured.cpu_ms(OURS, operation, part) for part in ("temporal", "rabbitmq", HERE)]
        of_ours = [*around, measured.cpu_ms(OURS, operation, "rpc")]
        of_sdk = [measured.cpu_ms(SDK, operation, part) for part in ("temporal", HERE)]
        sdk, others = _sum(of_sdk), _sum(around)
        left = None if sdk is None or others is None else sdk / GOAL - others
        rows.append(
            [
                operation,
                *map(_one_digit, [*of_ours, _sum(of_ours)]),
                spread_text(measured.busy_cores(OURS, operation).values(), 2),
                *map(_one_digit, [*of_sdk, sdk]),
                spread_text(measured.busy_cores(SDK, operation).values(), 2),
                _one_digit(left),
            ]
        )
    of_empty = [measured.cpu_ms(EMPTY, "nothing", part) for part in ("temporal", "rabbitmq", HERE, "empty service")]
    busy = spread_text(measured.busy_cores(EMPTY, "nothing").values(), 2)
    rows.append([EMPTY, *map(_one_digit, [*of_empty, _sum(of_empty)]), busy, "", "", "", "", ""])
    return Table(
        name="calls-cpu",
        title=f"CPU time per operation in ms, {measured.callers} callers on {measured.cores} cores",
        columns=[
            "",
            "ours: Temporal",
            "RabbitMQ",
            "callers",
            "service",
            "all",
            "cores busy",
            "bare SDK: Temporal",
            "SDK",
            "all",
            "cores busy",
            f"left for a service at {GOAL}",
        ],
        rows=rows,
    )


def _one_digit(value: float | None) -> str:
    return NOT_SHOWN if value is None else f"{value:.1f}"


def _sum(parts: list[float | None]) -> float | None:
    return None if None in parts else sum(each for each in parts if each is not None)


def draw(measured: Measured) -> dict[str, Any]:
    """Draw throughput."""

    def median(rates: dict[int, float]) -> float | None:
        return Spread.of(rates.values()).median if rates else None

    series: dict[str, list[float | None]] = {
        system: [median(measured.rates(system, operation)) for operation in OPERATIONS] for system in (OURS, SDK, PEER)
    }
    title = f"Operations per second, {measured.callers} callers"
    return {"calls": charts.bars(title, "per second", list(OPERATIONS), series)}
