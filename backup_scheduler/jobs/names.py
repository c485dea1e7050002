"""The names by which the parts find each other, and the functions that make ids."""

import hashlib
import shlex
from typing import Final

from temporalio.common import SearchAttributeKey

SERVICE: Final = "scheduler"
"""Name of the nameko service: callers depend on it (contract)."""

BACKUP_WORKFLOW: Final = "BackupWorkflow"
"""Workflow type that a job's schedule starts; the RPC side knows the worker side by this name alone."""

SYSTEM_WORKFLOW: Final = "LookAfterJobsWorkflow"
SYSTEM_SCHEDULE: Final = "system-look-after-jobs"
"""The system schedule that moves jobs back to their start_time after a clock change and reports runs that Temporal
dropped, and the workflow that does it."""

_RESERVED: Final = "temporal-sys-"
"""Temporal's own schedules and workflows begin so."""

REPOSITORY_WORKFLOW: Final = "MakeRepositoryWorkflow"
"""Workflow type that makes a repository, which workers of several machines may want at once."""

SCHEDULER_ID: Final = SearchAttributeKey.for_keyword("BackupSchedulerId")
POLICY_NAME: Final = SearchAttributeKey.for_keyword("BackupPolicyName")
OUTCOME: Final = SearchAttributeKey.for_keyword("BackupOutcome")
SEARCH_ATTRIBUTES: Final = (SCHEDULER_ID, POLICY_NAME, OUTCOME)
"""Must be registered in the namespace before the first schedule is made (`temporal.register_search_attributes`)."""

_LONGEST = 200
"""Bytes of UTF-8. SQL stores keep ids in VARCHAR(255) and Temporal adds up to 21 bytes (the nominal time) to them."""


def bounded(name: str) -> str:
    """Return the name itself, or, when it is too long for Temporal's stores, its beginning and a digest.

    Names of the contract may have 200 characters of up to 4 bytes each.
    """
    encoded = name.encode()
    if len(encoded) <= _LONGEST:
        return name
    digest = hashlib.sha256(encoded).hexdigest()[:32]
    return f"{encoded[: _LONGEST - len(digest) - 1].decode(errors='ignore')}~{digest}"


def schedule_id(scheduler_id: str) -> str:
    """Return the Temporal schedule id of a job: the scheduler_id itself, so that people find it with the CLI."""
    return bounded(scheduler_id)


def is_reserved(scheduler_id: str) -> bool:
    """Tell whether a job with this id would get in the way of a schedule of the system's own."""
    return scheduler_id == SYSTEM_SCHEDULE or scheduler_id.startswith(_RESERVED)


def workflow_id(scheduler_id: str) -> str:
    """Return the workflow id of a job's action; Temporal appends the nominal time of each run.

    It is unique per job, because two schedules with one action id lose runs that fall on the same time (Temporal fact).
    """
    return f"backup-{bounded(scheduler_id)}"


def housekeeping_queue(task_queue: str) -> str:
    """Return the task queue of passes over all jobs, on which no backup takes a place."""
    return f"{task_queue}-housekeeping"


def repository_workflow_id(digest: str) -> str:
    """Return the id of the one workflow that makes a repository, from a digest of the repository's location."""
    return f"make-repository-{digest}"


def trigger_command(scheduler_id: str) -> str:
    """Return the command by which people run a job now; without the overlap policy a run under way would swallow it."""
    return f"temporal schedule trigger --overlap-policy BufferAll -s {shlex.quote(schedule_id(scheduler_id))}"
