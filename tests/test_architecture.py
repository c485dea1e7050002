"""Imports point inwards, no file outgrows its subject, and the public surface stays as callers know it."""

import ast
import inspect
from pathlib import Path
from typing import get_args

import pytest

from backup_scheduler.contract.methods import METHODS, SERVICE
from backup_scheduler.policies.file import ListedPolicy
from lab.parts.places import ROOT
from workflows.engines import ENGINES

LONGEST_FILE = 300
PARTS = {
    "backup_scheduler": set(),
    "activities": {"backup_scheduler"},
    "workflows": {"backup_scheduler", "activities"},
    "worker": {"backup_scheduler", "activities", "workflows"},
    "rpc_service": {"backup_scheduler"},
    "backupctl": {"backup_scheduler"},
    "devstack": {"backup_scheduler"},
    "lab": {"backup_scheduler", "devstack"},
    "tests": {"backup_scheduler", "activities", "workflows", "worker", "rpc_service", "backupctl", "devstack", "lab"},
}
"""Each part, and the parts that it may import."""

TEXTS = {"masking", "texts"}
FAMILIES = {
    "texts": set(),
    "masking": {"texts"},
    "host_zone": {"contract"},
    "broker_uri": set(),
    "settings": {"contract", "host_zone", "broker_uri"},
    "logs": {"settings"},
    "contract": set(),
    "jobs": {"contract"},
    "runs": {"contract", "jobs", *TEXTS},
    "policies": {"contract", "settings", *TEXTS},
    "temporal": {"contract", "jobs", "runs", *TEXTS},
}
"""Each family and module of the middle, and those that it may import."""

GATEWAY = {
    "faults": set(),
    "findings": set(),
    "pass_checks": {"faults", "findings"},
    "checkup": {"findings", "pass_checks"},
    "listing": {"faults"},
    "pages": {"faults", "listing"},
    "timers": set(),
    "changes": {"faults", "timers"},
    "bulk": {"changes", "faults", "pages", "timers"},
    "previews": {"changes", "faults"},
    "reports": {"faults"},
    "runs": {"changes", "faults"},
    "jobs": {"bulk", "changes", "checkup", "faults", "listing", "pages", "previews", "reports", "runs"},
}
ENGINE_PACKAGES = {path.parent.name for path in (ROOT / "activities").glob("*/__init__.py")}


def modules_of(part: str) -> list[Path]:
    path = ROOT / part
    modules = sorted(path.rglob("*.py")) if path.is_dir() else [path.with_suffix(".py")]
    assert modules, f"{part} has no modules"
    return modules


def imports_of(path: Path) -> set[str]:
    imported = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            imported |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            imported |= {module, *(f"{module}.{alias.name}" for alias in node.names)}
    return imported


def roots_of(path: Path) -> set[str]:
    return {name.split(".")[0] for name in imports_of(path)}


def members_of(path: Path, package: str) -> set[str]:
    """The members of a package that a module imports."""
    prefix = f"{package}."
    return {name.removeprefix(prefix).split(".")[0] for name in imports_of(path) if name.startswith(prefix)}


@pytest.mark.parametrize("part", PARTS)
def test_imports_point_inwards(part: str) -> None:
    for module in modules_of(part):
        others = roots_of(module) & set(PARTS) - {part}
        assert others <= PARTS[part], f"{module.relative_to(ROOT)} imports {others - PARTS[part]}"


@pytest.mark.parametrize(("package", "allowed"), [("backup_scheduler", FAMILIES), ("rpc_service/gateway", GATEWAY)])
def test_imports_between_families_point_inwards(package: str, allowed: dict[str, set[str]]) -> None:
    members = {path.stem for path in (ROOT / package).iterdir() if path.name not in ("__init__.py", "__pycache__")}
    assert members - {"py"} == set(allowed)
    for member in allowed:
        for module in modules_of(f"{package}/{member}"):
            others = members_of(module, package.replace("/", ".")) & set(allowed) - {member}
            assert others <= allowed[member], f"{module.relative_to(ROOT)} imports {others - allowed[member]}"


def test_an_engine_has_a_model_of_its_policies_a_package_of_activities_and_a_row() -> None:
    assert {model.engine for model in get_args(ListedPolicy)} == set(ENGINES) == ENGINE_PACKAGES


@pytest.mark.parametrize("engine", ENGINES)
def test_no_engine_knows_another(engine: str) -> None:
    others = ENGINE_PACKAGES - {engine}
    for module in modules_of(f"activities/{engine}"):
        assert not members_of(module, "activities") & others, module


@pytest.mark.parametrize("part", PARTS)
def test_no_file_outgrows_its_subject(part: str) -> None:
    for module in modules_of(part):
        assert len(module.read_text().splitlines()) <= LONGEST_FILE, module


def test_no_test_imports_another() -> None:
    for module in modules_of("tests"):
        parts = {part for name in imports_of(module) if name.startswith("tests.") for part in name.split(".")}
        others = {part for part in parts if part == "conftest" or part.startswith("test_")}
        assert not others, f"{module.relative_to(ROOT)} imports {others}: what tests share is in tests/support/"


@pytest.mark.parametrize("part", ["lab", "tests"])
def test_method_names_come_from_the_contract(part: str) -> None:
    for module in modules_of(part):
        texts = {node.value for node in ast.walk(ast.parse(module.read_text())) if isinstance(node, ast.Constant)}
        assert not texts & set(METHODS), f"{module.relative_to(ROOT)} types {texts & set(METHODS)}"


def test_the_middle_knows_neither_nameko_nor_eventlet() -> None:
    for module in modules_of("backup_scheduler"):
        assert not roots_of(module) & {"nameko", "eventlet", "kombu"}, module


def test_only_the_bridge_knows_both_eventlet_and_asyncio() -> None:
    both = [path.name for path in modules_of("rpc_service") if {"eventlet", "asyncio"} <= roots_of(path)]
    assert both == ["bridge.py"]


def test_callers_find_these_methods_and_no_others() -> None:
    from rpc_service.service import SchedulerService  # importing it loads eventlet

    methods = {
        name
        for name, method in inspect.getmembers(SchedulerService, inspect.isfunction)
        if hasattr(method, "nameko_entrypoints")
    }
    assert methods == set(METHODS)
    assert SchedulerService.name == SERVICE == "scheduler"
