"""Mutants of a source file: each changes one node of it, as a person might by mistake."""

import ast
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

_AROUND = 40
"""Characters of the node that are shown on each side of a change."""
_LONGEST = 80
"""Characters of a change that are shown."""

_COMPARISONS: Final = {
    ast.Lt: ("<", "<="),
    ast.LtE: ("<=", "<"),
    ast.Gt: (">", ">="),
    ast.GtE: (">=", ">"),
    ast.Eq: ("==", "!="),
    ast.NotEq: ("!=", "=="),
    ast.Is: ("is", "is not"),
    ast.IsNot: (r"is\s+not", "is"),
    ast.In: ("in", "not in"),
    ast.NotIn: (r"not\s+in", "in"),
}
_ARITHMETIC: Final = {
    ast.Add: (r"\+", "-"),
    ast.Sub: ("-", "+"),
    ast.Mult: (r"\*", "/"),
    ast.Div: ("/", "*"),
    ast.FloorDiv: ("//", "*"),
    ast.Mod: ("%", "*"),
    ast.BitOr: (r"\|", "&"),
    ast.BitAnd: ("&", "|"),
}
_LOGGING: Final = re.compile(r"\b(?:_?log|_?logger|logging)(?:\(\))?\.\w+$|\._log_\w+$")
"""The function of a log line, or a method that only logs; what people read in a log is no promise."""
_FUNCTIONS: Final = (ast.FunctionDef, ast.AsyncFunctionDef)

Edit = tuple[int, int, str]
"""Start and end in the UTF-8 text, and what takes the place."""


@dataclass(frozen=True)
class Mutant:
    """A change of one node."""

    file: str
    """From the root of the project."""
    scope: str
    """Function or class, dotted; empty for a module."""
    kind: str
    old: str
    """The node around the change, on one line."""
    new: str
    line: int
    place: tuple[int, int]
    """Bytes of the file that are replaced."""
    replacement: str
    number: int = 0
    """Mutants of the same look before it in its scope."""

    @property
    def name(self) -> str:
        """A name that outlives changes elsewhere in the file; an explanation finds its mutant by it."""
        number = f" #{self.number + 1}" if self.number else ""
        return f"{self.file} {self.scope}: {self.old} -> {self.new}{number}"

    def changed(self, text: str) -> str:
        """Return the text of the file with the change."""
        source = text.encode()
        start, end = self.place
        return (source[:start] + self.replacement.encode() + source[end:]).decode()


def mutants_of(file: str, text: str) -> list[Mutant]:
    """Return all mutants of a file. Log lines, docstrings and types have none."""
    found = _Finder(file, text).found()
    seen: Counter[str] = Counter()
    numbered = []
    for mutant in found:
        numbered.append(Mutant(**(vars(mutant) | {"number": seen[mutant.name]})))
        seen[mutant.name] += 1
    return numbered


class _Finder:
    def __init__(self, file: str, text: str) -> None:
        self._file = file
        self._source = text.encode()
        self._lines = [0]
        for line in self._source.splitlines(keepends=True):
            self._lines.append(self._lines[-1] + len(line))
        self._tree = ast.parse(text)

    def found(self) -> list[Mutant]:
        mutants = []
        for node, scope in _walk(self._tree, ""):
            for kind, (start, end, replacement) in self._edits(node):
                # What is shown is the node, which tells more than an operator.
                first, last = self._span(node)
                before, old, after = (
                    self._source[a:b].decode() for a, b in ((first, start), (start, end), (end, last))
                )
                shown = [f"{before[-_AROUND:]}{_shortened(each)}{after[:_AROUND]}" for each in (old, replacement)]
                old, new = (" ".join(each.split()) for each in shown)
                mutants.append(Mutant(self._file, scope, kind, old, new, node.lineno, (start, end), replacement))
        return [each for each in mutants if each.old != each.new]

    def _edits(self, node: ast.AST) -> Iterator[tuple[str, Edit]]:
        for kind, edits in _KINDS.items():
            for edit in edits(self, node):
                yield kind, edit

    def _span(self, node: ast.AST) -> tuple[int, int]:
        return (
            self._lines[node.lineno - 1] + node.col_offset,  # type: ignore[attr-defined]  # only nodes with a place
            self._lines[node.end_lineno - 1] + node.end_col_offset,  # type: ignore[attr-defined]  # as above
        )

    def _text(self, node: ast.AST) -> str:
        return self._source[slice(*self._span(node))].decode()

    def _operator(self, left: ast.AST, right: ast.AST, old: str, new: str) -> Iterator[Edit]:
        """Yield the edit of an operator, which is somewhere between its operands."""
        begin, end = self._span(left)[1], self._span(right)[0]
        between = self._source[begin:end].decode()
        if found := None if "#" in between else re.search(old, between):
            yield begin + len(between[: found.start()].encode()), begin + len(between[: found.end()].encode()), new

    def comparison(self, node: ast.AST) -> Iterator[Edit]:
        if isinstance(node, ast.Compare):
            for left, operator, right in zip([node.left, *node.comparators], node.ops, node.comparators, strict=False):
                yield from self._operator(left, right, *_COMPARISONS[type(operator)])

    def boolean(self, node: ast.AST) -> Iterator[Edit]:
        if isinstance(node, ast.BoolOp):
            old, new = ("and", "or") if isinstance(node.op, ast.And) else ("or", "and")
            for left, right in zip(node.values, node.values[1:], strict=False):
                yield from self._operator(left, right, rf"\b{old}\b", new)
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            start = self._span(node)[0]
            yield start, start + len("not"), ""

    def condition(self, node: ast.AST) -> Iterator[Edit]:
        tests = [node.test] if isinstance(node, (ast.If, ast.IfExp, ast.While)) else []
        tests += [test for generator in getattr(node, "generators", ()) for test in generator.ifs]
        for test in tests:
            if not isinstance(test, (ast.Compare, ast.BoolOp, ast.UnaryOp, ast.Constant)):
                yield *self._span(test), f"(not ({self._text(test)}))"

    def arithmetic(self, node: ast.AST) -> Iterator[Edit]:
        if isinstance(node, ast.BinOp) and type(node.op) in _ARITHMETIC:
            yield from self._operator(node.left, node.right, *_ARITHMETIC[type(node.op)])

    def constant(self, node: ast.AST) -> Iterator[Edit]:
        if isinstance(node, ast.Constant):
            if isinstance(node.value, bool):
                yield *self._span(node), str(not node.value)
            elif isinstance(node.value, (int, float)):
                yield *self._span(node), str(node.value + 1)

    def string(self, node: ast.AST) -> Iterator[Edit]:
        value = node.value if isinstance(node, ast.Constant) else None
        if isinstance(node, ast.JoinedStr) or (isinstance(value, (str, bytes)) and value):
            yield *self._span(node), 'b""' if isinstance(value, bytes) else '""'

    def result(self, node: ast.AST) -> Iterator[Edit]:
        if isinstance(node, ast.Return) and node.value and not _is_none(node.value):
            yield *self._span(node.value), "None"

    def statement(self, node: ast.AST) -> Iterator[Edit]:
        if isinstance(node, (ast.Raise, ast.AugAssign, ast.Delete)) or (
            isinstance(node, ast.Expr) and isinstance(node.value, (ast.Call, ast.Await))
        ):
            yield *self._span(node), "pass"
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], (ast.Attribute, ast.Subscript)):
            yield *self._span(node), "pass"

    def keyword(self, node: ast.AST) -> Iterator[Edit]:
        for keyword in node.keywords if isinstance(node, ast.Call) else ():
            start, end = self._span(keyword)
            behind = re.match(rb"\s*,", self._source[end:])
            yield start, end + (behind.end() if behind else 0), ""


_KINDS: Final[dict[str, Callable[[_Finder, ast.AST], Iterator[Edit]]]] = {
    "comparison": _Finder.comparison,
    "boolean": _Finder.boolean,
    "condition": _Finder.condition,
    "arithmetic": _Finder.arithmetic,
    "constant": _Finder.constant,
    "string": _Finder.string,
    "return value": _Finder.result,
    "statement": _Finder.statement,
    "keyword": _Finder.keyword,
}


def _walk(node: ast.AST, scope: str) -> Iterator[tuple[ast.expr | ast.stmt, str]]:
    """Yield the nodes that may be changed, each with its scope."""
    for child in _children(node):
        inner = scope
        if isinstance(child, (*_FUNCTIONS, ast.ClassDef)):
            inner = f"{scope}.{child.name}".lstrip(".")
        if isinstance(child, (ast.expr, ast.stmt)):
            yield child, scope
        if not isinstance(child, ast.JoinedStr):  # Python 3.11 does not know where its parts are
            yield from _walk(child, inner)


def _children(node: ast.AST) -> Iterator[ast.AST]:
    for field, value in ast.iter_fields(node):
        for child in value if isinstance(value, list) else [value]:
            if not isinstance(child, ast.AST) or _is_text(child) or _is_log_line(child):
                continue
            if field in ("annotation", "returns"):
                yield from _calls(child)  # the rules of a field
            elif not _is_only_for_types(child):
                yield child


def _calls(node: ast.AST) -> Iterator[ast.Call]:
    """Yield the outermost calls."""
    if isinstance(node, ast.Call):
        yield node
    else:
        for child in ast.iter_child_nodes(node):
            yield from _calls(child)


def _is_text(node: ast.AST) -> bool:
    """Tell docstrings, also those below constants and fields."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _is_log_line(node: ast.AST) -> bool:
    call = node.value if isinstance(node, ast.Expr) else None
    call = call.value if isinstance(call, ast.Await) else call
    return isinstance(call, ast.Call) and _LOGGING.search(ast.unparse(call.func)) is not None


def _is_only_for_types(node: ast.AST) -> bool:
    if isinstance(node, ast.Call):
        return ast.unparse(node.func) in ("TypeVar", "cast")
    if isinstance(node, ast.Assign):  # an alias
        return isinstance(node.value, ast.BinOp) and isinstance(node.value.op, ast.BitOr)
    return isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"


def _is_none(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def _shortened(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
