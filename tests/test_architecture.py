"""Imports point inwards, and the public surface stays what callers rely on."""

import ast
import inspect
from pathlib import Path

import pytest

from backup_scheduler.contract.methods import SERVICE

ROOT = Path(__file__).parent.parent
PARTS = ("backup_scheduler", "workflows", "activities", "rpc_service", "worker", "devstack", "soak", "bench")
ALLOWED = {
    "backup_scheduler": set(),
    "activities": {"backup_scheduler"},
    "workflows": {"backup_scheduler", "activities"},
    "worker": {"backup_scheduler", "activities", "workflows"},
    "rpc_service": {"backup_scheduler"},
    "devstack": {"backup_scheduler"},
    "soak": {"backup_scheduler", "devstack"},
    "bench": {"backup_scheduler", "devstack"},
}
METHODS = {
    "add_scheduler_start_backup_job_by_interval",
    "modify_start_backup_job_by_interval",
    "pause_job",
    "resume_job",
    "remove_job",
    "get_job",
    "get_jobs",
}


def modules_of(part: str) -> list[Path]:
    return [ROOT / "worker.py"] if part == "worker" else sorted((ROOT / part).rglob("*.py"))


def imports_of(path: Path) -> set[str]:
    imported = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            imported |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add(node.module or "")
    return {name.split(".")[0] for name in imported}


@pytest.mark.parametrize("part", PARTS)
def test_imports_point_inwards(part: str) -> None:
    modules = modules_of(part)
    assert modules
    for module in modules:
        others = imports_of(module) & set(PARTS) - {part}
        assert others <= ALLOWED[part], f"{module.relative_to(ROOT)} imports {others - ALLOWED[part]}"


def test_the_middle_knows_neither_nameko_nor_eventlet() -> None:
    for module in modules_of("backup_scheduler"):
        assert not imports_of(module) & {"nameko", "eventlet", "kombu"}, module


def test_only_the_bridge_knows_both_eventlet_and_asyncio() -> None:
    both = [path.name for path in modules_of("rpc_service") if {"eventlet", "asyncio"} <= imports_of(path)]
    assert both == ["bridge.py"]


def test_callers_find_these_methods_and_no_others() -> None:
    from rpc_service.service import SchedulerService  # importing it loads eventlet

    methods = {
        name
        for name, method in inspect.getmembers(SchedulerService, inspect.isfunction)
        if hasattr(method, "nameko_entrypoints")
    }
    assert methods == METHODS
    assert SchedulerService.name == SERVICE == "scheduler"
