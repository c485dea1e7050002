"""temporal-dev.yml describes the services that the code relies on, in containers and on a bare machine."""

import socket
from pathlib import Path

import pytest
import yaml

from backup_scheduler.jobs.names import SEARCH_ATTRIBUTES
from backup_scheduler.settings import VARIABLES, Settings
from devstack import comparison, compose
from devstack.log import LogStream
from devstack.ports import Ports
from devstack.running import StackInfo

CONTAINERS = {spec.name: spec for spec in compose.read({})}


def test_it_registers_the_search_attributes_that_the_code_uses() -> None:
    prefix = "--search-attribute="
    registered = {word.removeprefix(prefix) for word in CONTAINERS["temporal"].command if word.startswith(prefix)}
    assert registered == {f"{key.name}=Keyword" for key in SEARCH_ATTRIBUTES}


def test_it_passes_every_setting_on_to_both_python_services() -> None:
    values = {variable: f"value of {name}" for name, variable in VARIABLES.items()}
    described = {spec.name: spec.environment for spec in compose.read(values)}
    assert values.items() <= described["rpc"].items()
    assert values.items() <= described["worker"].items()


def test_containers_find_each_other_by_name() -> None:
    assert CONTAINERS["rpc"].environment["AMQP_URI"] == "amqp://guest:guest@rabbitmq:5672/"
    assert CONTAINERS["worker"].environment["TEMPORAL_ADDRESS"] == "temporal:7233"


def test_containers_find_each_other_at_ports_that_were_moved() -> None:
    moved = {spec.name: spec for spec in compose.read({"TEMPORAL_PORT": "17233", "AMQP_PORT": "15672"})}
    assert moved["rpc"].environment["AMQP_URI"] == "amqp://guest:guest@rabbitmq:15672/"
    for name in ("rpc", "worker"):
        assert moved[name].environment["TEMPORAL_ADDRESS"] == "temporal:17233"
    assert "--address=temporal:17233" in moved["retention"].command
    assert "--port=17233" in moved["temporal"].command
    assert moved["rabbitmq"].environment["RABBITMQ_NODE_PORT"] == "15672"


def test_engines_before_25_take_the_health_checks() -> None:
    """They refuse start_interval, which came with version 1.44 of the engine's interface."""
    services = yaml.safe_load(compose.FILE.read_text())["services"]
    checks = [service["healthcheck"] for service in services.values() if "healthcheck" in service]
    assert checks
    for check in checks:
        assert {key for key in check if not key.startswith("x-")} <= {"test", "interval", "timeout", "start_period"}


def test_a_worker_gets_longer_to_end_than_it_gives_its_backups() -> None:
    assert CONTAINERS["worker"].grace > Settings.model_fields["shutdown_grace"].default.total_seconds()


def test_the_ports_that_are_published_can_be_moved() -> None:
    assert compose.port_variables() == {"TEMPORAL_PORT": 7233, "TEMPORAL_UI_PORT": 8233, "AMQP_PORT": 5672}


def test_a_taken_port_is_passed_over() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener, Ports() as ours, Ports() as others:
        taken = listener.getsockname()[1]
        assert not ours.claim(taken)
        chosen = ours.claim_from(taken)
        assert chosen > taken
        assert others.claim_from(chosen) > chosen


def test_a_comparison_finds_what_differs_and_leaves_out_what_changed_meanwhile(tmp_path: Path) -> None:
    original, restored = tmp_path / "original", tmp_path / "restored"
    for folder in (original, restored):
        (folder / "deep").mkdir(parents=True)
        (folder / "deep/same").write_text("same")
        (folder / "link").symlink_to("deep")
        (folder / "edited").write_text(f"in {folder}")
    (original / "lost").touch()
    (original / ".git").touch()  # a file in a worktree of git
    (restored / "surplus").touch()

    found = comparison.compare(original, restored, since=float("inf"))
    assert found.same == 2
    assert found.different == ["edited", "lost", "surplus"]
    assert comparison.compare(original, restored, since=0).changed_since == ["deep/same", "edited", "link", "lost"]


def test_only_its_owner_reads_where_the_stack_is_as_a_password_may_stand_there(tmp_path: Path) -> None:
    info = StackInfo(
        pid=1,
        amqp_uri="amqp://user:s3cret@h/",
        temporal_address="",
        temporal_namespace="",
        web_ui="",
        pids={},
        restarts={},
    )
    info.write(tmp_path)
    assert (tmp_path / "stack.json").stat().st_mode & 0o777 == 0o600
    assert StackInfo.read(tmp_path) == info


def test_the_stack_prints_no_password(capsys: pytest.CaptureFixture[str]) -> None:
    log = LogStream(["rpc"])
    log.say("AMQP amqp://u:s3cret@a/;amqp://u:s3cret@b/")
    log.line("rpc", "at \x1b[1mamqp://u:s3cret@a/")
    assert "s3cret" not in capsys.readouterr().out
