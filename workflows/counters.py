"""Counters for Prometheus that workflows add to."""

from typing import Final

from temporalio import workflow
from temporalio.common import MetricMeter

with workflow.unsafe.imports_passed_through():
    from backup_scheduler.jobs import names
    from backup_scheduler.runs.results import Outcome

_RUNS: Final = ("backup_scheduler_runs", "Runs that ended, by outcome")
_FAILED_PASSES: Final = ("backup_scheduler_failed_passes", "Passes over all jobs that were given up")


def run_ended(outcome: Outcome) -> None:
    """Count a run."""
    workflow.metric_meter().create_counter(*_RUNS).add(1, {"outcome": outcome.value})


def pass_given_up() -> None:
    """Count a pass that no worker finished."""
    workflow.metric_meter().create_counter(*_FAILED_PASSES).add(1)


def begin_at_zero(meter: MetricMeter, namespace: str, task_queue: str) -> None:
    """Show the counters of a worker before anything is counted, with the attributes that workflows give them.

    An alert on `increase` does not see a series that begins at 1 (Prometheus documentation): the first failed run of a
    worker would be missed.
    """
    common = {"namespace": namespace, "task_queue": task_queue}
    runs = meter.create_counter(*_RUNS)
    for outcome in Outcome:
        runs.add(0, {**common, "workflow_type": names.BACKUP_WORKFLOW, "outcome": outcome.value})
    meter.create_counter(*_FAILED_PASSES).add(0, {**common, "workflow_type": names.SYSTEM_WORKFLOW})
