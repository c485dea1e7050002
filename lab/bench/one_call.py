"""The time that RPC adds to one call: single calls by RPC and straight through the SDK, in turns."""

import asyncio
import uuid
from collections.abc import Iterator, Sequence

from pydantic import BaseModel
from temporalio.client import Client

from lab.bench import bare
from lab.bench.callers import CALLS, RpcCallers
from lab.bench.figures import percentile, samples_for, spread_text
from lab.bench.plan import Plan
from lab.bench.results import Table

TURNS = 30
"""Number of times that each call is made in a round."""
_HALF = 0.5


class Median(BaseModel):
    """A call in one round, in milliseconds."""

    call: str
    round: int
    ours: float
    bare: float
    """Time of the same Schedule calls through the SDK, after an empty call: a server answers faster when no pause comes
    before a call, and a call by RPC is a pause as long as an empty call."""
    empty: float
    waiting: float
    """An empty call that waits as long as the SDK takes: a process wakes more slowly after milliseconds of sleep."""

    @property
    def added(self) -> float:
        """Time that RPC adds."""
        return self.ours - self.bare

    @property
    def in_empty_calls(self) -> float:
        """Time that RPC adds, divided by that of an empty call."""
        return self.added / self.empty

    @property
    def added_by_waiting(self) -> float:
        """Time that an empty call adds to its wait."""
        return self.waiting - self.bare


def measure(plan: Plan, number: int, callers: RpcCallers, client: Client, runner: asyncio.Runner) -> Iterator[Median]:
    """Make each call by RPC and by the SDK, each time after another call by RPC."""
    ids = [(f"one-{uuid.uuid4().hex}", f"two-{uuid.uuid4().hex}") for _ in range(plan.size(TURNS, samples_for(_HALF)))]
    for call in CALLS:
        taken: dict[str, list[float]] = {"ours": [], "empty": [], "bare": [], "waiting": []}
        for one, two in ids:
            taken["empty"].append(callers.call("empty", "nothing", one))
            taken["ours"].append(callers.call("scheduler", call, one))
            taken["empty"].append(callers.call("empty", "nothing", two))
            taken["bare"].append(runner.run(bare.call(client, call, two)))
        for one, _ in ids:
            taken["waiting"].append(callers.call("empty", "nothing", one, percentile(taken["bare"], _HALF)))
        in_ms = {name: round(percentile(of, _HALF) * 1000, 2) for name, of in taken.items()}
        yield Median(call=call, round=number, **in_ms)


def added(measured: Sequence[Median]) -> Table:
    """Show the time that RPC adds to each call, beside an empty call."""
    rows = []
    for call in CALLS:
        rounds = [each for each in measured if each.call == call]
        in_ms = (
            [each.ours for each in rounds],
            [each.bare for each in rounds],
            [each.added for each in rounds],
            [each.empty for each in rounds],
            [each.added_by_waiting for each in rounds],
        )
        ratios = (
            [each.in_empty_calls for each in rounds],
            [each.added / each.added_by_waiting for each in rounds],
        )
        rows.append(
            [call, *(spread_text(values, 1) for values in in_ms), *(spread_text(values, 2) for values in ratios)]
        )
    return Table(
        name="calls-added",
        title="What RPC adds to one call (p50 in ms, one caller)",
        columns=[
            "",
            "ours",
            "SDK after an empty call",
            "added",
            "empty nameko call",
            "empty call that waits as long: added",
            "added / empty",
            "added / empty that waits",
        ],
        rows=rows,
    )
