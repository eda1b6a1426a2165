"""Selectors: what they may say, and what they find in a case."""

from __future__ import annotations

import pytest
from cases import case_of
from hypothesis import given
from hypothesis import strategies as st

from evalkit.core.dataset import Case, Selector
from evalkit.core.mapping.mapping import Found, Missing, parse_selector, resolve
from evalkit.errors import InputError


@pytest.mark.parametrize(
    ("text", "file", "path"),
    [
        ("input.yaml:question", "input.yaml", "question"),
        ("input.yaml:context.details", "input.yaml", "context.details"),
        ("reference.md:__file__", "reference.md", "__file__"),
        ("reference/page.adoc:__file__", "reference/page.adoc", "__file__"),
        ("./input.yaml:question", "input.yaml", "question"),
        ("  input.yaml:question ", "input.yaml", "question"),
        ("12:30 call.txt:__file__", "12:30 call.txt", "__file__"),
        ("12:30 call.yaml:when:hour", "12:30 call.yaml", "when:hour"),
        ("input.JSON:a:b", "input.JSON", "a:b"),
        ("notes..md:__file__", "notes..md", "__file__"),
        ("input.yaml:a..b", "input.yaml", "a..b"),
        ("reference/*.adoc:__file__", "reference/*.adoc", "__file__"),
    ],
)
def test_a_selector_is_a_file_and_a_path(text: str, file: str, path: str) -> None:
    assert parse_selector(text) == Selector(file, path)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "names no file"),
        ("question", "names no file"),
        ("input.yaml:", "names no field"),
        ("input.yaml:  ", "names no field"),
        ("/etc/passwd:__file__", "absolute"),
        ("C:/Windows/win.ini:__file__", "absolute"),
        ("../secrets.yaml:key", "leads out"),
        ("a/../../b.yaml:key", "leads out"),
        ("./../b.yaml:key", "leads out"),
        ("..:__file__", "leads out"),
        ("a//b.yaml:key", "no plain path"),
        ("a/./b.yaml:key", "no plain path"),
        ("..\\secrets.yaml:key", "backslash"),
        ("a\\..\\b.yaml:key", "backslash"),
        ("input.yaml\x00.md:__file__", "control character"),
        ("in\nput.yaml:key", "control character"),
        ("input.yaml:key\x00", "control character"),
        ("cases/*.yaml:key", "several files"),
    ],
)
def test_a_selector_that_could_lead_elsewhere_is_refused(text: str, complaint: str) -> None:
    with pytest.raises(InputError, match=complaint) as caught:
        parse_selector(text)
    assert all(problem.fix for problem in caught.value.problems)


def test_all_that_is_wrong_with_a_selector_is_said_at_once() -> None:
    with pytest.raises(InputError) as caught:
        parse_selector("/a\\b.yaml:")
    assert len(caught.value.problems) == 3


@given(st.text(max_size=40))
def test_any_text_is_a_selector_inside_the_case_or_an_input_error(text: str) -> None:
    try:
        selector = parse_selector(text)
    except InputError:
        return
    assert ".." not in selector.file.split("/")
    assert not selector.file.startswith("/")


CASE = case_of(
    "refund",
    {
        "input.yaml": {
            "question": "Where is it?",
            "context": {"order": {"total": 3}, "order.total": 4},
            "turns": [{"text": "hello"}, {"text": "bye"}],
            "nothing": None,
            "a.b": {"c": 5},
            "a": {"b": {"d": 6}},
        },
        "messages.json": [{"role": "user"}],
        "reference.md": "# Gold",
        "odd[1].md": "brackets",
        "pages/a.adoc": "A",
        "pages/b.adoc": "B",
        "pages/deep/c.adoc": "C",
        "photo.png": None,
    },
)


@pytest.mark.parametrize(
    ("selector", "value"),
    [
        ("input.yaml:question", "Where is it?"),
        ("input.yaml:context.order.total", 4),  # the key of exactly that name comes first
        ("input.yaml:turns.1.text", "bye"),
        ("input.yaml:nothing", None),
        ("input.yaml:a.b.c", 5),
        ("input.yaml:a.b.d", 6),  # a dead end under "a.b" does not hide "a"
        ("messages.json:0.role", "user"),
        ("messages.json:__file__", [{"role": "user"}]),
        ("reference.md:__file__", "# Gold"),
        ("odd[1].md:__file__", "brackets"),
        ("pages/*.adoc:__file__", {"pages/a.adoc": "A", "pages/b.adoc": "B"}),
        ("pages/?.adoc:__file__", {"pages/a.adoc": "A", "pages/b.adoc": "B"}),
    ],
)
def test_a_selector_finds(selector: str, value: object) -> None:
    assert resolve(parse_selector(selector), CASE) == Found(value)


@pytest.mark.parametrize(
    ("selector", "why"),
    [
        ("other.yaml:question", "has no file other.yaml"),
        ("pages/*.md:__file__", r"has no file pages/\*.md"),
        ("odd[2].md:__file__", "has no file"),
        ("input.yaml:answer", "it has: a, a.b, context"),
        ("input.yaml:turns.2.text", "no item 2, the list has 2"),
        ("input.yaml:turns.-1.text", "no item -1"),
        ("input.yaml:nothing.more", "has no field"),
        ("input.yaml:question.more", "text ends it"),
        ("reference.md:title", "no YAML or JSON"),
        ("photo.png:__file__", "no text, or too large"),
    ],
)
def test_a_selector_that_finds_nothing_says_why(selector: str, why: str) -> None:
    result = resolve(parse_selector(selector), CASE)
    assert isinstance(result, Missing)
    with pytest.raises(AssertionError, match=why):
        raise AssertionError(result.why)


def test_a_file_whose_name_looks_like_a_pattern_is_itself() -> None:
    case = Case("x", ("a*.md", "ab.md"), texts={"a*.md": "star", "ab.md": "other"})
    assert resolve(Selector("a*.md", "__file__"), case) == Found("star")


def test_the_whole_text_of_a_document_is_preferred_to_its_content() -> None:
    case = Case("x", ("a.json",), documents={"a.json": [1]}, texts={"a.json": "[1]"})
    assert resolve(Selector("a.json", "__file__"), case) == Found("[1]")
