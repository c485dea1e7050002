"""Lists are measured whole, and their tables show medians of rounds and ratios within a round."""

from typing import Any, cast

import pytest

from lab.bench import goals, lists, questions
from lab.bench.callers import RpcCallers
from lab.bench.lists import OURS, SDK, Measured, Sample, Slowest, ask_by_rpc
from lab.bench.questions import ALL, BY_PREFIX, FIRST_PAGE, FIRST_RUNS, LATER_PAGE, OVERDUE, Middle, Question, Sizes

PLACE = Middle(jobs="after", schedules=b"token", runs="before")
NOBODY = cast(RpcCallers, None)


def samples(system: str, level: int, question: str, *medians: float) -> list[Sample]:
    return [
        Sample(system=system, level=level, question=question, round=number, calls=70, median=each)
        for number, each in enumerate(medians)
    ]


def shown(measured: Measured, name: str) -> dict[str, list[str]]:
    [table] = [table for table in lists.tables(measured) if table.name == name]
    return {row[0]: row[1:] for row in table.rows}


@pytest.mark.parametrize("answered", [[], ["one"], ["one", "two", "three"]], ids=len)
def test_an_answer_with_another_number_of_entries_is_not_measured(answered: list[str]) -> None:
    async def by_sdk(_: Any) -> list[str]:
        return []

    question = Question(FIRST_PAGE, lambda _: (0.5, answered), by_sdk, entries=2)
    with pytest.raises(RuntimeError, match=f"{FIRST_PAGE}: {len(answered)} entries instead of 2"):
        ask_by_rpc(question, NOBODY)
    assert ask_by_rpc(Question(FIRST_PAGE, lambda _: (0.5, ["one", "two"]), by_sdk, entries=2), NOBODY) == 0.5


def test_a_list_of_one_page_has_no_later_page() -> None:
    def asked(level: int) -> list[str]:
        return [each.name for each in questions.of_jobs(Sizes(jobs=100, runs=20), level, PLACE, "job-000")]

    assert asked(100) == [FIRST_PAGE, BY_PREFIX, OVERDUE, ALL]
    assert asked(1_000) == [FIRST_PAGE, LATER_PAGE, BY_PREFIX, OVERDUE, ALL]


def test_the_middle_is_reached_by_pages_of_at_most_a_thousand() -> None:
    assert [*questions._steps(2)] == [2]
    assert [*questions._steps(2_500)] == [1_000, 1_000, 500]


def test_a_table_has_medians_of_rounds_and_ratios_within_a_round() -> None:
    measured = Measured(
        samples=[
            *samples(OURS, 100, FIRST_PAGE, 20, 40, 30),
            *samples(SDK, 100, FIRST_PAGE, 10, 40, 10),
            *samples(OURS, 1_000, FIRST_PAGE, 120),
            *samples(OURS, 100, FIRST_RUNS, 9),
        ],
        slowest=[Slowest(system=OURS, level=100, question=FIRST_PAGE, p95=51.3)],
    )
    assert shown(measured, "lists") == {
        f"100, {FIRST_PAGE}": ["30.0 (20.0–40.0)", "51", "10.0 (10.0–40.0)", "2.00 (1.00–3.00)"],
        f"1,000, {FIRST_PAGE}": ["120", "–", "–", "–"],
    }
    assert shown(measured, "lists-runs") == {f"100, {FIRST_RUNS}": ["9.0", "–", "–", "–"]}


def test_the_goals_are_those_of_the_most_jobs_and_of_each_kind_of_page() -> None:
    measured = Measured(
        samples=[
            *samples(OURS, 100, ALL, 9_000),
            *samples(OURS, 10_000, ALL, 3_000, 4_000),
            *samples(OURS, 100, FIRST_PAGE, 30),
            *samples(OURS, 10_000, FIRST_PAGE, 151, 149),
            *samples(OURS, 10_000, LATER_PAGE, 30),
            *samples(OURS, 10_000, BY_PREFIX, 40),
            *samples(OURS, 10_000, OVERDUE, 3_000),
            *samples(SDK, 10_000, ALL, 9_000),
        ]
    )
    [all_jobs, page] = goals.of_lists(measured)
    assert all_jobs == ["10,000 jobs by get_jobs in at most 8 s", "3.5 (3.0–4.0)", "met"]
    assert page[1] == (
        "first page of 100 30; first page of 10,000 150 (149–151); page in the middle of 10,000 30; "
        "by prefix of 10,000 40; overdue of 10,000 3,000"
    )
    assert page[2] == (
        "met: first page of 100, page in the middle of 10,000, by prefix of 10,000; "
        "met in 1 of 2 rounds: first page of 10,000; not met: overdue of 10,000"
    )
