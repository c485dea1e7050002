"""Conditions of visibility queries."""

import re


def equals(attribute: str, value: str) -> str:
    """Return a condition that holds where an attribute has a value; with some values it holds for others, too.

    No query finds more of a value than the part before a double quote or a backslash
    (docs/temporal-facts.md#queries-stop-at-quotes), so what is found has to be compared.
    """
    findable = re.split(r'["\\]', value)[0]
    quoted = findable.replace("'", "''")
    operator = "=" if findable == value else " STARTS_WITH "
    return f"{attribute}{operator}'{quoted}'"
