"""Calls and messages that are wrong in every way: each is answered, or logged and dropped, and the service goes on."""

import uuid
from collections.abc import Iterator
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from kombu import Connection

from backup_scheduler.contract.methods import ADD, GET, GET_ALL, MODIFY, PREVIEW
from backup_scheduler.jobs.names import SYSTEM_SCHEDULE
from devstack.running import StackInfo
from tests.support.calls import ONE_ID, TERMS, Caller, assert_fails, assert_right, job
from tests.support.wire import Wire

odd_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(codec="utf-8"), max_size=30)
    | st.uuids()
    | st.decimals(allow_nan=False)
    | st.binary(max_size=10)
    | st.sampled_from(["x" * 100_000, "\x00", "02:01", "24:00"]),
    lambda values: st.lists(values, max_size=3) | st.dictionaries(st.text("ab", max_size=3), values, max_size=3),
    max_leaves=6,
)


@pytest.mark.parametrize("method", [ADD, MODIFY])
@pytest.mark.parametrize(
    ("position", "value", "name"),
    [
        (0, None, "scheduler_id"),
        (0, "", "scheduler_id"),
        (0, "x" * 201, "scheduler_id"),
        (0, "a\tb", "scheduler_id"),
        (1, uuid.UUID(int=5), "policy_name"),
        (1, {"deep": [[[]]]}, "policy_name"),
        (2, True, "days"),
        (2, 1.0, "days"),
        (2, "1", "days"),
        (2, 3651, "days"),
        (3, "24:00", "start_time"),
        (3, 201, "start_time"),
        (4, 25, "duration"),
        (4, False, "duration"),
        (5, 0, "misfire_grace_time"),
        (5, 315_360_001, "misfire_grace_time"),
        (5, Decimal(5), "misfire_grace_time"),
    ],
)
def test_a_wrong_argument_is_answered_400_and_named(
    call: Caller, scheduler_id: str, method: str, position: int, value: Any, name: str
) -> None:
    arguments = [scheduler_id, *TERMS]
    arguments[position] = value
    assert_fails(call(method, *arguments), 400, f"{name} must be ")
    assert_fails(call(GET, scheduler_id), 404)


@pytest.mark.parametrize("method", [ADD, MODIFY, *ONE_ID])
def test_missing_and_surplus_arguments_are_answered_400(call: Caller, method: str) -> None:
    assert_fails(call(method), 400, "scheduler_id is missing")
    assert_fails(call(method, *range(9)), 400, "by position")


@pytest.mark.parametrize("method", ONE_ID)
def test_a_call_about_one_job_takes_nothing_but_its_id(call: Caller, method: str) -> None:
    assert_fails(call(method, "job", colour="red"), 400, "'colour'")
    assert_fails(call(method, 5), 400, "scheduler_id must be ", "not 5")


def test_get_jobs_takes_no_arguments(call: Caller) -> None:
    assert_fails(call(GET_ALL, 1), 400)
    assert_fails(call(GET_ALL, a=1), 400, "'a'")


def test_several_faults_are_named_in_one_answer(call: Caller) -> None:
    assert_fails(call(ADD, "job", "p", 0, "nine", 99), 400, "days", "start_time", "duration", "misfire_grace_time")


@pytest.mark.parametrize("value", [b"\xff", float("nan")])
def test_url_kwargs_that_are_not_json_are_answered_400(call: Caller, scheduler_id: str, value: Any) -> None:
    assert_fails(call(ADD, scheduler_id, *TERMS, extra=value), 400, "url_kwargs (all other arguments) must be JSON")


def test_what_json_has_no_form_for_reaches_the_job_as_its_text(call: Caller, scheduler_id: str) -> None:
    odd = {
        "day": date(2026, 1, 31),
        "moment": datetime(2026, 1, 31, 2, 1),
        "hour": time(2, 1),
        "deep": [{"id": uuid.UUID(int=1)}, [Decimal("1.50")]],
        "data": b"plain",
    }
    texts = {
        "day": "2026-01-31",
        "moment": "2026-01-31 02:01:00",
        "hour": "02:01:00",
        "deep": [{"id": str(uuid.UUID(int=1))}, ["1.50"]],
        "data": "plain",
    }
    assert job(call(ADD, scheduler_id, *TERMS, **odd))["kwargs"].items() >= texts.items()
    assert job(call(MODIFY, scheduler_id, *TERMS, again=odd))["kwargs"]["again"] == texts


def test_arguments_that_could_not_be_read_back_make_and_spoil_no_job(call: Caller, scheduler_id: str) -> None:
    deep: Any = 1
    for _ in range(199):
        deep = [deep]
    assert_fails(call(ADD, scheduler_id, *TERMS, tree=deep), 400, "at most 100 levels deep")
    assert_fails(call(GET, scheduler_id), 404)
    added = job(call(ADD, scheduler_id, *TERMS))
    assert_fails(call(MODIFY, scheduler_id, *TERMS, tree=deep), 400, "at most 100 levels deep")
    assert job(call(GET, scheduler_id)) == added


@pytest.mark.parametrize("reserved", [SYSTEM_SCHEDULE, "temporal-sys-scheduler:a"])
def test_an_id_that_the_system_keeps_for_itself_cannot_be_added(call: Caller, reserved: str) -> None:
    assert_fails(call(ADD, reserved, *TERMS), 400, "scheduler_id must not be ", repr(reserved))
    for method in ONE_ID:
        assert_fails(call(method, reserved), 404)


def test_url_kwargs_of_more_than_64_kib_are_answered_400(call: Caller, scheduler_id: str) -> None:
    assert_fails(call(ADD, scheduler_id, *TERMS, blob="x" * 1_000_000), 400, "64 KiB")
    job(call(ADD, scheduler_id, *TERMS, blob="x" * 60_000))


def test_a_uuid_is_the_same_id_as_its_text(call: Caller) -> None:
    scheduler_id = uuid.uuid4()
    assert job(call(ADD, scheduler_id, *TERMS))["job_id"] == str(scheduler_id)
    assert job(call(GET, str(scheduler_id)))["job_id"] == str(scheduler_id)


@settings(max_examples=200, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.sampled_from([MODIFY, *ONE_ID, GET_ALL, PREVIEW]),
    st.lists(odd_values, max_size=8),
    st.dictionaries(st.sampled_from(["scheduler_id", "days", "duration", "count", "other"]), odd_values, max_size=3),
)
def test_whatever_is_called_is_answered_in_the_shape_of_the_contract(
    call: Caller, method: str, args: list[Any], kwargs: dict[str, Any]
) -> None:
    assert_right(call(method, *args, **kwargs), method, args, kwargs)


@pytest.fixture
def wire(stack: StackInfo) -> Iterator[Wire]:
    with Connection(stack.amqp_uri) as connection:
        yield Wire(connection)


CALL = {"args": ["nobody"], "kwargs": {}}


@pytest.mark.parametrize(
    ("body", "properties"),
    [
        (CALL, {"reply_to": None}),
        (CALL, {"content_type": None}),
        (b"{broken", {}),
        (b'{"__type__": "junk", "__value__": 1}', {}),
        (b"[" * 100_000, {}),
        (b"\xff\xfe", {}),
        (b"x", {"content_type": "application/x-python-serialize"}),
        (CALL, {"content_type": "text/unknown"}),
        (CALL, {"headers": {"compression": "application/x-gzip"}}),
    ],
    ids=[
        "no reply_to",
        "no content_type",
        "broken JSON",
        "junk type",
        "deep nesting",
        "bad text",
        "pickle",
        "unknown",
        "bad zip",
    ],
)
def test_a_message_that_cannot_be_answered_is_dropped(wire: Wire, body: Any, properties: dict[str, Any]) -> None:
    wire.send(GET, body, **properties)
    assert wire.is_answered()


def test_a_change_whose_outcome_nobody_would_hear_of_is_not_made(wire: Wire, call: Caller, scheduler_id: str) -> None:
    wire.send(ADD, {"args": [scheduler_id, *TERMS], "kwargs": {}}, reply_to=None)
    assert wire.is_answered()
    assert_fails(call(GET, scheduler_id), 404)


@pytest.mark.parametrize("stack_of_calls", [7, "text", {"a": 1}, [1, 2], None])
def test_a_broken_call_id_stack_does_not_matter(wire: Wire, stack_of_calls: Any) -> None:
    wire.send(GET, CALL, headers={"nameko.call_id_stack": stack_of_calls})
    assert wire.reply()["result"]["code"] == 404
    assert wire.is_answered()


@pytest.mark.parametrize(
    "body", [[], 5, None, {}, {"args": []}, {"args": 5, "kwargs": {}}, {"args": [], "kwargs": [1]}, {"args": {}}]
)
def test_a_message_that_is_no_call_is_answered_with_what_is_wrong(wire: Wire, body: Any) -> None:
    wire.send(GET, body)
    assert wire.reply()["error"]["exc_type"] == "MalformedRequest"
    assert wire.is_answered()


def test_an_add_that_is_delivered_again_succeeds_and_a_second_add_does_not(wire: Wire, scheduler_id: str) -> None:
    body = {"args": [scheduler_id, *TERMS], "kwargs": {}}
    request = uuid.uuid4().hex
    replies = []
    for _ in range(2):
        wire.send(ADD, body, correlation_id=request)
        replies.append(wire.reply()["result"])
    assert job(replies[0]) == job(replies[1])
    wire.send(ADD, body)
    assert_fails(wire.reply()["result"], 409)


def test_requests_with_one_correlation_id_differ_by_what_they_ask_for(wire: Wire, scheduler_id: str) -> None:
    for method, policy_name in ((ADD, "one"), (MODIFY, "two"), (MODIFY, "three"), (MODIFY, "two")):
        wire.send(method, {"args": [scheduler_id, policy_name, *TERMS[1:]], "kwargs": {}}, correlation_id="always")
        assert job(wire.reply()["result"])["kwargs"]["policy_name"] == policy_name
    wire.send(ADD, {"args": [scheduler_id, "other", *TERMS[1:]], "kwargs": {}}, correlation_id="always")
    assert_fails(wire.reply()["result"], 409)
