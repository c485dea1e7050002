"""The planted faults, a file for each group of judges."""

from lab.judge.faults import (
    bench,
    calls,
    command_line,
    counting,
    later,
    lists,
    mutants,
    outages,
    promises,
    runs,
    soak,
    soak_judges,
    web_ui,
)
from lab.judge.planted import Planted

PLANTED: tuple[Planted, ...] = (
    *bench.PLANTED,
    *calls.PLANTED,
    *command_line.PLANTED,
    *counting.PLANTED,
    *later.PLANTED,
    *lists.PLANTED,
    *mutants.PLANTED,
    *outages.PLANTED,
    *promises.PLANTED,
    *runs.PLANTED,
    *soak.PLANTED,
    *soak_judges.PLANTED,
    *web_ui.PLANTED,
)
