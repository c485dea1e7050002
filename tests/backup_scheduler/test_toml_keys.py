"""A hint for the policy file is TOML, whatever the policy's name is."""

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backup_scheduler.policies.toml_keys import policy_table


@pytest.mark.parametrize(
    ("name", "header"),
    [
        ("nightly", "[policies.nightly]"),
        ("db-1_a", "[policies.db-1_a]"),
        ("db.prod", '[policies."db.prod"]'),
        ("文档", '[policies."文档"]'),
        ("my policy", '[policies."my policy"]'),
        ("", '[policies.""]'),
        ("a\x7f", r'[policies."a\u007f"]'),
        ('a"b\\c', r'[policies."a\"b\\c"]'),
    ],
)
def test_a_name_is_quoted_where_toml_wants_it(name: str, header: str) -> None:
    assert policy_table(name) == header


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_every_name_comes_back_from_the_header(name: str) -> None:
    assert tomllib.loads(policy_table(name)) == {"policies": {name: {}}}
