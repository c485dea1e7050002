"""The argument rules of the contract, without a service around them; tests/rpc_service shows them at work."""

import json
from contextlib import suppress
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backup_scheduler.errors import InvalidArguments
from backup_scheduler.jobs import MAX_URL_KWARGS_BYTES, Arguments, BackupJob, JobId

TERMS: dict[str, Any] = {
    "scheduler_id": "job-1",
    "policy_name": "documents",
    "days": 1,
    "start_time": "02:01",
    "duration": 2,
    "misfire_grace_time": 3600,
}

WRONG_FOR_ALL: list[Any] = [None, 1.5, [], {}, b"x", Decimal(1)]

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda values: st.lists(values, max_size=4) | st.dictionaries(st.text(max_size=8), values, max_size=4),
    max_leaves=10,
)


def faults_of(*args: Any, **kwargs: Any) -> tuple[str, ...]:
    with pytest.raises(InvalidArguments) as caught:
        BackupJob.from_call(args, kwargs)
    assert caught.value.code == 400
    return caught.value.faults


def test_arguments_come_by_position_or_by_name_in_the_order_of_the_contract() -> None:
    by_name = BackupJob.from_call((), TERMS)
    assert BackupJob.from_call(tuple(TERMS.values()), {}) == by_name
    assert BackupJob.from_call(("job-1", "documents"), {k: TERMS[k] for k in list(TERMS)[2:]}) == by_name
    assert list(TERMS) == [
        "scheduler_id",
        "policy_name",
        "days",
        "start_time",
        "duration",
        "misfire_grace_time",
    ]


@pytest.mark.parametrize("name", TERMS)
def test_each_argument_is_required(name: str) -> None:
    [fault] = faults_of(**{key: value for key, value in TERMS.items() if key != name})
    assert fault.startswith(f"{name} is missing: it must be ")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *((name, value) for name in TERMS for value in WRONG_FOR_ALL),
        *((name, value) for name in ("scheduler_id", "policy_name") for value in ("", "x" * 201, "\ud800", 7, True)),
        ("scheduler_id", "a\x00b"),
        ("scheduler_id", "a\nb"),
        ("scheduler_id", "\x9f"),
        ("policy_name", UUID(int=1)),
        *(("days", value) for value in (True, 1.0, "1", 0, -1, 3651)),
        *(("duration", value) for value in (False, 1.0, "1", -1, 25)),
        *(("misfire_grace_time", value) for value in (True, 60.0, "60", 0, -1, 315_360_001)),
        *(
            ("start_time", value)
            for value in ("", "24:00", "12:60", "2:1", "2", "02:01:00", "-1:00", "1２:00", "02.01", 201)
        ),
    ],
)
def test_a_wrong_argument_is_named_with_its_rule_and_the_value_received(name: str, value: Any) -> None:
    [fault] = faults_of(**TERMS | {name: value})
    rule = BackupJob.model_fields[name].description
    assert fault.startswith(f"{name} must be {rule}, not ")
    if len(repr(value)) < 30:
        assert fault.endswith(f"not {value!r}")
    assert len(fault) < 300


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("scheduler_id", "x"),
        ("scheduler_id", "é" * 200),
        ("scheduler_id", " a/b,c'd\" "),
        ("policy_name", "x" * 200),
        ("days", 3650),
        ("duration", 0),
        ("duration", 24),
        ("misfire_grace_time", 1),
        ("misfire_grace_time", 315_360_000),
        ("start_time", "00:00"),
        ("start_time", "23:59"),
    ],
)
def test_the_edges_of_each_rule_are_inside_it(name: str, value: Any) -> None:
    assert getattr(BackupJob.from_call((), TERMS | {name: value}), name) == value


@pytest.mark.parametrize("written", ["2:01", " 02:01 ", "\t2:01\n"])
def test_start_time_is_read_with_one_digit_and_outer_blanks(written: str) -> None:
    assert BackupJob.from_call((), TERMS | {"start_time": written}).start_time == "02:01"


def test_several_faults_are_all_named_in_one_answer() -> None:
    assert [fault.split()[0] for fault in faults_of("job", "p", 0, "25:00", -1, None)] == list(TERMS)[2:]


def test_an_argument_given_twice_and_one_too_many_are_faults() -> None:
    faults = faults_of(*TERMS.values(), "surplus", days=3)
    assert len(faults) == 2
    assert "position" in faults[0]
    assert "days was given twice" in faults[1]


def test_a_uuid_counts_as_its_text() -> None:
    text = "a8f9947f-ee0c-4d4e-85d3-fb186079d403"
    assert BackupJob.from_call((), TERMS | {"scheduler_id": UUID(text)}).scheduler_id == text
    assert JobId.from_call((UUID(text),), {}).scheduler_id == text


@given(st.dictionaries(st.text(min_size=1, max_size=10).filter(lambda key: key not in TERMS), json_values, max_size=4))
def test_url_kwargs_are_kept_as_they_are(url_kwargs: dict[str, Any]) -> None:
    job = BackupJob.from_call((), TERMS | url_kwargs)
    assert job.url_kwargs == url_kwargs
    assert BackupJob.model_validate_json(job.model_dump_json()) == job


@pytest.mark.parametrize(
    "value", [float("nan"), float("inf"), "\ud800", Decimal("1.5"), UUID(int=1), b"x", {"deep": [{1, 2}]}]
)
def test_url_kwargs_that_are_not_json_are_refused_without_telling_their_value(value: Any) -> None:
    [fault] = faults_of(**TERMS, token=value)
    rule = BackupJob.model_fields["url_kwargs"].description
    assert fault in {f"url_kwargs (all other arguments) must be {rule}{key}" for key in ("", ", unlike 'token'")}


def test_url_kwargs_may_have_64_kib_and_no_more() -> None:
    frame = len(json.dumps({"blob": ""}).encode())
    BackupJob.from_call((), TERMS | {"blob": "x" * (MAX_URL_KWARGS_BYTES - frame)})
    [fault] = faults_of(**TERMS, blob="x" * (MAX_URL_KWARGS_BYTES - frame + 1))
    assert "64 KiB" in fault
    faults_of(**TERMS, blob="é" * (MAX_URL_KWARGS_BYTES // 2))  # bytes count, not characters


@given(
    st.lists(json_values | st.uuids() | st.binary(max_size=4), max_size=8),
    st.dictionaries(st.sampled_from([*TERMS, "other", "self", "url_kwargs"]), json_values, max_size=8),
)
def test_whatever_comes_is_read_or_refused_and_nothing_else(args: list[Any], kwargs: dict[str, Any]) -> None:
    for model in (Arguments, JobId, BackupJob):
        with suppress(InvalidArguments):
            model.from_call(args, kwargs)


def test_a_call_that_takes_an_id_alone_takes_nothing_else() -> None:
    with pytest.raises(InvalidArguments) as caught:
        JobId.from_call(("a", "b"), {"c": 1})
    assert len(caught.value.faults) == 2
