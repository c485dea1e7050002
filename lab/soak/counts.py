"""Faults and calls of a soak, counted."""

from collections import Counter
from collections.abc import Mapping
from typing import Final

from backup_scheduler.contract.methods import (
    CHECK,
    GET,
    GET_ALL,
    GET_RUN,
    GET_RUNS,
    LIST,
    METHODS,
    PREVIEW,
)
from lab.soak.faults import Kind
from lab.soak.figures import CallFigures, PartFigures
from lab.soak.outages import Outage
from lab.soak.rpc import CallLog
from lab.soak.sites import Site, part_of
from lab.soak.timed import TimedSchedule

_READING: Final = (GET, GET_ALL, GET_RUN, GET_RUNS, LIST, PREVIEW, CHECK)


def part_figures(
    site: Site, outages: list[Outage], restarts: Mapping[str, int], log: CallLog, timed: list[TimedSchedule]
) -> dict[str, PartFigures]:
    """Count the faults of each part, and the calls and runs that they disturbed.

    `restarts` says how often each process was started again; empty when nobody knows.
    """
    parts = {}
    due = [(time.timestamp(), time.timestamp()) for each in timed for time in each.times()]
    for name in site.parts:
        its = [outage for outage in outages if any(fault.part == name for fault in outage.step.faults)]
        faults = [fault for outage in its for fault in outage.step.faults if fault.part == name]
        kinds = Counter(fault.kind for fault in faults)
        started = sum(number for process, number in restarts.items() if part_of(process) == name)
        killed = sum(fault.is_kill for fault in faults)
        parts[name] = PartFigures(
            killed=kinds[Kind.KILL],
            terminated=kinds[Kind.TERMINATE] + kinds[Kind.UPGRADE],
            frozen=kinds[Kind.FREEZE],
            cut_off=kinds[Kind.CUT],
            longest_recovery=max((outage.seconds for outage in its if outage.seconds is not None), default=None),
            not_recovered=sum(outage.seconds is None for outage in its),
            calls=sum(outage.meanwhile(log.spans) for outage in its),
            runs=sum(outage.meanwhile(due) for outage in its),
            ended_by_itself=started - killed if restarts else 0,
        )
    return parts


def call_figures(log: CallLog) -> CallFigures:
    """Count the calls of all callers."""
    return CallFigures(
        made=log.by_method.total(),
        changing=sum(number for method, number in log.by_method.items() if method not in _READING),
        answered={str(code): number for code, number in log.answered.items()},
        by_method={method: (log.by_method[method], log.succeeded[method]) for method in METHODS},
        unanswered=dict(log.unanswered),
        longest={str(code): seconds for code, seconds in log.longest.items()},
        untrue=log.faults,
        past=log.past,
        undisturbed=log.undisturbed,
        undisturbed_without_result=log.undisturbed_without_result,
    )
