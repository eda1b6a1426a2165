"""Selectors, the mapping file, and what a mapping makes of cases."""

import json
import re

import pytest
from cases import case_of, cases_of

from evalkit.dataset.mapping import (
    SchemaMapping,
    Selector,
    apply_mapping,
    check_mapped,
    look_up,
    mapping_text,
    parse_mapping,
    parse_selector,
)
from evalkit.errors import InputError


@pytest.mark.parametrize(
    ("text", "file", "path"),
    [
        ("reference/page.adoc:__file__", "reference/page.adoc", "__file__"),
        ("./input.yaml:question", "input.yaml", "question"),
        ("12:30 call.yaml:when:hour", "12:30 call.yaml", "when:hour"),
        ("input.JSON:a:b", "input.JSON", "a:b"),
        ("input.yaml:a..b", "input.yaml", "a..b"),
    ],
)
def test_a_selector_is_a_file_and_a_path(text, file, path):
    assert parse_selector(text) == Selector(file, path)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "names no file"),
        ("input.yaml:", "names no field"),
        ("/etc/passwd:__file__", "no path inside"),
        ("../secrets.yaml:key", "no path inside"),
        ("a/../../b.yaml:key", "no path inside"),
        ("a//b.yaml:key", "no path inside"),
        ("C:/b.yaml:key", "a drive"),
        ("..\\secrets.yaml:key", "backslash"),
        ("input.yaml\x00.md:__file__", "control character"),
        ("input.yaml:key\x00", "control character"),
        ("cases/*.yaml:key", "several files"),
    ],
)
def test_a_selector_that_could_lead_elsewhere_is_refused(text, complaint):
    with pytest.raises(InputError, match=complaint) as caught:
        parse_selector(text)
    assert all(problem.fix for problem in caught.value.problems)


FIELDS = {
    "question": "Where is it?",
    "context": {"order": {"total": 3}, "order.total": 4},
    "turns": [{"text": "hello"}, {"text": "bye"}],
    "nothing": None,
    "a.b": {"c": 5},
    "a": {"b": {"d": 6}},
}
FILES = {
    "input.yaml": FIELDS,
    "messages.json": [{"role": "user"}],
    "odd[1].md": "brackets",
    "pages/a.adoc": "A",
    "pages/b.adoc": "B",
    "pages/deep/c.adoc": "C",
    "photo.png": None,
    "reference.md": "# Gold",
}
CASE = case_of("refund", FILES)


@pytest.mark.parametrize(
    ("selector", "value"),
    [
        ("input.yaml:context.order.total", 4),  # the key of exactly that name comes first
        ("input.yaml:turns.1.text", "bye"),
        ("input.yaml:nothing", None),
        ("input.yaml:a.b.c", 5),
        ("input.yaml:a.b.d", 6),  # a dead end under "a.b" does not hide "a"
        ("messages.json:__file__", [{"role": "user"}]),
        ("odd[1].md:__file__", "brackets"),
        ("pages/*.adoc:__file__", {"pages/a.adoc": "A", "pages/b.adoc": "B"}),
    ],
)
def test_a_selector_finds(selector, value):
    assert look_up(parse_selector(selector), CASE) == (value, "")


@pytest.mark.parametrize(
    ("selector", "why"),
    [
        ("other.yaml:question", "has no file other.yaml"),
        ("pages/*.md:__file__", r"has no file pages/\*.md"),
        ("input.yaml:answer", "it has: a, a.b, context"),
        ("input.yaml:turns.2.text", "no item 2, the list has 2"),
        ("input.yaml:question.more", "has no field question.more"),
        ("reference.md:title", "no YAML or JSON"),
        ("photo.png:__file__", "no text, or too large"),
    ],
)
def test_a_selector_that_finds_nothing_says_why(selector, why):
    value, said = look_up(parse_selector(selector), CASE)
    assert (value, bool(re.search(why, said))) == (None, True)


QUESTION = Selector("input.yaml", "question")
ANSWER = Selector("gold.yaml", "answer")


def test_a_mapping_survives_its_file():
    mapping = SchemaMapping({"question": QUESTION}, {"answer": ANSWER})
    assert json.loads(mapping_text(mapping)) == {
        "inputs": {"question": "input.yaml:question"},
        "expectations": {"answer": "gold.yaml:answer"},
    }
    assert parse_mapping(mapping_text(mapping), "m.json") == mapping
    assert mapping.files == {"input.yaml", "gold.yaml"}
    inputs = '{"goal": "i.yaml:g", "persona": "*.md:__file__"}'
    edited = f'\ufeff{{"_why": "\\ud83d\\ude00", "inputs": {inputs}}}'
    found = parse_mapping(edited, "m.json")  # as MLflow takes them of a simulated conversation
    assert (set(found.inputs), found.files) == ({"goal", "persona"}, None)


SIMULATED = '{"inputs": {"goal": "i.yaml:goal", "budget": "i.yaml:budget"}}'
WRONG = '{\n "inputs": {\n  "a": "/etc/passwd:__file__",\n  "b": 7\n },\n "extra": {}\n}'


@pytest.mark.parametrize(
    ("text", "complaint", "places"),
    [
        ("", "not JSON", None),
        ("[]", "must be an object", None),
        ("{}", "holds no inputs", None),
        ('{"inputs": {"a": "b.yaml:c", "a": "b.yaml:d"}}', "stands twice, first on line 1", None),
        (SIMULATED, "simulated conversations and refuses it beside budget", None),
        (WRONG, "is not known", [("extra", 6), ("inputs.a", 3), ("inputs.b", 4)]),
    ],
)
def test_all_that_is_wrong_with_a_mapping_file_is_told_with_its_lines(text, complaint, places):
    with pytest.raises(InputError, match=complaint) as caught:
        parse_mapping(text, "m.json")
    assert {problem.file for problem in caught.value.problems} == {"m.json"}
    assert places in (None, [(p.field, p.line) for p in caught.value.problems])


def test_a_record_holds_what_the_case_says_and_what_no_case_has_is_a_problem():
    cases = cases_of(
        {"input.yaml": {"question": "q"}},
        {"input.yaml": {"question": "r", "hint": None, "more": "m"}},
    )
    hint, more, tone = (Selector("input.yaml", name) for name in ("hint", "more", "ton"))
    mapping = SchemaMapping(
        {"question": QUESTION, "hint": hint, "more": more}, {"answer": ANSWER, "tone": tone}
    )
    mapped = [apply_mapping(mapping, case) for case in cases]
    assert [each.record.inputs for each in mapped] == [
        {"question": "q"},
        {"question": "r", "more": "m"},
    ]
    assert mapped[1].lacking["expectations.answer"] == "has no file gold.yaml"
    problems = check_mapped(mapping, mapped, "m.json")
    assert [problem.field for problem in problems] == ["expectations.answer", "expectations.tone"]
    assert "case-0 has no file gold.yaml" in problems[0].message
    assert "it has: question" in problems[1].message
