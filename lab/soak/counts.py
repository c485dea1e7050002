"""Kills and calls of a soak, counted."""

from collections import Counter

from backup_scheduler.contract.methods import GET, GET_ALL
from devstack.running import StackInfo
from lab.soak.figures import CallFigures, PartFigures
from lab.soak.killer import PARTS, Kill
from lab.soak.rpc import CallLog
from lab.soak.timed import TimedSchedule


def part_figures(
    all_kills: list[Kill], info: StackInfo | None, log: CallLog, timed: list[TimedSchedule]
) -> dict[str, PartFigures]:
    """Count the kills of each part, and the calls and runs that they disturbed."""
    parts = {}
    due = [(time.timestamp(), time.timestamp()) for each in timed for time in each.times()]
    for name in PARTS:
        kills = [kill for kill in all_kills if kill.part == name]
        signals = Counter(kill.signal for kill in kills)
        restarts = info.restarts[name] if info else len(kills)
        parts[name] = PartFigures(
            killed=signals["SIGKILL"],
            terminated=signals["SIGTERM"],
            longest_recovery=max((kill.seconds for kill in kills if kill.seconds is not None), default=None),
            not_recovered=sum(kill.seconds is None for kill in kills),
            calls=sum(kill.meanwhile(log.spans) for kill in kills),
            runs=sum(kill.meanwhile(due) for kill in kills),
            ended_by_itself=restarts - len(kills),
        )
    return parts


def call_figures(log: CallLog) -> CallFigures:
    """Count the calls of all callers."""
    return CallFigures(
        made=log.by_method.total(),
        changing=sum(number for method, number in log.by_method.items() if method not in (GET, GET_ALL)),
        answered={str(code): number for code, number in log.answered.items()},
        unanswered=dict(log.unanswered),
        longest={str(code): seconds for code, seconds in log.longest.items()},
        untrue=log.faults,
        undisturbed=log.undisturbed,
        undisturbed_without_result=log.undisturbed_without_result,
    )
