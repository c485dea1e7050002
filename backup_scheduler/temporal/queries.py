"""Conditions of visibility queries, with any text in them."""

import re
from typing import Final

_UNFINDABLE: Final = re.compile(r'["\\]')


def equals(attribute: str, text: str) -> str:
    """Return the condition that an attribute is a text; it finds more where `is_exact` says no."""
    return f"{attribute}={_quoted(text)}" if is_exact(text) else starts_with(attribute, text)


def starts_with(attribute: str, text: str) -> str:
    """Return the condition that an attribute begins with a text; it finds more where `is_exact` says no.

    The development server does not tell small from capital letters of ASCII in it.
    """
    findable = _UNFINDABLE.split(text)[0]
    return f"{attribute} STARTS_WITH {_quoted(findable)}" if findable else f"{attribute} IS NOT NULL"


def is_exact(text: str) -> bool:
    """Return whether a query can find a text as it is (docs/temporal-facts.md#queries-stop-at-quotes)."""
    return not _UNFINDABLE.search(text)


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
