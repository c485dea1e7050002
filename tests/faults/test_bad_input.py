"""Calls and messages that nobody should send, by the ten thousand: the service answers, stays up and does not grow."""

from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from kombu import Connection, Exchange, Producer
from nameko.standalone.rpc import ClusterRpcProxy

from backup_scheduler.contract.methods import ADD, GET, METHODS, MODIFY, PAUSE, REMOVE
from lab.parts.waiting import eventually
from tests.support.callers import FIRST, RpcClient
from tests.support.calls import BUSY, assert_right
from tests.support.figures import print_input_row
from tests.support.rpc_processes import RpcProcess, rpc_processes
from tests.support.servers import Servers

CALLERS = 3
CALLS = 3_000
WARM_UP = 1_000
ROOM_TO_GROW = 20 * 2**20
"""Bytes: what allocators and caches may take after the warm-up; 3,000 calls that leak 7 KiB each take as much."""

MADE = 0

odd_values = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=20),
    st.uuids(),
    st.binary(max_size=10),
    st.datetimes(),
    st.lists(st.none() | st.text(max_size=3), max_size=2),
    st.dictionaries(st.text("ab", max_size=2), st.integers() | st.floats(), max_size=2),
    st.sampled_from(["x" * 10_000, "\x00", "02:01", "24:00", 10**400, "\ud800", {"__type__": "uuid"}]),
)
ids = st.sampled_from(["somebody", "\N{PILE OF POO}", "a/b"]) | st.text(min_size=1, max_size=200)
arguments = st.one_of(
    st.lists(odd_values, max_size=8),
    st.tuples(ids).map(list),
    st.tuples(ids, *(st.just(term) | odd_values for term in FIRST)).map(list),
)
names = st.sampled_from(["scheduler_id", "days", "duration", "start_time", "count", "other", "args", ""])


@pytest.fixture(scope="module")
def service(servers: Servers) -> Iterator[RpcProcess]:
    with rpc_processes(servers) as [process]:
        yield process
        assert process.process.poll() is None


def generated_calls(amqp_uri: str, count: int) -> Counter[int]:
    """Make so many generated calls, each list of arguments to every method; count the codes of their right answers.

    All calls that were made count as MADE.
    """
    codes: Counter[int] = Counter()
    with ClusterRpcProxy({"AMQP_URI": amqp_uri}, timeout=60) as cluster:

        @settings(
            max_examples=-(-count // len(METHODS)),
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(arguments, st.dictionaries(names, odd_values, max_size=2))
        def every_call_is_answered(args: list[Any], kwargs: dict[str, Any]) -> None:
            asked = {method: getattr(cluster.scheduler, method).call_async(*args, **kwargs) for method in METHODS}
            codes[MADE] += len(asked)
            for method, each in asked.items():
                reply = each.result()
                assert_right(reply, method, args, kwargs)
                codes[reply["code"]] += 1

        every_call_is_answered()
    return codes


def together(count: int, make: Callable[[int], Counter[int]]) -> Counter[int]:
    with ThreadPoolExecutor(CALLERS) as pool:
        return sum(pool.map(make, [count // CALLERS + 1] * CALLERS), Counter())


@pytest.mark.timeout(600)
def test_generated_calls_are_answered_and_memory_stays(servers: Servers, service: RpcProcess) -> None:
    together(WARM_UP, lambda count: generated_calls(servers.amqp_uri, count))
    before = service.resident
    codes = together(CALLS, lambda count: generated_calls(servers.amqp_uri, count))
    grown = service.resident - before
    made, answered = codes.pop(MADE), codes.total()
    print_input_row("generated calls", made, made - answered, grown)
    assert made == answered >= CALLS
    assert min(codes[code] for code in (200, 400, 404)) > 0, codes
    assert sum(codes[code] for code in BUSY) < codes[200] + codes[404], codes  # far less, unless the machine is busy
    assert grown < ROOM_TO_GROW


def test_large_arguments_are_refused_and_memory_stays(servers: Servers, service: RpcProcess) -> None:
    def codes_of(size: int) -> list[int | None]:
        codes = [client(method, "x" * size, *args).code for method, args in ((GET, ()), (ADD, FIRST), (MODIFY, FIRST))]
        with ClusterRpcProxy({"AMQP_URI": servers.amqp_uri}, timeout=60) as cluster:
            add = getattr(cluster.scheduler, ADD)
            many = {f"key{n}": "x" * (size // 1000) for n in range(1000)}
            return [*codes, add("large", *FIRST, blob="x" * size)["code"], add("large", *FIRST, **many)["code"]]

    with RpcClient(servers.amqp_uri) as client:
        assert codes_of(20_000_000) == [400] * 5
        before = service.resident
        codes = [code for size in (1_000_000, 20_000_000) * 2 for code in codes_of(size)]
        eventually(lambda: client(GET, "nobody").code == 404)
    grown = service.resident - before
    print_input_row("calls with arguments of 1 MB and 20 MB", len(codes), codes.count(None), grown)
    assert codes == [400] * 20
    assert grown < 3 * ROOM_TO_GROW  # the one at work may hold a message of 20 MB, and its text


MALFORMED: list[tuple[Any, dict[str, Any]]] = [
    (b"{broken", {}),
    (b"", {}),
    (b"\xff\xfe\x00", {}),
    (b"null", {}),
    (b"[]", {}),
    (b'{"args": 5, "kwargs": []}', {}),
    (b'{"args": ["x"], "kwargs": {"__type__": "junk", "__value__": 1}}', {}),
    (b"[" * 50_000, {}),
    (b"1" * 10_000, {}),
    (b'{"args": ["nobody"], "kwargs": {}}', {"reply_to": None}),
    (b'{"args": ["nobody"], "kwargs": {}}', {"correlation_id": None}),
    (b'{"args": ["nobody"], "kwargs": {}}', {"correlation_id": "\u00e9" * 100}),
    (b'{"args": ["nobody"], "kwargs": {}}', {"content_type": None}),
    (b'{"args": ["nobody"], "kwargs": {}}', {"content_type": "application/x-python-serialize"}),
    (b'{"args": ["nobody"], "kwargs": {}}', {"content_encoding": "klingon"}),
    (b'{"args": ["nobody"], "kwargs": {}}', {"content_encoding": "binary"}),
    (b'{"args": ["nobody"], "kwargs": {}}', {"headers": {"compression": "application/x-gzip"}}),
    (b'{"args": ["nobody"], "kwargs": {}}', {"headers": {"nameko.call_id_stack": {"a": [1]}}}),
    (b'{"args": ["nobody"], "kwargs": {}}', {"headers": {"nameko.x": None, "": 1, "\u00e9" * 60: [1, {"b": 2.5}]}}),
    (
        b'{"args": ["nobody"], "kwargs": {}}',
        {"priority": 255, "type": "x" * 255, "message_id": "\x00", "expiration": 60},
    ),
    (b'{"args": ["nobody"], "kwargs": {}}', {"routing_key": "scheduler.__init__"}),
    (b'{"args": ["nobody"], "kwargs": {}}', {"routing_key": "scheduler."}),
    (b'{"args": ["nobody"], "kwargs": {}}', {"routing_key": "scheduler." + "\u00e9" * 100}),
]
ROUNDS = 100


def test_malformed_messages_do_no_harm_and_memory_stays(servers: Servers, service: RpcProcess) -> None:
    def send_all(rounds: int) -> None:
        for _ in range(rounds):
            for body, properties in MALFORMED:
                options = {
                    "routing_key": f"scheduler.{GET}",
                    "reply_to": "nobody-listens",
                    "correlation_id": "1",
                    "content_type": "application/json",
                    "content_encoding": "utf-8",
                } | properties
                producer.publish(body, **{name: value for name, value in options.items() if value is not None})

    with Connection(servers.amqp_uri) as connection, RpcClient(servers.amqp_uri) as client:
        producer = Producer(connection.channel(), exchange=Exchange("nameko-rpc", type="topic", durable=True))
        send_all(ROUNDS)
        eventually(lambda: client(GET, "nobody").code == 404)
        before = service.resident
        send_all(ROUNDS)
        eventually(lambda: client(GET, "nobody").code == 404)
        grown = service.resident - before
    print_input_row(f"{len(MALFORMED)} kinds of malformed messages", ROUNDS * len(MALFORMED), None, grown)
    assert grown < ROOM_TO_GROW


ODD_CHARACTERS = [*"/\\'\"`;%?#&*<>|${}~. ", "é", "😀", "\u202e", "\u200b", "\ufeff", "\u0301", "\uffff", "\ue000"]


@pytest.mark.parametrize("character", ODD_CHARACTERS)
def test_a_job_whose_id_has_an_odd_character_lives_like_any_other(
    servers: Servers, service: RpcProcess, character: str
) -> None:
    scheduler_id = f"{character}id{character}"
    with RpcClient(servers.amqp_uri) as client:
        for method, args in ((ADD, FIRST), (PAUSE, ()), (MODIFY, FIRST), (GET, ()), (REMOVE, ())):
            call = client(method, scheduler_id, *args)
            assert call.code == 200, call
            assert call.reply is not None
            assert call.reply["description"]["job_id"] == scheduler_id


@pytest.mark.parametrize("character", ["\x00", "\n", "\x1b", "\x7f", "\x85", "\ud800"])
def test_an_id_with_a_control_character_or_a_lone_surrogate_is_refused(
    servers: Servers, service: RpcProcess, character: str
) -> None:
    with RpcClient(servers.amqp_uri) as client:
        for method, args in ((ADD, FIRST), (GET, ()), (REMOVE, ())):
            assert client(method, f"a{character}b", *args).code == 400
