"""Names, settings, rules and texts in the documentation are those of the code."""

import hashlib
import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable, Collection
from pathlib import Path

import pytest
import yaml
from temporalio.envconfig import ClientConfigProfile

from backup_scheduler import __version__
from backup_scheduler.contract.errors import (
    BrokenJob,
    JobExists,
    JobNotFound,
    ListTimeout,
    NamespaceNotFound,
    ReplyTooLarge,
    ReportRefused,
    ReportTimeout,
    RunNotFound,
    SearchAttributesMissing,
    TemporalOverloaded,
    TemporalTimeout,
    TemporalUnavailable,
    TooManyWait,
)
from backup_scheduler.contract.methods import METHODS
from backup_scheduler.jobs.from_schedule import UNREADABLE
from backup_scheduler.jobs.names import SEARCH_ATTRIBUTES, SYSTEM_SCHEDULE, SYSTEM_WORKFLOW
from backup_scheduler.jobs.terms import BackupJob, Preview
from backup_scheduler.policies.file import read
from backup_scheduler.runs.results import Outcome
from backup_scheduler.settings import PREFIX, VARIABLES, Settings
from lab.parts.places import ROOT
from rpc_service.gateway.faults import DEADLINE
from rpc_service.gateway.listing import LIST_DEADLINE
from tests.support.pages import PAGES, anchors, blocks, commands, links, prose, rows, text

APIS = ("docs/api.md", "docs/api.zh.md")
BIN = Path(sys.executable).parent


@pytest.mark.parametrize("page", PAGES)
def test_every_link_leads_somewhere(page: str) -> None:
    for link in links(page):
        path, _, anchor = link.partition("#")
        target = (ROOT / page).parent / path if path else ROOT / page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def paths_named(page: str) -> list[str]:
    """Return the paths of the project that a page names."""
    top = "|".join(re.escape(path.name) for path in ROOT.iterdir() if not path.name.startswith((".", "_")))
    return re.findall(rf"`((?:\./)?(?:{top})(?:/[\w./-]*)?)`", prose(page))


def targets_named(page: str) -> set[str]:
    """Return the targets of make that a page names."""
    return set(re.findall(r"(?:`|^)make ([a-z-]+)", text(page), re.MULTILINE))


def variables_named(page: str) -> set[str]:
    """Return the variables of this project that a page names."""
    return set(re.findall(rf"{PREFIX}[A-Z_]*[A-Z]", text(page)))


@pytest.mark.parametrize("named", [links, paths_named, targets_named, variables_named])
def test_the_pages_have_what_is_looked_for_in_each(named: Callable[[str], Collection[str]]) -> None:
    assert min(len(named(page)) for page in ("README.md", "docs/operations.md")) > 0


@pytest.mark.parametrize("page", PAGES)
def test_every_path_of_the_project_that_is_named_exists(page: str) -> None:
    for path in paths_named(page):
        assert (ROOT / path).exists(), path


@pytest.mark.parametrize("page", PAGES)
def test_every_make_target_that_is_named_exists(page: str) -> None:
    targets = set(re.findall(r"^([a-z-]+):", text("Makefile"), re.MULTILINE))
    assert targets_named(page) <= targets


def test_the_readme_lists_every_setting_with_its_default() -> None:
    listed = {row[0].strip("`"): row[1].strip("`") for row in rows("README.md", "Settings")}
    ours = {name: value for name, value in listed.items() if not name.startswith("TEMPORAL_")}
    assert set(ours) == set(VARIABLES.values())
    for name, field in Settings.model_fields.items():
        default = ours[VARIABLES[name]]
        if name == "timezone":
            assert default == "the host's zone"
        elif field.default is None:
            assert default == "none"
        elif name == "amqp_uri":
            assert default == field.default.get_secret_value()
        elif name == "shutdown_grace":
            assert float(default) == field.default.total_seconds()
        else:
            assert default == str(field.default)


@pytest.mark.parametrize("page", PAGES)
def test_every_variable_of_ours_that_is_named_exists(page: str) -> None:
    known = {*VARIABLES.values(), f"{PREFIX}STATE_DIR"}
    assert variables_named(page) <= known | {f"{PREFIX}LOG"}  # SCHEDULER_LOG_*


def test_every_variable_of_temporal_that_is_listed_is_read_by_its_client(tmp_path: Path) -> None:
    names = re.findall("TEMPORAL_[A-Z_]+", " ".join(row[0] for row in rows("docs/operations.md", "Temporal")))
    assert "TEMPORAL_API_KEY" in names
    profiles = tmp_path / "temporal.toml"
    profiles.write_text('[profile.default]\naddress = "a:1"\n[profile.other]\naddress = "b:1"\n')
    file = {"TEMPORAL_CONFIG_FILE": str(profiles)}
    default = ClientConfigProfile.load(override_env_vars=file)
    assert default.address == "a:1"
    values = {"TEMPORAL_TLS": "true", "TEMPORAL_PROFILE": "other"}
    for name in set(names) - set(file):
        changed = ClientConfigProfile.load(override_env_vars=file | {name: values.get(name, "x")})
        assert changed != default, name


def test_the_policy_file_that_is_shown_is_the_example_and_is_valid() -> None:
    example = ROOT / "examples/policies.toml"
    [shown] = [block for language, block in blocks("README.md") if language == "toml"]
    assert shown.strip() == example.read_text().strip()
    assert set(read(example)) == set(tomllib.loads(shown)["policies"])


@pytest.mark.parametrize("page", APIS)
def test_the_interface_has_a_section_for_every_method(page: str) -> None:
    assert anchors(ROOT / page) >= set(METHODS)


@pytest.mark.parametrize("page", APIS)
def test_the_interface_lists_every_argument_in_its_order(page: str) -> None:
    lines = [line for line in text(page).splitlines() if line.startswith("|")]
    arguments = [line.strip("| ").split("|")[0].strip().lstrip("*") for line in lines]
    fields = list(BackupJob.model_fields)
    start = arguments.index(fields[0])
    assert arguments[start : start + len(fields)] == fields


def test_the_interface_quotes_every_rule() -> None:
    for name, field in (BackupJob.model_fields | Preview.model_fields).items():
        assert field.description
        assert field.description in text("docs/api.md"), name


@pytest.mark.parametrize("page", APIS)
def test_the_interface_quotes_every_failure(page: str) -> None:
    for error in (
        JobNotFound("a"),
        JobNotFound("a", perhaps_removed=True),
        JobNotFound("a", removed_before=True),
        NamespaceNotFound("default"),
        JobExists("a"),
        TemporalUnavailable(),
        TemporalOverloaded(),
        TemporalTimeout(DEADLINE),
        ListTimeout(LIST_DEADLINE),
        BrokenJob("a", UNREADABLE),
        RunNotFound("a"),
        ReportRefused("a", "the run has ended"),
        ReportTimeout(DEADLINE),
        TooManyWait("a", 1000),
        ReplyTooLarge(8_600_000, 9000),
        SearchAttributesMissing([key.name for key in SEARCH_ATTRIBUTES], "default"),
    ):
        assert f"|{error.code}|" in text(page).replace(" ", "")
        assert f"`{error}`" in text(page)


def test_every_outcome_and_search_attribute_is_explained() -> None:
    explained = {row[0].strip("`") for row in rows("docs/operations.md", "What an outcome means")}
    assert {outcome.value for outcome in Outcome} <= explained
    for attribute in SEARCH_ATTRIBUTES:
        assert attribute.name in text("README.md")
        assert f"--name {attribute.name} --type Keyword" in text("docs/operations.md")


def test_the_system_schedule_is_explained() -> None:
    assert f"--schedule-id {SYSTEM_SCHEDULE}" in text("docs/operations.md")
    assert f"`{SYSTEM_WORKFLOW}`" in text("docs/operations.md")


@pytest.mark.programs
def test_every_tctl_command_is_beside_the_same_one_of_temporal() -> None:
    table = rows("docs/operations.md", "The same with tctl")
    ours = {" ".join(command.split()[2:3]) for command in commands("docs/operations.md", "temporal")}
    assert table
    for temporal, tctl in table:
        assert tctl.strip("`").replace("_", "-").replace("tctl ", "temporal ", 1) == temporal.strip("`")
        assert temporal.split()[2].strip("`") in ours
        subcommand = temporal.strip("`").split()[:3]
        given = subprocess.run(
            [str(BIN / "temporal"), *subcommand[1:], "--help"], capture_output=True, text=True, check=True
        ).stdout
        assert all(flag in given for flag in re.findall(r"--[a-z-]+", temporal))


@pytest.mark.programs
def test_the_nameko_configuration_is_one(tmp_path: Path) -> None:
    shown = (ROOT / "deploy/nameko.yml").read_text()
    shown = re.sub(r"^#(?=AMQP_SSL|  )", "", shown, flags=re.MULTILINE)
    config = tmp_path / "nameko.yml"
    config.write_text(shown)
    read = subprocess.run(
        [str(BIN / "nameko"), "show-config", "--config", str(config)],
        env={"AMQP_URI": "pyamqp://here", "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert yaml.safe_load(read)["AMQP_URI"] == "pyamqp://here"
    assert {"max_workers", "AMQP_SSL"} < set(yaml.safe_load(read))


def test_the_license_is_the_one_that_the_package_names() -> None:
    project = tomllib.loads(text("pyproject.toml"))["project"]
    assert (project["license"], project["license-files"]) == ("Apache-2.0", ["LICENSE"])
    unmodified = (
        "cfc7749b96f63bd31c3c42b5c471bf756814053e847c10f3eb003417bc523d30"  # apache.org/licenses/LICENSE-2.0.txt
    )
    assert hashlib.sha256((ROOT / "LICENSE").read_bytes()).hexdigest() == unmodified


def test_the_changelog_has_a_section_for_this_version() -> None:
    version = __version__
    assert re.search(rf"^## \[({re.escape(version)}|Unreleased)\]", text("CHANGELOG.md"), re.MULTILINE)


def test_json_in_the_documentation_is_json() -> None:
    shown = [block for page in PAGES for language, block in blocks(page) if language == "json"]
    assert shown
    for block in shown:
        json.loads(block)
