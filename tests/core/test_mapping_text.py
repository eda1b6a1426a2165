"""The mapping file, and what a mapping makes of cases."""

from __future__ import annotations

import json

import pytest
from cases import case_of, cases_of

from evalkit.core.dataset import SchemaMapping, Selector
from evalkit.core.mapping.mapping import (
    apply_mapping,
    check_mapping,
    cover,
    files_named,
    mapping_text,
    parse_mapping,
)
from evalkit.errors import InputError

QUESTION = Selector("input.yaml", "question")
ANSWER = Selector("gold.yaml", "answer")
MAPPING = SchemaMapping({"question": QUESTION}, {"answer": ANSWER})


def test_a_mapping_survives_its_file() -> None:
    text = mapping_text(MAPPING)
    assert json.loads(text) == {
        "inputs": {"question": "input.yaml:question"},
        "expectations": {"answer": "gold.yaml:answer"},
    }
    assert parse_mapping(text, "m.json") == MAPPING


def test_a_mapping_edited_by_hand_may_hold_comments_and_a_byte_order_mark() -> None:
    text = '\ufeff{"_why": "ask Ida", "inputs": {"q": "input.yaml:question"}}'
    assert parse_mapping(text, "m.json") == SchemaMapping({"q": QUESTION}, {})


def test_mappings_are_the_same_in_any_order() -> None:
    one = SchemaMapping({"a": QUESTION, "b": ANSWER}, {})
    other = SchemaMapping({"b": ANSWER, "a": QUESTION}, {})
    assert one == other != SchemaMapping({"a": QUESTION}, {"b": ANSWER})


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "not JSON"),
        ('{"inputs": {"a": "b.yaml:c"}', "not JSON"),
        ("[]", "must be an object"),
        ("{}", "holds no inputs"),
        ('{"inputs": {}}', "holds no inputs"),
        ('{"inputs": []}', "must be an object of name to selector"),
        ('{"inputs": {"a": 3}}', "must be text"),
        ('{"inputs": {"a": "../b.yaml:c"}}', "leads out"),
        ('{"inputs": {"a": "b.yaml:c"}, "expectation": {}}', "is not known"),
        ('{"inputs": {"a": "b.yaml:c", "a": "b.yaml:d"}}', "stands twice, first on line 1"),
        ("[" * 100_000, "nests deeper"),
        (
            '{"inputs": {"goal": "i.yaml:goal", "budget": "i.yaml:budget"}}',
            "simulated conversations and refuses it beside budget",
        ),
    ],
)
def test_a_wrong_mapping_file_is_refused(text: str, complaint: str) -> None:
    with pytest.raises(InputError, match=complaint) as caught:
        parse_mapping(text, "m.json")
    assert {problem.file for problem in caught.value.problems} == {"m.json"}


def test_mlflow_takes_a_goal_beside_what_belongs_to_a_simulated_conversation() -> None:
    text = '{"inputs": {"goal": "i.yaml:goal", "persona": "i.yaml:persona"}}'
    assert set(parse_mapping(text, "m.json").inputs) == {"goal", "persona"}


def test_all_problems_of_a_mapping_file_come_at_once_with_their_lines() -> None:
    text = '{\n "inputs": {\n  "a": "/etc/passwd:__file__",\n  "b": 7\n },\n "extra": {}\n}'
    with pytest.raises(InputError) as caught:
        parse_mapping(text, "m.json")
    assert [(p.field, p.line) for p in caught.value.problems] == [
        ("extra", 6),
        ("inputs.a", 3),
        ("inputs.b", 4),
    ]


def test_a_record_holds_what_the_case_says_and_no_nulls() -> None:
    case = case_of(
        "c", {"input.yaml": {"question": "q", "hint": None}, "gold.yaml": {"answer": None}}
    )
    mapping = SchemaMapping(
        {"question": QUESTION, "hint": Selector("input.yaml", "hint")},
        {"answer": ANSWER, "style": Selector("gold.yaml", "style")},
    )
    record, lacking = apply_mapping(mapping, case)
    assert (record.inputs, record.expectations) == ({"question": "q"}, {})
    assert {field: missing.why for field, missing in lacking.items()} == {
        "expectations.style": "gold.yaml has no field style (it has: answer)"
    }


def test_falsy_values_are_values() -> None:
    case = case_of("c", {"input.yaml": {"question": ""}, "gold.yaml": {"answer": False}})
    record, lacking = apply_mapping(MAPPING, case)
    assert (record.inputs, record.expectations) == ({"question": ""}, {"answer": False})
    assert not lacking


def test_coverage_counts_the_cases_that_have_the_field_null_or_not() -> None:
    cases = cases_of(
        {"input.yaml": {"question": "q"}},
        {"input.yaml": {"question": None}},
        {"input.yaml": {}},
        {},
    )
    assert cover([QUESTION, ANSWER], cases) == {
        "input.yaml:question": (2, 4),
        "gold.yaml:answer": (0, 4),
    }


def test_a_selector_that_no_case_has_is_a_problem_and_an_optional_one_is_none() -> None:
    cases = cases_of(
        {"input.yaml": {"question": "q"}},
        {"input.yaml": {"question": "r", "hint": "h"}},
    )
    mapping = SchemaMapping(
        {"question": QUESTION, "hint": Selector("input.yaml", "hint")},
        {"answer": ANSWER, "tone": Selector("input.yaml", "ton")},
    )
    problems = check_mapping(mapping, cases, "m.json")
    assert [problem.field for problem in problems] == ["expectations.answer", "expectations.tone"]
    assert "case-0 has no file gold.yaml" in problems[0].message
    assert "it has: question" in problems[1].message


def test_a_case_without_any_input_is_a_problem() -> None:
    cases = cases_of({"input.yaml": {"question": "q"}}, {"input.yaml": {"question": None}})
    (problem,) = check_mapping(SchemaMapping({"question": QUESTION}, {}), cases, "m.json")
    assert "gives 1 of 2 cases no input at all: case-1" in problem.message


def test_the_files_of_a_mapping_are_known_unless_a_pattern_stands_for_them() -> None:
    assert files_named(MAPPING) == {"input.yaml", "gold.yaml"}
    pattern = SchemaMapping({"question": QUESTION}, {"pages": Selector("ref/*.md", "__file__")})
    assert files_named(pattern) is None
