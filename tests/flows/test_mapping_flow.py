"""The mapping stage: proposing, reporting, previewing, and never losing a file edited by hand."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

import pytest
from cases import cases_of

from evalkit.core.dataset import SchemaMapping, Selector
from evalkit.core.mapping.ask_model import Question
from evalkit.core.mapping.mapping import mapping_text
from evalkit.errors import InputError, ModelError
from evalkit.flows.mapping import must_write, report, require_input, sketch

SCHEMA = "input.yaml: `ask`, what the customer wants. gold.yaml: `reply`, the expected reply."
CASES = cases_of(
    {"input.yaml": {"ask": "Where is it?", "tags": ["a"]}, "gold.yaml": {"reply": "On its way"}},
    {"input.yaml": {"ask": "And now?", "tags": []}},
)
MAPPING = SchemaMapping(
    {"ask": Selector("input.yaml", "ask")}, {"reply": Selector("gold.yaml", "reply")}
)


@dataclass
class Scripted:
    """A model that gives one answer and keeps what it was asked."""

    text: str
    asked: list[Question] = field(default_factory=list)

    def answer(self, question: Question) -> str:
        self.asked.append(question)
        return self.text


def _answer(*inputs: str) -> str:
    entries = [{"name": s.rpartition(":")[2], "selector": s, "reason": "So."} for s in inputs]
    return json.dumps({"inputs": entries, "expectations": [], "left_out": []})


# -- proposing


def test_the_report_holds_the_mapping_its_reasons_and_its_coverage() -> None:
    told = report(sketch(SCHEMA, CASES), "tmp/schema_mapping.json")
    assert told["inputs"] == {"ask": "input.yaml:ask"}
    assert told["expectations"] == {"reply": "gold.yaml:reply"}
    assert told["coverage"] == {"input.yaml:ask": [2, 2], "gold.yaml:reply": [1, 2]}
    assert set(told["reasons"]) == {"input.yaml:ask", "gold.yaml:reply", "input.yaml:tags"}
    assert told["file"] == "tmp/schema_mapping.json"
    json.dumps(told)


def test_no_cases_is_an_input_error() -> None:
    with pytest.raises(InputError, match="there are no cases to map"):
        sketch(SCHEMA, [])


def test_cases_in_which_nothing_can_be_told_to_be_an_input_are_an_input_error() -> None:
    cases = cases_of({"case.yaml": {"alpha": "a", "beta": "b"}})
    with pytest.raises(InputError, match="nothing in the cases can be told") as caught:
        require_input(sketch("", cases))
    assert [problem.field for problem in caught.value.problems] == [
        "dataset.schema",
        "case.yaml:alpha",
        "case.yaml:beta",
    ]


def test_claude_is_asked_once_and_checked_against_the_files() -> None:
    model = Scripted(_answer("input.yaml:ask", "input.yaml:nonsense"))
    proposal = sketch(SCHEMA, CASES, "{ask}", by="claude", model=model)
    assert list(proposal.mapping.inputs) == ["ask"]
    assert "no case holds it" in proposal.reasons["input.yaml:nonsense"]
    assert len(model.asked) == 1
    assert json.loads(model.asked[0].user)["arguments"] == "{ask}"


def test_what_is_sent_to_claude_goes_through_the_mask() -> None:
    model = Scripted(_answer("input.yaml:ask"))
    mask = lambda text: text.replace("Where is it?", "[masked]").replace("customer", "[who]")  # noqa: E731, short
    sketch(SCHEMA, CASES, by="claude", model=model, mask=mask)
    assert "[masked]" in model.asked[0].user
    assert "Where is it?" not in model.asked[0].user
    assert "customer" not in model.asked[0].user


def test_without_a_model_the_error_says_that_the_rules_need_none() -> None:
    with pytest.raises(ModelError, match="--by rules"):
        sketch(SCHEMA, CASES, by="claude")


def test_the_rules_ask_nobody() -> None:
    model = Scripted("")
    sketch(SCHEMA, CASES, model=model)
    assert not model.asked


# -- the file


def test_a_mapping_is_written_where_there_is_none() -> None:
    assert must_write(None, MAPPING, "m.json") is True


def test_a_file_that_says_the_same_is_left_alone_however_it_is_laid_out() -> None:
    laid_out = (
        '{"expectations":{"reply":"gold.yaml:reply"},\n\n"inputs":{"ask":"./input.yaml:ask"}}'
    )
    assert must_write(laid_out, MAPPING, "m.json") is False
    assert must_write(mapping_text(MAPPING), MAPPING, "m.json", force=True) is False


def test_a_file_edited_by_hand_is_kept_and_every_difference_named() -> None:
    edited = SchemaMapping({"question": Selector("input.yaml", "ask")}, MAPPING.expectations)
    with pytest.raises(InputError, match="--force") as caught:
        must_write(mapping_text(edited), MAPPING, "m.json")
    assert [problem.field for problem in caught.value.problems] == [
        "",
        "inputs.question",
        "inputs.ask",
    ]
    assert must_write(mapping_text(edited), MAPPING, "m.json", force=True) is True


def test_a_broken_file_is_kept_too_unless_forced() -> None:
    with pytest.raises(InputError, match="not JSON") as caught:
        must_write('{"inputs": ', MAPPING, "m.json")
    assert "--force" in str(caught.value)
    assert must_write('{"inputs": ', MAPPING, "m.json", force=True) is True
