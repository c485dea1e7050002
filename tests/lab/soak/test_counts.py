"""The faults of a soak are counted by part, with what they disturbed."""

from pathlib import Path

from lab.soak.counts import part_figures
from lab.soak.faults import Fault, Kind, Step
from lab.soak.outages import Outage
from lab.soak.rpc import CallLog
from lab.soak.sites import DEVELOPMENT

OUTAGES = [
    Outage(Step((Fault(Kind.KILL, "rpc"),)), at=100, over=100, recovered=104),
    Outage(Step((Fault(Kind.TERMINATE, "rpc-2"),)), at=120, over=121, recovered=127),
    Outage(Step((Fault(Kind.CUT, "rpc-2|temporal", 9),)), at=140, over=149, recovered=150),
    Outage(Step((Fault(Kind.FREEZE, "worker", 9), Fault(Kind.KILL, "temporal"))), at=160, over=169, given_up=289),
]
RESTARTS = {"rpc": 1, "rpc-2": 1, "worker": 0, "worker-2": 2, "temporal": 1, "rabbitmq": 0}


def test_faults_of_both_processes_of_a_part_are_counted(tmp_path: Path) -> None:
    log = CallLog(tmp_path / "calls.jsonl", spans=[(99.0, 101.0), (110.0, 111.0), (149.0, 151.0)])
    parts = part_figures(DEVELOPMENT, OUTAGES, RESTARTS, log, [])
    rpc = parts["rpc"]
    assert (rpc.killed, rpc.terminated, rpc.frozen, rpc.cut_off) == (1, 1, 0, 1)
    assert (rpc.longest_recovery, rpc.not_recovered, rpc.calls, rpc.ended_by_itself) == (7, 0, 2, 0)


def test_two_faults_at_once_count_for_both_parts(tmp_path: Path) -> None:
    parts = part_figures(DEVELOPMENT, OUTAGES, RESTARTS, CallLog(tmp_path / "calls.jsonl"), [])
    assert (parts["worker"].frozen, parts["worker"].not_recovered) == (1, 1)
    assert (parts["temporal"].killed, parts["temporal"].not_recovered) == (1, 1)


def test_ends_without_a_kill_are_counted(tmp_path: Path) -> None:
    parts = part_figures(DEVELOPMENT, OUTAGES, RESTARTS, CallLog(tmp_path / "calls.jsonl"), [])
    assert parts["worker"].ended_by_itself == 2
    assert part_figures(DEVELOPMENT, OUTAGES, {}, CallLog(tmp_path / "calls.jsonl"), [])["worker"].ended_by_itself == 0
