"""Comparisons of what was there with what had to be there: pure, so that each can be tried with a fault."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations, groupby

from lab.soak.figures import Tally
from lab.soak.repository import Snapshot
from lab.soak.runs import BACKUP, Run, Wanted, by_schedule
from lab.soak.target import PLACE, Request

Spans = Sequence[tuple[float, float]]
"""Beginnings and ends, of the epoch."""

Removals = Mapping[str, Spans]
"""The calls that removed a job, or may have."""

_TASK = 10
"""Seconds after which a server tries again what it was doing for a schedule when it was killed."""

_TAKEN_UP = 60
"""Seconds after a server is back within which it does so, on a loaded machine."""


def runs_tally(runs: Iterable[Run], wanted: Mapping[str, Wanted], outages: Spans) -> Tally:
    """Every run that is certain is there, none is there twice, there are no others, and each ended as it has to.

    `runs` are all runs of the schedules of which `wanted` are the runs by workflow id. `outages` are those of Temporal.
    """
    found = list(runs)
    there = Counter(run.workflow_id for run in found)
    certain = {workflow_id for workflow_id, each in wanted.items() if each.certain}
    tally = Tally(certain=len(certain), open=len(wanted) - len(certain))
    tally.open_found = len(there.keys() & (wanted.keys() - certain))
    tally.lost += sorted(certain - there.keys())
    for run in sorted(found, key=lambda run: run.start):
        if (each := wanted.get(run.workflow_id)) is None or each.schedule != run.schedule:
            tally.doubled.append(f"{run.key} is a run of {run.schedule} that nobody asked for")
        if fault := run.fault(each.end if each else None):
            tally.wrong.append(fault)
    for id_, number in sorted(there.items()):
        if number > 1:
            of_server = started_twice_by_server([run for run in found if run.workflow_id == id_], outages)
            (tally.doubled_by_server if of_server else tally.doubled).append(f"{id_} has {number} runs")
    return tally


def started_twice_by_server(runs: Sequence[Run], outages: Spans) -> bool:
    """Whether a killed server may have started these runs of one id, as it can do without any fault of the product.

    It was killed as it had started the first one and not yet noted that. When it was back it started the second one,
    because the first one had ended (docs/temporal-facts.md#a-killed-server-can-start-a-run-twice).
    """
    if len(runs) != 2:
        return False
    first, second = sorted(runs, key=lambda run: run.start)
    return any(
        began - _TASK <= first.start.timestamp() <= ended
        and began <= second.start.timestamp() <= ended + _TAKEN_UP
        and first.close is not None
        and first.close <= second.start
        for began, ended in outages
    )


def strays(runs: Iterable[Run], schedules: set[str]) -> list[str]:
    """Return the runs that none of the known schedules started, and everything else that ran."""
    return [
        f"{run.kind} {run.key} of the schedule {run.schedule} is a run that nobody asked for"
        for run in runs
        if run.kind != BACKUP or run.schedule not in schedules
    ]


def at_once(runs: Iterable[Run], removals: Removals, splits: Spans = ()) -> list[str]:
    """Return the pairs of runs of one job that went on at the same time, without those of `forgotten`.

    A job that was removed leaves its run to finish, and one that is added under its id is another job
    (docs/api.md#remove_job).
    """
    return [_at_once(*pair) for pair in _pairs(runs, removals) if not _in_split(pair[0], splits)]


def forgotten(runs: Iterable[Run], removals: Removals, splits: Spans) -> list[str]:
    """Return those pairs of which the first run was under way while a node of Temporal was cut off from the other ones.

    Temporal can forget such a run (docs/temporal-facts.md#a-node-that-is-cut-off-shows-the-past).
    """
    return [_at_once(*pair) for pair in _pairs(runs, removals) if _in_split(pair[0], splits)]


def _at_once(one: Run, later: Run) -> str:
    return f"{one.key} and {later.key} went on at once"


def _pairs(runs: Iterable[Run], removals: Removals) -> list[tuple[Run, Run]]:
    pairs = []
    for schedule, its_runs in by_schedule(runs).items():
        ordered = sorted(its_runs, key=lambda run: run.start)
        pairs += [
            (one, later)
            for one, later in combinations(ordered, 2)
            if one.close is None or one.close > later.start
            if not _removed(removals.get(schedule or "", []), one, later)
        ]
    return pairs


def _in_split(run: Run, splits: Spans) -> bool:
    return any(
        run.start.timestamp() <= ended and (run.close is None or run.close.timestamp() >= began)
        for began, ended in splits
    )


def _removed(removals: Spans, one: Run, next_: Run) -> bool:
    """Whether the job may have been removed between the starts of two runs."""
    return any(one.start.timestamp() <= ended and began <= next_.start.timestamp() for began, ended in removals)


def requests_tally(runs: Iterable[Run], wanted: Mapping[str, Wanted], requests: Iterable[Request]) -> Tally:
    """Every run of an http job reached the target under its own key, with the fields of its job, and nothing else did.

    `wanted` has the runs of all jobs, `runs` those of http jobs.
    """
    keys = {run.key: run.workflow_id for run in runs}
    tally = Tally(certain=len(keys))
    done = set()
    ordered = sorted(requests, key=lambda request: request.key)
    for key, group in groupby(ordered, key=lambda request: request.key):
        made = list(group)
        if any(request.succeeded for request in made):
            done.add(key)
        if key not in keys:
            tally.doubled.append(f"{key}: {len(made)} requests for a backup that nobody asked for")
            continue
        tally.wrong += [f"{key}: {place}" for place in sorted({request.place for request in made} - {PLACE})]
        if (each := wanted.get(keys[key])) is not None:
            for form in sorted({request.form for request in made} - each.forms):
                tally.wrong.append(f"{key}: the fields {dict(form)}, not {_any_of(each)}")
    tally.lost += [f"{key}: closed, but the target never made its backup" for key in sorted(keys.keys() - done)]
    return tally


def _any_of(wanted: Wanted) -> str:
    return " or ".join(str(dict(form)) for form in sorted(wanted.forms))


def repeated(requests: Iterable[Request]) -> int:
    """Return the number of backups that the target made again under the same Idempotency-Key."""
    made = Counter(request.key for request in requests if request.succeeded)
    return made.total() - len(made)


def snapshots_tally(runs: Iterable[Run], snapshots: Sequence[Snapshot]) -> Tally:
    """Every run of a restic job left exactly one snapshot, which names its job; there are no others.

    `runs` are those of restic jobs. One that was cancelled may have made its snapshot before.
    """
    ended = list(runs)
    schedules = {run.key: run.schedule for run in ended}
    certain = {run.key for run in ended if not run.is_cancelled}
    found = Counter(snapshot.run for snapshot in snapshots)
    tally = Tally(certain=len(certain), open=len(ended) - len(certain), lost=sorted(certain - found.keys()))
    tally.open_found = len((schedules.keys() - certain) & found.keys())
    tally.doubled += [f"{key} has {number} snapshots" for key, number in sorted(found.items()) if number > 1]
    for snapshot in snapshots:
        if snapshot.run not in schedules:
            tally.doubled.append(f"{snapshot.id} of {snapshot.run} is a snapshot that nobody asked for")
        elif snapshot.job != schedules[snapshot.run]:
            tally.wrong.append(f"{snapshot.id} of {snapshot.run} names the job {snapshot.job}")
    return tally


def slowest(runs: Iterable[Run]) -> float:
    """Return the longest time from a run's nominal time to its end, in seconds."""
    return max((run.seconds for run in runs if run.seconds is not None), default=0.0)


def unsettled(runs: Sequence[Run], wanted: Mapping[str, Wanted]) -> list[str]:
    """Return the runs that are under way, and the certain ones that are missing."""
    there = {run.workflow_id for run in runs}
    missing = [workflow_id for workflow_id, each in wanted.items() if each.certain and workflow_id not in there]
    return [run.workflow_id for run in runs if run.is_open] + missing
