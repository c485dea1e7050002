"""backupctl doctor, for people and for scripts, also where broker or service are away."""

import json
from datetime import datetime
from typing import Any
from unittest.mock import Mock
from zoneinfo import ZoneInfo

import pytest
from nameko.exceptions import RpcTimeout, UnknownService

from backup_scheduler.contract.methods import CHECK, SERVICE
from backupctl import service, views
from devstack.running import StackInfo
from tests.support.command_line import Ctl, backupctl

pytestmark = pytest.mark.usefixtures("nothing_left")


def test_doctor_tells_a_script_the_clock_that_times_are_on(ctl: Ctl) -> None:
    checks = {each["check"]: each for each in map(json.loads, ctl("doctor", "--json").stdout.splitlines())}
    assert checks["broker"]["state"] == checks["RPC service"]["state"] == checks["time zone"]["state"] == "ok"
    zone, _, now = checks["time zone"]["found"].partition(": ")
    assert ZoneInfo(zone)
    assert datetime.fromisoformat(now)


def diagnosed(uri: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, dict[str, Any]]:
    """Return what doctor says for scripts, by the names of the checks; people are told the same."""
    told = backupctl(uri)("doctor", "--json")
    checks = [json.loads(line) for line in told.stdout.splitlines()]
    assert (told.exit_code, told.stderr) == (1, "")
    assert {tuple(each) for each in checks} == {("check", "state", "found", "todo")}
    monkeypatch.setattr(views.people, "width", 500)
    shown = backupctl(uri)("doctor")
    assert (shown.exit_code, shown.stderr) == (1, "")
    assert all(each["found"] in shown.stdout and each["todo"] in shown.stdout for each in checks)
    return {each["check"]: each for each in checks}


def test_doctor_says_what_to_do_where_the_broker_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    checks = diagnosed("amqp://guest:guest@127.0.0.1:1/", monkeypatch)
    assert checks.keys() == {"broker"}
    assert checks["broker"]["state"] == "fault"
    assert "cannot be reached at amqp://***@127.0.0.1:1/" in checks["broker"]["found"]
    assert "RabbitMQ" in checks["broker"]["todo"]


@pytest.mark.parametrize(
    ("error", "said"),
    [(UnknownService(SERVICE), "has no queue of the scheduler"), (RpcTimeout(), "no answer came in time")],
    ids=["never there", "down"],
)
def test_doctor_says_what_to_do_where_the_service_is_away(
    stack: StackInfo, error: Exception, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    away = Mock(**{f"{CHECK}.side_effect": error})
    monkeypatch.setattr(service, "_connection", lambda *_: (Mock(), {SERVICE: away}))
    checks = diagnosed(stack.amqp_uri, monkeypatch)
    assert {name: each["state"] for name, each in checks.items()} == {"broker": "ok", "RPC service": "fault"}
    assert said in checks["RPC service"]["found"]
    assert "backup-scheduler-rpc" in checks["RPC service"]["todo"]
