"""The mutants of the product, and a sample of them."""

import hashlib
from collections.abc import Iterable

from lab.mutants.mutations import Mutant, mutants_of
from lab.mutants.plan import FOLDERS
from lab.parts.places import ROOT


def all_mutants() -> list[Mutant]:
    """Return every mutant of the middle and the engines."""
    files = sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))
    return [mutant for path in files for mutant in mutants_of(str(path.relative_to(ROOT)), path.read_text())]


def sample(mutants: Iterable[Mutant], count: int, seed: int) -> list[Mutant]:
    """Return a random part of the mutants. A change of the code changes the sample there only."""
    drawn = sorted(mutants, key=lambda mutant: hashlib.sha256(f"{seed} {mutant.name}".encode()).digest())[:count]
    return sorted(drawn, key=lambda mutant: (mutant.file, mutant.place))
