"""The documentation as tests read it: fenced blocks, tables, links and names of files."""

import re
from pathlib import Path

from lab.parts.places import ROOT

PAGES = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", *(f"docs/{path.name}" for path in ROOT.glob("docs/*.md")))

_BLOCK = re.compile(r"^( *)```(\w+)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)


def text(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def blocks(page: str) -> list[tuple[str, str]]:
    """Return the fenced blocks of a page in order, each with its language."""
    return [(match[2], match[3]) for match in _BLOCK.finditer(text(page))]


def prose(page: str) -> str:
    """Return a page without its fenced blocks."""
    return _BLOCK.sub("", text(page))


def commands(page: str, program: str) -> list[str]:
    """Return the command lines of a page's console blocks that run a program."""
    lines = [
        line.removeprefix("$ ")
        for language, block in blocks(page)
        if language == "console"
        for line in block.replace("\\\n", " ").splitlines()
    ]
    return [line for line in lines if re.match(rf"(\S*/)?{program} ", line)]


def rows(page: str, heading: str) -> list[list[str]]:
    """Return the cells of the rows of the first table below a heading."""
    [section] = re.findall(rf"^#+ {re.escape(heading)}$(.*?)(?=^#|\Z)", prose(page), re.MULTILINE | re.DOTALL)
    [table, *_] = re.findall(r"(?:^\|.*\n)+", section, re.MULTILINE)
    return [[cell.strip() for cell in line.strip().strip("|").split("|")] for line in table.splitlines()[2:]]


def links(page: str) -> list[str]:
    """Return the targets of a page's links, those to other sites left out."""
    return [target for target in re.findall(r"\]\(([^)\s]+)\)", prose(page)) if "://" not in target]


def anchors(path: Path) -> set[str]:
    """Return the anchors of a page, as GitHub makes them from headings, and those that it names itself."""
    return set(anchors_in_order(path))


def anchors_in_order(path: Path) -> list[str]:
    """Return the anchors of a page with their repetitions: GitHub renames all but the first of those."""
    content = _BLOCK.sub("", path.read_text(encoding="utf-8"))
    headings = re.findall(r"^#+ (.*)$", content, re.MULTILINE)
    made = [re.sub(r"[^\w\- ]", "", re.sub(r"<[^>]*>", "", title)).lower().replace(" ", "-") for title in headings]
    return made + re.findall(r"<a name='([^']+)'>", content)


def section(page: str, anchor: str) -> str:
    """Return the text below a heading of the second level, up to the next one, without fenced blocks."""
    parts = re.split(r"^(?=## )", prose(page), flags=re.MULTILINE)
    [found] = [part for part in parts if part.startswith(f"## {anchor}\n") or f"<a name='{anchor}'>" in part]
    return found


def code_spans(content: str) -> set[str]:
    """Return the parts of a text between backticks."""
    return set(re.findall(r"`([^`\n]+)`", content))
