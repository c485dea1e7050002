"""Pages agree with each other, with the code that names their anchors, and with the picture."""

import re
import xml.etree.ElementTree as ET
from collections import Counter

import pytest

from backup_scheduler.contract.methods import CHECK, GET_ALL, METHODS, MODIFY
from lab.parts.places import ROOT
from tests.support.pages import PAGES, anchors, anchors_in_order, blocks, code_spans, links, prose, section, text

ENGLISH, CHINESE = "docs/api.md", "docs/api.zh.md"
REPEATS = {"CHANGELOG.md"}
"""Pages whose headings repeat by their form: each release has its own "Added"."""

_CODE = ("*.py", "*.sh", "*.toml", "*.yml", "*.service", "*.example", "Makefile")


@pytest.mark.parametrize("page", [page for page in PAGES if page not in REPEATS])
def test_no_anchor_is_there_twice(page: str) -> None:
    assert [anchor for anchor, times in Counter(anchors_in_order(ROOT / page)).items() if times > 1] == []


def test_every_anchor_that_code_names_exists() -> None:
    named = {
        (page, anchor, path)
        for pattern in _CODE
        for path in ROOT.rglob(pattern)
        if not any(part.startswith(".") for part in path.relative_to(ROOT).parts)
        for page, anchor in re.findall(r"\b([\w.-]+\.md)#([\w-]+)", path.read_text(encoding="utf-8"))
    }
    assert named
    for page, anchor, path in named:
        places = [ROOT / name for name in PAGES if name in (page, f"docs/{page}")]
        assert any(anchor in anchors(place) for place in places), f"{path.relative_to(ROOT)}: {page}#{anchor}"


def test_code_cites_a_fact_or_a_rule_by_its_anchor() -> None:
    bare = re.compile(r"\((?:Temporal fact|contract)\)")
    for part in ("backup_scheduler", "activities", "workflows", "rpc_service", "devstack", "lab"):
        modules = [*(ROOT / part).rglob("*.py")]
        assert modules, part
        for path in modules:
            assert not bare.search(path.read_text(encoding="utf-8")), path


def _settings(page: str) -> set[str]:
    return set(re.findall(r"\b(?:SCHEDULER|TEMPORAL|AMQP)_[A-Z_]*[A-Z]", text(page)))


def _arguments(content: str) -> list[str]:
    """Return the first cells of the rows of tables whose type is one of Python's."""
    return re.findall(r"^\|\s*([*\w]+)\s*\|[^|]*\|\s*(?:str|int|bool|dict|JSON)", content, re.MULTILINE)


def _codes(content: str) -> set[str]:
    [line] = re.findall(r"^(?:Codes: |\*\*状态码\*\*：)(.*)$", content, re.MULTILINE)
    return set(re.findall(r"\b[2-5]\d\d\b", line))


@pytest.mark.parametrize("method", sorted(METHODS))
def test_both_interface_pages_give_a_method_the_same_arguments_and_codes(method: str) -> None:
    english, chinese = section(ENGLISH, method), section(CHINESE, method)
    assert _arguments(english) == _arguments(chinese)
    # A check-up tells of a Temporal that is away.
    assert _codes(english) == _codes(chinese) >= ({"200"} if method == CHECK else {"200", "503", "504"})
    assert bool(_arguments(english)) == (method not in (GET_ALL, MODIFY))


def test_both_interface_pages_explain_the_same_codes_in_the_same_order() -> None:
    def codes(page: str, heading: str) -> list[str]:
        return re.findall(r"^\|\s*(\d{3})\s*\|", section(page, heading), re.MULTILINE)

    assert codes(ENGLISH, "Codes") == codes(CHINESE, "状态码") != []


def test_both_interface_pages_name_the_same_settings() -> None:
    assert _settings(ENGLISH) == _settings(CHINESE) != set()


def test_both_interface_pages_have_the_same_words_of_code() -> None:
    assert code_spans(prose(ENGLISH)) == code_spans(prose(CHINESE)) != set()


def test_both_interface_pages_show_the_same_examples() -> None:
    def kinds(page: str) -> list[str]:
        return [language for language, _ in blocks(page)]

    assert kinds(ENGLISH) == kinds(CHINESE) != []


def test_both_interface_pages_have_the_same_sections() -> None:
    def levels(page: str) -> list[str]:
        return re.findall(r"^(##+) (?!索引)", prose(page), re.MULTILINE)

    assert levels(ENGLISH) == levels(CHINESE) != []


def test_every_picture_is_shown() -> None:
    pictures = {path.name for path in (ROOT / "docs/images").iterdir()}
    assert pictures == {link.rpartition("/")[2] for page in PAGES for link in links(page) if "images/" in link}


def test_the_index_lists_every_page() -> None:
    listed = {link.removeprefix("../") for link in links("docs/README.md")}
    assert {page.removeprefix("docs/") for page in PAGES} - {"README.md"} <= listed


def test_the_picture_is_made_from_its_source() -> None:
    source = (ROOT / "docs/components.dot").read_text(encoding="utf-8")
    labels = re.findall(r'label="([^"]*)"', source)
    written = Counter(line for label in labels for line in label.split("\\n") if line)
    picture = ET.fromstring((ROOT / "docs/components.svg").read_text(encoding="utf-8"))
    shown = Counter("".join(element.itertext()) for element in picture.iter() if element.tag.endswith("}text"))
    assert shown == written != Counter()


def test_every_path_in_the_picture_exists() -> None:
    source = (ROOT / "docs/components.dot").read_text(encoding="utf-8")
    words = " ".join(re.findall(r'label="([^"]*)"', source)).replace("\\n", " ").split()
    paths = [word for word in words if word.endswith(("/", ".py"))]
    assert paths
    for path in paths:
        assert (ROOT / path).exists(), path
