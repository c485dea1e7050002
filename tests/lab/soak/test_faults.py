"""The steps of a soak: each fault has its turn, and a seed repeats them."""

from collections import Counter
from itertools import islice
from random import Random

import pytest

from lab.soak.faults import BROKER_HEARTBEAT, Kind, Step, splits, steps, upgrades
from lab.soak.sites import CLUSTER, CLUSTER_OF_MACHINES, DEVELOPMENT
from workflows.engines import HEARTBEAT_TIMEOUT, RESTIC_RETRIES

ROUND = 20
CLUSTER_ROUND = 29
SEEDS = range(20)


def drawn(seed: int, count: int = ROUND) -> list[Step]:
    return list(islice(steps(Random(seed)), count))


def test_a_seed_repeats_the_steps() -> None:
    assert drawn(1, 100) == drawn(1, 100) != drawn(2, 100)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_first_steps_kill_each_part_freeze_one_and_cut_one_off(seed: int) -> None:
    first = [fault for step in drawn(seed, 6) for fault in step.faults]
    assert len(first) == 6
    assert {fault.part for fault in first if fault.is_kill} == set(DEVELOPMENT.parts)
    assert [fault.kind for fault in first if not fault.is_kill].count(Kind.FREEZE) == 1
    assert sum(fault.seconds for fault in first) < HEARTBEAT_TIMEOUT.total_seconds()


@pytest.mark.parametrize("seed", SEEDS)
def test_each_round_has_every_fault(seed: int) -> None:
    for start in (0, ROUND):
        made = drawn(seed, start + ROUND)[start:]
        single = [step.faults[0] for step in made if len(step.faults) == 1 and not step.amid]
        assert Counter(fault.part for fault in single if fault.is_kill) == dict.fromkeys(DEVELOPMENT.parts, 2)
        assert Counter(fault.part for fault in single if fault.kind is Kind.FREEZE) == dict.fromkeys(
            DEVELOPMENT.parts, 1
        )
        assert {fault.where for fault in single if fault.kind is Kind.CUT} == set(DEVELOPMENT.links)
        assert any(fault.kind is Kind.CUT and fault.seconds > 3 * BROKER_HEARTBEAT for fault in single)
        pairs = [{fault.part for fault in step.faults} for step in made if len(step.faults) == 2]
        assert [len(parts) for parts in pairs] == [2, 2]


@pytest.mark.parametrize("seed", SEEDS)
def test_each_round_outlasts_an_attempt_at_a_backup_by_an_outage_and_by_a_partition(seed: int) -> None:
    lost = HEARTBEAT_TIMEOUT + RESTIC_RETRIES.initial_interval
    amid = {step.faults[0].where: step for step in drawn(seed) if step.amid}
    assert set(amid) == {"temporal", "worker-2|temporal"}
    assert all(step.faults[0].seconds >= lost.total_seconds() for step in amid.values())
    assert amid["worker-2|temporal"].amid == "worker-2"


def test_both_processes_of_a_part_are_struck() -> None:
    struck = {fault.where for step in drawn(1, 200) for fault in step.faults if fault.kind is not Kind.CUT}
    assert struck == {"rpc", "rpc-2", "worker", "worker-2", "temporal", "rabbitmq"}


@pytest.mark.parametrize("seed", SEEDS)
def test_a_round_on_a_cluster_has_every_fault_of_it(seed: int) -> None:
    made = list(islice(steps(Random(seed), CLUSTER), CLUSTER_ROUND))
    single = [step.faults[0] for step in made if len(step.faults) == 1 and not step.amid]
    assert Counter(fault.part for fault in single if fault.is_kill) == dict.fromkeys(CLUSTER.parts, 2)
    assert {fault.where for fault in single if fault.kind is Kind.CUT} == set(CLUSTER.links)
    assert max(fault.seconds for fault in single if fault.where == "postgresql") == 60
    whole = [{fault.where for fault in step.faults} for step in made if len(step.faults) == 3]
    assert all(set(CLUSTER.processes[part]) in whole for part in ("temporal", "rabbitmq"))
    assert {fault.kind for step in made for fault in step.faults if fault.where == "postgresql"} == {
        Kind.KILL,
        Kind.FREEZE,
    }


@pytest.mark.parametrize("seed", SEEDS)
def test_the_first_steps_on_machines_cut_each_way_of_a_process(seed: int) -> None:
    first = list(islice(steps(Random(seed), CLUSTER_OF_MACHINES), 9))
    cut = [fault for step in first for fault in step.faults if fault.kind is Kind.CUT]
    assert {fault.where for fault in cut} == set(CLUSTER.links)
    assert all(20 <= fault.seconds <= 40 for fault in cut)
    assert not any(step.splits for step in islice(steps(Random(seed), CLUSTER_OF_MACHINES), 100))


def test_a_split_cuts_each_node_off_from_the_other_ones_and_one_from_everything() -> None:
    made = splits(CLUSTER_OF_MACHINES)
    nodes = [f"temporal-{number}|temporal" for number in (1, 2, 3)]
    assert [step.faults[0].where for step in made] == [*nodes, "temporal-1|all"]
    assert all(step.splits for step in made)
    assert not splits(CLUSTER)


def test_an_upgrade_replaces_every_process_of_temporal_and_of_this_project() -> None:
    struck = [fault.where for step in upgrades(CLUSTER_OF_MACHINES) for fault in step.faults]
    assert struck == [name for part in ("temporal", "rpc", "worker") for name in CLUSTER.processes[part]]


def test_all_nodes_of_a_cluster_are_struck() -> None:
    struck = {fault.where for step in islice(steps(Random(1), CLUSTER), 200) for fault in step.faults}
    assert struck == {*CLUSTER.links, *(name for names in CLUSTER.processes.values() for name in names)}
