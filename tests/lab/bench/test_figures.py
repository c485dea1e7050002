import pytest

from lab.bench.figures import (
    Spread,
    TooFewSamples,
    percentile,
    percentile_or_none,
    ratios,
    samples_for,
    spread_text,
    total,
)


def test_percentiles_are_values_that_were_measured() -> None:
    values = [float(value) for value in range(1000, 0, -1)]
    assert [percentile(values, share) for share in (0.5, 0.95, 0.99)] == [500, 950, 990]
    assert percentile(values[:21], 0.5) == 990


def test_a_percentile_needs_ten_values_above_it() -> None:
    assert [samples_for(share) for share in (0.5, 0.95, 0.99)] == [20, 200, 1000]


@pytest.mark.parametrize(("count", "share"), [(0, 0.5), (19, 0.5), (15, 0.99), (199, 0.95), (999, 0.99)])
def test_a_percentile_of_too_few_samples_is_refused(count: int, share: float) -> None:
    with pytest.raises(TooFewSamples):
        percentile([1.0] * count, share)
    assert percentile_or_none([1.0] * count, share) is None
    assert percentile([1.0] * samples_for(share), share) == 1


def test_a_spread_shows_its_median_and_its_ends() -> None:
    assert Spread.of([3, 1, 2]).text(0) == "2 (1–3)"
    assert Spread.of([1234.5]).text() == "1,234.5"
    assert spread_text([2.0, 4.0, 9.0], 1) == "4.0 (2.0–9.0)"


def test_a_figure_that_was_not_measured_is_not_shown_as_zero() -> None:
    assert spread_text([], 1) == "–"
    assert total([]) == total([None, None]) == "–"
    assert total([0, None]) == "0"
    assert total([1000, 2]) == "1,002"


def test_ratios_are_taken_round_by_round() -> None:
    assert ratios({0: 10, 1: 40, 2: 5}, {0: 5, 1: 10, 3: 1}) == {0: 2, 1: 4}
    assert ratios({0: 1}, {1: 1}) == {}
    assert ratios({0: 1}, {0: 0}) == {}
