"""The argument rules of the contract, without a service around them; tests/rpc_service shows them at work."""

import json
from contextlib import suppress
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backup_scheduler.contract.arguments import Arguments, JobId
from backup_scheduler.contract.errors import InvalidArguments
from backup_scheduler.jobs.request import BackupRequest
from backup_scheduler.jobs.terms import MAX_NESTING, MAX_URL_KWARGS_BYTES, BackupJob, Preview
from backup_scheduler.runs.task import check_carriage

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


def nested(levels: int) -> Any:
    """Return a value of so many lists within one another."""
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


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
        ("policy_name", "a\x00b"),
        ("policy_name", "a\nb"),
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
        assert f", not {value!r}" in fault
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


NOT_JSON: dict[str, Any] = {
    "NaN": float("nan"),
    "infinity": float("inf"),
    "surrogate": "\ud800",
    "surrogate key": {"\ud800": 1},
    "bytes": b"\xff",
    "deep bytes": [b"\xff"],
    "set": {"deep": [{1, 2}]},
    "long int": 10**4300,
}


@pytest.mark.parametrize("value", NOT_JSON.values(), ids=NOT_JSON)
def test_url_kwargs_that_are_not_json_are_refused_without_telling_their_value(value: Any) -> None:
    [fault] = faults_of(**TERMS, token=value)
    rule = BackupJob.model_fields["url_kwargs"].description
    assert fault in {f"url_kwargs (all other arguments) must be {rule}{key}" for key in ("", ", unlike 'token'")}


def test_url_kwargs_may_be_nested_100_deep_and_no_deeper() -> None:
    assert MAX_NESTING == 100
    for value in (nested(100), {"a": nested(99)}):
        assert BackupJob.from_call((), TERMS | {"tree": value}).url_kwargs == {"tree": value}
    for value in (nested(101), {"a": nested(100)}, [*nested(100), nested(101)], nested(5000)):
        [fault] = faults_of(**TERMS, tree=value)
        assert "at most 100 levels deep" in fault
        assert fault.endswith("unlike 'tree'")


EDGES: dict[str, Any] = {
    "nesting": nested(100),
    "long int": 10**4299,
    "negative int": -(10**30),
    "small float": 5e-324,
    "large float": 1e308,
    "minus zero": -0.0,
    "NUL": "\x00",
    "odd characters": "\u2028\ufffe",
    "odd keys": {"": {"\x00": None}},
    "two bytes each": "é" * 32_000,
}


@pytest.mark.parametrize("value", EDGES.values(), ids=EDGES)
def test_the_edges_of_url_kwargs_come_back_from_temporal_as_they_were(value: Any) -> None:
    job = BackupJob.from_call((), TERMS | {"value": value})
    check_carriage(BackupRequest.of(job, "UTC", date(2026, 1, 1)))


@pytest.mark.parametrize("levels", [198, 199, 254, 300])
def test_what_does_not_come_back_from_temporal_is_refused_whatever_the_rules_say(levels: int) -> None:
    job = BackupJob.model_construct(**TERMS, url_kwargs={"tree": nested(levels)})
    request = BackupRequest.model_construct(**dict(job), timezone="UTC", anchor=date(2026, 1, 1))
    with pytest.raises(InvalidArguments, match="cannot be carried to a backup and back"):
        check_carriage(request)


def test_a_job_that_was_accepted_before_a_rule_came_stays_readable() -> None:
    stored = TERMS | {"policy_name": "a\nb", "url_kwargs": {"tree": nested(150)}}
    assert BackupJob.model_validate_json(json.dumps(stored)).policy_name == "a\nb"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (date(2026, 1, 31), "2026-01-31"),
        (datetime(2026, 1, 31, 2, 1), "2026-01-31 02:01:00"),
        (datetime(2026, 1, 31, 2, 1, tzinfo=UTC), "2026-01-31 02:01:00+00:00"),
        (time(2, 1), "02:01:00"),
        (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (Decimal("1.50"), "1.50"),
        (Decimal("NaN"), "NaN"),
        ("é".encode(), "é"),
    ],
)
def test_what_json_has_no_form_for_goes_as_its_text(value: Any, text: str) -> None:
    job = BackupJob.from_call((), TERMS | {"plain": value, "deep": {"a": [1, [value]]}})
    assert job.url_kwargs == {"plain": text, "deep": {"a": [1, [text]]}}


@pytest.mark.parametrize("given", [{}, {"misfire_grace_time": None}, {"misfire_grace_time": 0}])
def test_a_grace_time_that_is_not_given_is_the_settings(given: dict[str, Any]) -> None:
    terms = {name: value for name, value in TERMS.items() if name != "misfire_grace_time"} | given
    assert BackupJob.from_call((), terms, misfire_grace_time=259_200).misfire_grace_time == 259_200
    [fault] = faults_of(**terms)
    assert fault.startswith("misfire_grace_time ")
    assert "SCHEDULER_MISFIRE_GRACE_TIME" in fault


@pytest.mark.parametrize("given", [False, -1, 0.0, "0", ""])
def test_a_wrong_grace_time_is_not_one_that_is_not_given(given: Any) -> None:
    with pytest.raises(InvalidArguments, match="misfire_grace_time must be"):
        BackupJob.from_call((), TERMS | {"misfire_grace_time": given}, misfire_grace_time=60)


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
    for model in (Arguments, JobId, BackupJob, Preview):
        with suppress(InvalidArguments):
            model.from_call(args, kwargs)


def test_a_call_that_takes_an_id_alone_takes_nothing_else() -> None:
    with pytest.raises(InvalidArguments) as caught:
        JobId.from_call(("a", "b"), {"c": 1})
    assert len(caught.value.faults) == 2


def test_a_preview_takes_the_terms_of_a_job_then_a_count_and_an_id() -> None:
    scheduler_id, *terms = TERMS.values()
    by_position = Preview.from_call((*terms, 5, scheduler_id), {"path": "/srv"})
    assert by_position == Preview.from_call((), TERMS | {"count": 5, "path": "/srv"})
    assert by_position.job() == BackupJob.from_call((), TERMS | {"path": "/srv"})
    without = Preview.from_call(terms[:-1], {}, misfire_grace_time=60)
    assert (without.count, without.scheduler_id, without.misfire_grace_time) == (10, None, 60)
    assert without.job().days == terms[1]
