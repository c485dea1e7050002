"""Runs are paged through by their start, though Temporal lists them by their end: each comes once, in order."""

from collections.abc import AsyncIterator, Sequence

from hypothesis import given
from hypothesis import strategies as st
from temporalio.api.workflow.v1 import WorkflowExecutionInfo

from backup_scheduler.temporal.runs import last_started


def a_run(start: int, took: int | None) -> WorkflowExecutionInfo:
    run = WorkflowExecutionInfo()
    run.start_time.FromSeconds(start)
    if took is not None:
        run.close_time.FromSeconds(start + took)
    return run


def as_temporal_lists(runs: Sequence[WorkflowExecutionInfo]) -> list[WorkflowExecutionInfo]:
    """Those that go on first, then the last one that ended."""
    return sorted(runs, key=lambda run: (not run.HasField("close_time"), run.close_time.seconds), reverse=True)


class Listed:
    """A list of Temporal's, and how many entries of it were read."""

    def __init__(self, runs: Sequence[WorkflowExecutionInfo]) -> None:
        self.read = 0
        self._runs = as_temporal_lists(runs)

    async def entries(self) -> AsyncIterator[WorkflowExecutionInfo]:
        for run in self._runs:
            self.read += 1
            yield run


@given(st.dictionaries(st.integers(0, 60), st.none() | st.integers(0, 40), max_size=12), st.integers(1, 5))
async def test_pages_have_each_run_once_the_last_started_first(took: dict[int, int | None], count: int) -> None:
    runs = [a_run(start, seconds) for start, seconds in took.items()]
    paged: list[int] = []
    while True:
        rest = [run for run in runs if not paged or run.start_time.seconds < paged[-1]]
        page = await last_started(Listed(rest).entries(), count)
        paged += [run.start_time.seconds for run in page]
        if len(page) < count:
            break
    assert paged == sorted(took, reverse=True)


async def test_of_runs_that_do_not_overlap_no_more_than_one_further_is_read() -> None:
    listed = Listed([a_run(start, 5) for start in range(0, 600, 10)])
    assert [run.start_time.seconds for run in await last_started(listed.entries(), 3)] == [590, 580, 570]
    assert listed.read == 4
