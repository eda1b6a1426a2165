"""What the rules make of schemas as people write them, and of what cases hold."""

import time
from pathlib import Path

import pytest
import yaml
from cases import case_of, cases_of

from evalkit.dataset.cases import Case
from evalkit.dataset.infer import propose_by_rules
from evalkit.dataset.mapping import apply_mapping, check_mapped

SCHEMAS = yaml.safe_load(Path(__file__).with_name("schemas.yaml").read_text("utf-8"))


@pytest.mark.parametrize("style", SCHEMAS, ids=lambda style: style["name"])
def test_inputs_and_expectations_are_told_apart_with_reasons(style):
    cases = cases_of(*style["files"])
    evidence = (style.get("arguments", ""), style.get("judges", ""))
    proposal = propose_by_rules(style.get("schema", ""), cases, *evidence)
    reasons = {choice.key: choice.reason for choice in proposal.choices}
    for side in ("inputs", "expectations"):
        assert {choice.key for choice in proposal.chosen(side)} == set(style.get(side, "").split())
    assert all(reason.endswith(".") and "“”" not in reason for reason in reasons.values())
    for key, says in style.get("says", {}).items():
        assert says in reasons[key]
    mapped = [apply_mapping(proposal.mapping, case) for case in cases]
    assert not check_mapped(proposal.mapping, mapped, "m.json")


def test_names_are_unique_on_a_side_and_free_of_what_mlflow_keeps():
    files = {
        "order.yaml": {"text": "chairs, please", "item": {"text": "x"}, "goal": "g"},
        "mail.yaml": {"text": "dear shop, hello"},
        "gold.full.yaml": {"text": "gladly, dear customer"},
        "reply.gold.md": "g",
    }
    schema = (
        "The skill reads order.yaml (text, item, goal), mail.yaml (text). gold.full.yaml: text."
    )
    proposal = propose_by_rules(schema, cases_of(files))
    assert proposal.mapping.as_json() == {
        "inputs": {
            "order_text": "order.yaml:text",
            "item": "order.yaml:item",
            "order_goal": "order.yaml:goal",
            "mail_text": "mail.yaml:text",
        },
        "expectations": {"text": "gold.full.yaml:text", "reply_gold": "reply.gold.md:__file__"},
    }


def test_coverage_counts_cases_and_says_what_is_null():
    cases = cases_of(
        {"input.yaml": {"ask": "a", "more": [1]}, "gold.yaml": {"x": None}, "reference/a.md": "A"},
        {"input.yaml": {"ask": "b"}, "reference/b.md": "B", "reference/all.md": "x"},
        {"input.yaml": {"ask": "c"}, "reference/all.md": "y"},
    )
    proposal = propose_by_rules("The reference/ folder holds the gold pages.", cases)
    assert {c.key: c.coverage for c in proposal.choices} == {
        "input.yaml:ask": (3, 3),
        "input.yaml:more": (1, 3),
        "gold.yaml:x": (1, 3),
        "reference/*.md:__file__": (3, 3),
    }
    assert "It is null in 1 of 1 cases." in proposal.choices[2].reason


def test_empty_and_odd_documents_are_no_trouble():
    odd = {"ask": "a", "": 1, "a.b": 2, **{f"field_{n}": n for n in range(500)}}
    cases = [
        case_of("empty", {"input.yaml": None, "gold.yaml": {}, "reference.pdf": None}),
        *(Case("bare", ()), case_of("odd", {"input.yaml": odd, "gold.yaml": "text"})),
    ]
    # a line may be no sentence
    for schema in ("", "input.yaml and", "- ask", "ask, gold.yaml, and", "`ask`;`ask`", "a; b"):
        inputs = propose_by_rules(schema, cases).mapping.inputs
        assert ("ask" in inputs, len(inputs) < 100) == (True, True)


def test_a_thousand_cases_take_no_seconds():
    asked = {"prompt": "p " * 100, "context": "c" * 2000}
    files = {"input.yaml": asked, "annotations.yaml": {"expected_total": 1, "tags": []}}
    cases = [case_of(f"{n}", {**files, f"reference/page-{n}.md": "gold"}) for n in range(1000)]
    start = time.process_time()
    proposal = propose_by_rules("- input.yaml: prompt, context", cases, "{prompt}")
    assert time.process_time() - start < 3  # a quarter of a second on a quiet machine
    assert {c.coverage for c in proposal.chosen("expectations")} == {(1000, 1000)}
