"""AMQP_URI is refused with a sentence where kombu would fail later, and taken where kombu reads it."""

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kombu.utils.url import parse_url

from backup_scheduler.broker_uri import fault_of

ENCODE = "user and password must be percent-encoded"


@pytest.mark.parametrize(
    ("uri", "fault"),
    [
        ("amqp://u:pa#ss@host:5672/", ENCODE),
        ("amqp://u:pa/ss@host:5672/", ENCODE),
        ("amqp://u:pa?ss@host:5672/", ENCODE),
        ("amqp://u:pa[ss@host:5672/", ENCODE),
        ("amqp://u:pa/ss", ENCODE),
        ("amqp://u:pass#", ENCODE),
        ("ampq://u:pass@host/", "must begin with amqp:// or amqps://, not ampq://"),
        ("127.0.0.1:5673", "must begin with amqp:// or amqps://"),
        ("u:pass@host", "must begin with amqp:// or amqps://"),
        ("amqp://u:pass@host:99999/", "must have a port from 1 to 65535"),
        ("amqp://u:pass@host:0/", "must have a port from 1 to 65535"),
        ("amqp://u:pass@host:port/", "must have a port from 1 to 65535"),
        ("amqp://u:pass@host: 5672/", "must be a URI without blanks"),
        ("amqp://u:pass@host/;ampq://u:pass@other/", "node 2: must begin with amqp://"),
        ("amqp://u:pass@host/;", "node 2: must begin with amqp://"),
        ("amqp://u:pass@rabbitmq..example.org/", "must have the name of a host"),
        (f"amqp://u:pass@{'a' * 64}.example.org/", "must have the name of a host"),
    ],
)
def test_a_wrong_uri_is_refused_with_what_would_be_right_and_without_its_password(uri: str, fault: str) -> None:
    fault_found = fault_of(uri)
    assert fault_found is not None
    assert fault in fault_found
    assert "such as 'amqp://user:password@rabbitmq.example.org:5672/'" in fault_found
    assert "pass@" not in fault_found


@pytest.mark.parametrize(
    "uri",
    [
        "amqp://guest:guest@localhost:5672",
        "amqp://guest:guest@localhost:5672/",
        "pyamqp://guest:guest@localhost",
        "amqps://u:p%23%2F@rabbitmq.example.org:5671/v%2Fhost?heartbeat=10",
        "amqp://u:p1@a:5672/;amqp://u:p2@b:5672/",
        "amqp://u:p@[::1]:5672/",
        "amqp://u:p@ss@host/",
        "amqp://host",
    ],
)
def test_a_uri_that_kombu_reads_is_taken(uri: str) -> None:
    assert fault_of(uri) is None


@given(st.text(min_size=1), st.integers(1, 65535))
def test_every_password_can_be_given_percent_encoded(password: str, port: int) -> None:
    uri = f"amqp://user:{quote(password, safe='', errors='replace')}@host:{port}/"
    assert fault_of(uri) is None
    assert parse_url(uri)["port"] == port
