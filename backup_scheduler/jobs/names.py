"""The names by which the parts find each other in Temporal, and the functions that make ids."""

import hashlib
import re
import shlex
from datetime import UTC, datetime
from typing import Final

from temporalio.common import SearchAttributeKey

BACKUP_WORKFLOW: Final = "BackupWorkflow"
"""Workflow type that a job's schedule starts; the RPC side knows the worker side by this name alone."""

REPORT_UPDATE: Final = "report"
"""Update of a run by which the backup service reports of it."""

SYSTEM_WORKFLOW: Final = "LookAfterJobsWorkflow"
SYSTEM_SCHEDULE: Final = "system-look-after-jobs"
"""The system schedule and its workflow, which moves jobs back to their start_time after a clock change and reports runs
that Temporal dropped."""

_RESERVED: Final = "temporal-sys-"
"""Prefix of Temporal's own schedules and workflows."""

REPOSITORY_WORKFLOW: Final = "MakeRepositoryWorkflow"
"""Workflow type that makes a repository; workers of several machines may want the same one at once."""

RESUME_WORKFLOW: Final = "ResumeJobsWorkflow"
"""Workflow type that waits for the end of a pause; the RPC side knows it by this name alone."""

SCHEDULER_ID: Final = SearchAttributeKey.for_keyword("BackupSchedulerId")
POLICY_NAME: Final = SearchAttributeKey.for_keyword("BackupPolicyName")
OUTCOME: Final = SearchAttributeKey.for_keyword("BackupOutcome")
TERMS: Final = SearchAttributeKey.for_keyword("BackupTerms")
SEARCH_ATTRIBUTES: Final = (SCHEDULER_ID, POLICY_NAME, OUTCOME, TERMS)
"""They must be registered in the namespace before the first schedule is made (temporal/namespace.py)."""

_ACTION: Final = "backup-"
_NOMINAL: Final = "%Y-%m-%dT%H:%M:%SZ"
_RUN_ID: Final = re.compile(rf"{_ACTION}(.+)-(\d{{4}}-\d\d-\d\dT\d\d:\d\d:\d\dZ)", re.DOTALL)

_HOUSEKEEPING = "-housekeeping"

_LONGEST = 200
"""Bytes of UTF-8. SQL stores keep ids in VARCHAR(255), and Temporal adds up to 21 bytes, the nominal time
(docs/temporal-facts.md#ids-have-255-bytes)."""

_DIGEST = 32
_CUT: Final = re.compile(rf"~[0-9a-f]{{{_DIGEST}}}\Z")


def bounded(name: str) -> str:
    """Return a name that fits into Temporal's stores: the name itself, or its beginning and a digest.

    A scheduler_id and a policy_name may have 200 characters of up to 4 bytes each.
    """
    encoded = name.encode()
    if len(encoded) <= _LONGEST:
        return name
    digest = hashlib.sha256(encoded).hexdigest()[:_DIGEST]
    return f"{encoded[: _LONGEST - len(digest) - 1].decode(errors='ignore')}~{digest}"


def may_be_bounded(name: str) -> bool:
    """Return whether a name looks like one that `bounded` made of a longer one."""
    cut = range(_LONGEST - 3, _LONGEST + 1)  # perhaps in front of a character of 4 bytes
    return len(name.encode()) in cut and _CUT.search(name) is not None


def sure_beginning(prefix: str) -> str:
    """Return as much of a beginning as all bounded names have whose whole names begin with it."""
    kept = _LONGEST - _DIGEST - 1 - 3  # a bounded name may end in the middle of a character of 4 bytes
    return prefix.encode()[:kept].decode(errors="ignore")


def schedule_id(scheduler_id: str) -> str:
    """Return the id of a job's schedule: the scheduler_id, bounded. So people find it with the CLI."""
    return bounded(scheduler_id)


def is_reserved(scheduler_id: str) -> bool:
    """Return whether the id belongs to the system schedule or to a schedule of Temporal's own."""
    return scheduler_id == SYSTEM_SCHEDULE or scheduler_id.startswith(_RESERVED)


def workflow_id(scheduler_id: str) -> str:
    """Return the workflow id of a job's action; Temporal appends the nominal time of each run.

    It is unique for each job: two schedules with one action id lose runs that fall on the same time
    (docs/temporal-facts.md#action-ids-are-unique).
    """
    return f"{_ACTION}{bounded(scheduler_id)}"


def run_id(schedule_id: str, nominal: datetime) -> str:
    """Return the id of the run with this nominal time: its workflow id, known before it starts."""
    return f"{_ACTION}{schedule_id}-{nominal:{_NOMINAL}}"


def named_run(run_id: str) -> tuple[str, datetime] | None:
    """Return the schedule id and the nominal time of a run; None if this is no id of a run."""
    found = _RUN_ID.fullmatch(run_id)
    if found is None:
        return None
    try:
        return found[1], datetime.strptime(found[2], _NOMINAL).replace(tzinfo=UTC)
    except ValueError:  # such as a 13th month
        return None


def housekeeping_queue(task_queue: str) -> str:
    """Return the task queue of passes over all jobs; no backup takes a place on it."""
    return f"{task_queue}{_HOUSEKEEPING}"


def runs_queue(housekeeping_queue: str) -> str:
    """Return the task queue of runs whose workers make the passes of a task queue."""
    return housekeeping_queue.removesuffix(_HOUSEKEEPING)


def repository_workflow_id(digest: str) -> str:
    """Return the id of the one workflow that makes a repository, from a digest of the repository's location."""
    return f"make-repository-{digest}"


def resume_workflow_id(pause_id: str) -> str:
    """Return the id of the workflow that waits for the end of a pause."""
    return f"resume-{pause_id}"


def trigger_command(scheduler_id: str) -> str:
    """Return the command by which people run a job now.

    Without the overlap policy, Temporal silently drops the trigger while a run goes on
    (docs/temporal-facts.md#triggers-skip-silently).
    """
    return f"temporal schedule trigger --overlap-policy BufferAll -s {shlex.quote(schedule_id(scheduler_id))}"
