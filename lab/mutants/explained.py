"""Mutants that no test has to kill, each with its reason."""

from typing import Final

EXPLAINED: Final[dict[str, str]] = {}
"""Name of a mutant, and why it is no fault."""
