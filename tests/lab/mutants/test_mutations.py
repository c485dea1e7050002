"""What a mutant is, which ones are drawn, and what their score is."""

import ast
import textwrap
from collections import Counter

import pytest

from lab.mutants.explained import EXPLAINED
from lab.mutants.mutations import Mutant, mutants_of
from lab.mutants.plan import own_tests
from lab.mutants.results import Result, killed_in, score, table
from lab.mutants.sample import all_mutants, sample
from lab.mutants.trial import Suite
from lab.parts.places import ROOT


def changes(code: str) -> list[str]:
    return [f"{each.kind}: {each.old} -> {each.new}" for each in mutants_of("a.py", textwrap.dedent(code))]


@pytest.fixture(scope="module")
def mutants() -> list[Mutant]:
    return all_mutants()


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("a < b", ["comparison: a < b -> a <= b"]),
        ("(a) is not (b)", ["comparison: (a) is not (b) -> (a) is (b)"]),
        ("a <= b == c", ["comparison: a <= b == c -> a < b == c", "comparison: a <= b == c -> a <= b != c"]),
        ("a and b and c", ["boolean: a and b and c -> a or b and c", "boolean: a and b and c -> a and b or c"]),
        ("not a", ["boolean: not a -> a"]),
        ("a if b else c", ["condition: a if b else c -> a if (not (b)) else c"]),
        ("[a for a in b if c]", ["condition: [a for a in b if c] -> [a for a in b if (not (c))]"]),
        ("a + b", ["arithmetic: a + b -> a - b"]),
        ("x = 7", ["constant: 7 -> 8"]),
        ("x = True", ["constant: True -> False"]),
        ("x = 'text'", ["string: 'text' -> \"\""]),
        ("x = f'{a} text'", ["string: f'{a} text' -> \"\""]),
        ("x = b'text'", ["string: b'text' -> b\"\""]),
        ("x = ''", []),
        ("def f():\n    return a", ["return value: return a -> return None"]),
        ("def f():\n    return None", []),
        ("await f()", ["statement: await f() -> pass"]),
        ("raise a", ["statement: raise a -> pass"]),
        ("a.b = c", ["statement: a.b = c -> pass"]),
        ("a = c", []),
        ("x = f(a, b=c, d=e)", ["keyword: f(a, b=c, d=e) -> f(a, d=e)", "keyword: f(a, b=c, d=e) -> f(a, b=c, )"]),
    ],
)
def test_each_kind_of_node_is_changed_in_its_way(code: str, expected: list[str]) -> None:
    assert changes(code) == expected


@pytest.mark.parametrize(
    "code",
    [
        '"""Docstring."""',
        'class A:\n    """Docstring."""\n    a: int\n    """Text of a field."""',
        '_log.warning("text", field=1 + 2)',
        "await log.ainfo('text')",
        "self._log_losses(1)",
        'a: Literal["text"]',
        'def f(a: "Text") -> "Text": ...',
        "T = TypeVar('T')",
        "A = B | C",
    ],
)
def test_texts_for_programmers_log_lines_and_types_are_left_alone(code: str) -> None:
    assert changes(code) == []


def test_the_rules_of_a_field_are_changed_though_they_stand_in_its_type() -> None:
    assert changes("a: Annotated[int, Field(gt=b)]") == ["keyword: Field(gt=b) -> Field()"]


def test_a_mutant_has_a_name_of_its_own_with_the_function_that_it_is_in() -> None:
    code = "class A:\n    def f(self):\n        g(a < b, a < b)\n"
    names = [each.name for each in mutants_of("a.py", code) if each.kind == "comparison"]
    assert names == ["a.py A.f: a < b -> a <= b", "a.py A.f: a < b -> a <= b #2"]


def test_every_mutant_of_the_product_is_python_and_differs_in_one_place(mutants: list[Mutant]) -> None:
    assert len(mutants) > 2000
    assert set(Counter(each.name for each in mutants).values()) == {1}
    for mutant in sample(mutants, 300, 1):
        text = (ROOT / mutant.file).read_text()
        changed = mutant.changed(text)
        ast.parse(changed)
        start, end = mutant.place
        assert changed.encode()[:start] == text.encode()[:start]
        assert changed.encode()[start + len(mutant.replacement.encode()) :] == text.encode()[end:]


def test_a_seed_draws_the_same_mutants_again_and_another_seed_others(mutants: list[Mutant]) -> None:
    first, again, others = (sample(mutants, 50, seed) for seed in (1, 1, 2))
    assert len(first) == 50
    assert first == again != others


def test_a_change_of_the_code_leaves_the_rest_of_the_sample_as_it_was(mutants: list[Mutant]) -> None:
    removed = sample(mutants, 50, 1)[7]
    without = sample([each for each in mutants if each != removed], 50, 1)
    assert len(set(sample(mutants, 50, 1)) & set(without)) == 49


def test_every_file_has_tests_that_are_there(mutants: list[Mutant]) -> None:
    for file in {mutant.file for mutant in mutants}:
        own = own_tests(file)
        assert own.quick
        assert all((ROOT / place).exists() for place in (*own.quick, *own.slow))


def test_an_explained_mutant_is_one_of_the_code_and_has_a_reason(mutants: list[Mutant]) -> None:
    names = {each.name for each in mutants}
    assert not EXPLAINED.keys() - names, "the code has changed: explain it anew, or leave it out"
    assert all(EXPLAINED.values())


@pytest.mark.parametrize(
    ("code", "output", "killed_by"),
    [
        (0, "2 passed", []),
        (5, "no tests ran", []),
        (1, "FAILED tests/test_a.py::test_b - assert 1 == 2\n1 failed", ["tests/test_a.py::test_b"]),
        (1, "ERROR tests/test_a.py::test_b - OSError\nERROR tests/test_a.py::test_c", ["tests/test_a.py::test_b"]),
        (2, "ERROR tests/test_a.py - SyntaxError", ["the import"]),
        (4, "ImportError while loading conftest", ["the import"]),
        (-15, "", ["the time limit"]),
    ],
)
def test_a_mutant_is_alive_only_when_the_tests_pass(code: int, output: str, killed_by: list[str]) -> None:
    assert Suite(("tests",)).caught(code, output) == killed_by


def results(killed: int, alive: int, explained: int) -> list[Result]:
    mutant = Mutant("a/b.py", "f", "constant", "1", "2", 1, (0, 1), "2")
    return [
        *(Result(mutant, "", "a test") for _ in range(killed)),
        *(Result(mutant, "") for _ in range(alive)),
        *(Result(mutant, "the same") for _ in range(explained)),
    ]


def test_the_score_counts_explained_mutants_apart() -> None:
    assert score(results(killed=19, alive=1, explained=10)) == (19, 20, 95.0)
    text, percent = table(results(killed=19, alive=1, explained=10))
    assert percent == 95.0
    assert "19 of 20 mutants killed: 95.0 % (aim: 95 %)" in text
    assert text.count("ALIVE: line 1 of a/b.py f: 1 -> 2") == 1
    assert text.count("the same") == 10


def test_what_was_killed_is_read_from_the_results_of_a_run() -> None:
    [killed, alive, explained] = results(killed=1, alive=1, explained=1)
    text = "".join(f"{each}\n" for each in (alive, killed, explained))
    assert killed_in(text) == {"a/b.py f: 1 -> 2": "a test"}
    assert killed_in("".join(f"{each}\n" for each in (alive, explained))) == {}


def test_an_explanation_of_a_mutant_that_is_killed_is_named() -> None:
    [*killed] = [Result(each.mutant, "the same", "a test") for each in results(1, 0, 0)]
    assert score(killed) == (1, 1, 100.0)
    assert "explained, but killed by a test" in table(killed)[0]
