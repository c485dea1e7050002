"""Which files have mutants, and which tests have to kill them: the tests of the module, and no others."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

FOLDERS: Final = ("backup_scheduler", "activities", "workflows")
"""The middle and the engines."""

_MIDDLE: Final = ("tests/backup_scheduler", "tests/docs/test_statements.py")
_RPC: Final = "tests/rpc_service"
_RESTIC: Final = "tests/activities/restic"
_ATTEMPTS: Final = "tests/activities/test_attempts.py"
_PATHS: Final = "tests/activities/test_paths.py"


@dataclass(frozen=True)
class OwnTests:
    """The tests of a module."""

    quick: tuple[str, ...]
    """Files and folders; of these run the tests that start no program."""
    slow: tuple[str, ...] = ()
    """Files and folders; of these run the others, for a mutant that is still alive."""


def _restic(*subjects: str) -> tuple[str, ...]:
    return tuple(f"{_RESTIC}/test_{subject}.py" for subject in subjects)


_OWN: Final = {
    "backup_scheduler": OwnTests(_MIDDLE, ("tests/backup_scheduler",)),
    "backup_scheduler/contract": OwnTests(
        (*_MIDDLE, f"{_RPC}/test_replies.py"), (f"{_RPC}/test_bad_calls.py", f"{_RPC}/test_methods.py")
    ),
    "backup_scheduler/jobs": OwnTests(_MIDDLE, (f"{_RPC}/test_methods.py", f"{_RPC}/test_broken_jobs.py")),
    "backup_scheduler/masking.py": OwnTests(
        _MIDDLE, ("tests/backup_scheduler/test_masking.py", "tests/test_secrets.py")
    ),
    "backup_scheduler/runs": OwnTests((*_MIDDLE, "tests/activities/http", "tests/workflows")),
    "backup_scheduler/temporal": OwnTests(
        _MIDDLE,
        tuple(f"{_RPC}/test_{each}.py" for each in ("methods", "gateway", "delivered_again", "namespaces", "previews")),
    ),
    "backup_scheduler/temporal/client.py": OwnTests(_MIDDLE, ("tests/worker/test_process.py",)),
    "activities": OwnTests((_ATTEMPTS, "tests/activities/http"), (f"{_RESTIC}/test_backup.py",)),
    "activities/all_jobs.py": OwnTests(("tests/activities/test_all_jobs.py",), ("tests/activities/test_all_jobs.py",)),
    "activities/mask_answers.py": OwnTests((_ATTEMPTS,), ("tests/test_secrets.py",)),
    "activities/attempts.py": OwnTests(
        (_ATTEMPTS, "tests/activities/http"),
        ("tests/workflows/test_backup.py", f"{_RESTIC}/test_given_up.py", f"{_RESTIC}/test_backup.py"),
    ),
    "activities/paths.py": OwnTests((_PATHS, f"{_RESTIC}/test_checks.py"), (_PATHS,)),
    "activities/policy_lookup.py": OwnTests((_ATTEMPTS,), ("tests/workflows/test_backup.py",)),
    "activities/previous_run.py": OwnTests((_ATTEMPTS,), ("tests/workflows/test_waiting_runs.py",)),
    "activities/http": OwnTests(
        ("tests/activities/http",),
        ("tests/activities/http", "tests/activities/test_odd_texts.py", "tests/workflows/test_backup.py"),
    ),
    "activities/restic": OwnTests((_RESTIC,), _restic("backup", "locks", "previous", "sources", "faults")),
    "activities/restic/aftermath.py": OwnTests((_RESTIC,), _restic("locks")),
    "activities/restic/commands.py": OwnTests((_RESTIC,), _restic("commands", "backup", "locks")),
    "activities/restic/locations.py": OwnTests((_RESTIC,), _restic("locations", "repositories")),
    "activities/restic/minder.py": OwnTests((_RESTIC,), _restic("backup", "locks")),
    "activities/restic/processes.py": OwnTests((_RESTIC,), _restic("processes", "locks")),
    "activities/restic/repositories.py": OwnTests((_RESTIC,), _restic("making", "repositories", "backup")),
    "activities/restic/session.py": OwnTests((_RESTIC,), _restic("given_up", "locks", "faults", "backup")),
    "activities/restic/sources.py": OwnTests((_RESTIC,), _restic("sources", "locations")),
    "workflows": OwnTests(("tests/workflows",), ("tests/workflows",)),
    "workflows/all_jobs.py": OwnTests(("tests/workflows",), ("tests/activities/test_all_jobs.py",)),
    "workflows/make_repository.py": OwnTests(("tests/workflows",), (f"{_RESTIC}/test_repositories.py",)),
}


def own_tests(file: str) -> OwnTests:
    """Return the tests of a module: those of its file, else of the folder that is nearest."""
    return _OWN[max((place for place in _OWN if file == place or file.startswith(f"{place}/")), key=len)]


def options(*, quick: bool) -> Sequence[str]:
    """Return pytest's options for quick tests, or for the others."""
    return ("--no-programs", "--timeout=60") if quick else ("--only-programs", "--timeout=120")
