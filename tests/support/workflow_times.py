"""Times of BackupWorkflow, in seconds instead of minutes."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import partial

import pytest
from temporalio.worker import Worker
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

import workflows.engines


@contextmanager
def seconds(**times: float) -> Iterator[None]:
    """Let workers that are built meanwhile run BackupWorkflow with other times than its own, which are minutes.

    Temporal's time-skipping server does not skip while an activity waits for a worker.
    """
    # Else each run would have a copy of the module, with its own times.
    restrictions = SandboxRestrictions.default.with_passthrough_modules("workflows.engines")
    built = partial(Worker, workflow_runner=SandboxedWorkflowRunner(restrictions=restrictions))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("worker.Worker", built)
        for name, time in times.items():
            patch.setattr(workflows.engines, name, timedelta(seconds=time))
        yield
