from lab.bench.figures import Spread, percentile, ratio
from lab.bench.plan import rotated


def test_percentiles_are_values_that_were_measured() -> None:
    values = [5.0, 1.0, 4.0, 2.0, 3.0]
    assert [percentile(values, share) for share in (0.5, 0.95, 0.99)] == [3, 5, 5]
    assert percentile([1.0], 0.5) == 1
    assert percentile([float(value) for value in range(1, 101)], 0.95) == 95


def test_a_spread_shows_its_median_and_its_ends() -> None:
    assert Spread.of([3, 1, 2]).text(0) == "2 (1–3)"
    assert Spread.of([1234.5]).text() == "1,234.5"


def test_ratios_are_taken_round_by_round() -> None:
    against = ratio({0: 10, 1: 40, 2: 5}, {0: 5, 1: 10})
    assert against is not None
    assert (against.low, against.high, against.rounds) == (2, 4, 2)
    assert ratio({0: 1}, {1: 1}) is None


def test_each_round_begins_with_another_one() -> None:
    assert [rotated([1, 2, 3], number)[0] for number in range(4)] == [1, 2, 3, 1]
