"""Texts of the outside world, such as reason phrases, bodies and restic's messages: they can hold anything."""

import re
from typing import Annotated

from pydantic import BeforeValidator

LONGEST = 2000
"""Characters that are kept; a failure with all its texts has to fit into a history."""

_UNSEEN = re.compile(r" ?[{0}][ {0}]*".format(r"\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069"))
"""Control characters, line ends, and characters that turn the direction of writing."""
_CREDENTIALS = re.compile(r"://\S*@")
"""Whatever stands before the last @ of a word: people forget to encode characters of a password."""


def encodable(text: str) -> str:
    """Replace lone surrogates; a pair of surrogates becomes its character.

    UTF-8, and so Temporal, refuses them (docs/temporal-facts.md#lone-surrogates-break-failures).
    """
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def clean(text: str, longest: int = LONGEST) -> str:
    """Make a text fit for failures, results, logs and terminals: one line, encodable and not too long."""
    cleaned = _UNSEEN.sub(" ", encodable(text[:longest])).strip()
    return cleaned if len(text) <= longest else f"{cleaned}…"


def redact(text: str) -> str:
    """Remove user names and passwords from the URLs in a text."""
    return _CREDENTIALS.sub("://***@", text)


CleanText = Annotated[str, BeforeValidator(lambda value: clean(value) if isinstance(value, str) else value)]
"""A field that takes any text and keeps it clean."""
