from lab.bench import burst, goals
from lab.bench.due_at_once import OURS, THREADS, Outcome, peer_with


def test_a_verdict_counts_the_rounds_of_each_figure() -> None:
    def verdict(**figures: list[float]) -> str:
        return goals.verdict(figures, lambda value: value <= 1)

    assert verdict(add=[1, 0.5], get=[0.9]) == "met"
    assert verdict(add=[2.0]) == "not met"
    assert verdict(add=[2, 1, 0.5], get=[1]) == "met in 2 of 3 rounds: add; met: get"
    assert verdict(add=[2], get=[1]) == "not met: add; met: get"
    assert verdict(add=[]) == "not measured"


def outcome(system: str, seconds: float, number: int = 0) -> Outcome:
    return Outcome(
        system=system,
        jobs=1000,
        round=number,
        last_done=seconds,
        lost=0,
        repeated=0,
        started_twice=None,
        curve=[seconds],
    )


def test_the_goal_of_a_burst_names_both_peers() -> None:
    few, many = map(peer_with, THREADS)
    outcomes = [outcome(OURS, 30), outcome(few, 102), outcome(many, 12), outcome(OURS, 40, 1), outcome(many, 12, 1)]
    [goal, _] = goals.of_bursts(burst.Measured(outcomes=outcomes), None)
    assert goal[1] == "peer, 10 threads 3.40; peer, 100 threads 0.35 (0.30–0.40)"
    assert goal[2] == "met: peer, 10 threads; not met: peer, 100 threads"
