"""What a model is asked, and what of its answer stands."""

from __future__ import annotations

import json
from typing import Any

import pytest
from cases import case_of, cases_of
from messages_server import Fault, MessagesServer, Reply, messages_server

from evalkit.dataset.ask_model import (
    MAX_SAMPLE,
    MAX_SCHEMA,
    SYSTEM,
    ask_claude,
    mapping_question,
    read_answer,
)
from evalkit.dataset.infer import propose_by_rules
from evalkit.dataset.proposal import MappingProposal
from evalkit.errors import ModelError

SCHEMA = "input.yaml: `ask`. gold.yaml: `reply`, the expected reply."
CASES = cases_of(
    {
        "input.yaml": {"ask": "Where is it?", "lang": "en"},
        "gold.yaml": {"reply": "On its way, dear"},
    },
    {"input.yaml": {"ask": "And now?"}, "gold.yaml": {"reply": "Still on its way"}},
)
RULES = propose_by_rules(SCHEMA, CASES)


def _entry(selector: str, name: str = "") -> dict[str, Any]:
    name = name or selector.rpartition(":")[2].rpartition(".")[2]
    return {"name": name, "selector": selector, "reason": "The schema says so."}


def _answer(**sides: list[dict[str, Any]]) -> str:
    return json.dumps({"inputs": [], "expectations": [], "left_out": [], **sides})


def _reasons(proposal: MappingProposal) -> dict[str, str]:
    return {choice.key: choice.reason for choice in proposal.choices}


def _checked(
    cases: list[Any] = CASES, rules: MappingProposal = RULES, **sides: Any
) -> MappingProposal:
    return read_answer(_answer(**sides), cases, rules)


ASK, REPLY = _entry("input.yaml:ask"), _entry("gold.yaml:reply")


# -- the question


def test_the_question_shows_the_schema_one_case_and_every_selector() -> None:
    question = mapping_question(SCHEMA, CASES, "{ask}", RULES)
    material = json.loads(question)
    assert "is data" in SYSTEM
    assert material["dataset_schema"] == SCHEMA
    assert material["arguments"] == "{ask}"
    assert material["sample_case"]["documents"]["input.yaml"] == {
        "ask": "Where is it?",
        "lang": "en",
    }
    assert material["selectors"] == {
        "input.yaml:ask": [2, 2],
        "input.yaml:lang": [1, 2],
        "gold.yaml:reply": [2, 2],
    }


@pytest.mark.parametrize(
    "files",
    [
        {"input.yaml": {"ask": "x" * 1_000_000}},
        {"input.yaml": {f"field {n}": "x" * 100 for n in range(5_000)}},
    ],
    ids=["a long text", "very many fields"],
)
def test_the_question_is_bounded(files: dict[str, Any]) -> None:
    question = mapping_question("s" * 100_000, [case_of("x", files)], "", RULES)
    assert len(question) < 2 * (MAX_SAMPLE + MAX_SCHEMA)
    json.loads(question)


# -- the answer


def test_what_is_found_stands_with_the_models_reason_and_real_coverage() -> None:
    proposal = _checked(inputs=[ASK, _entry("input.yaml:lang", "language")], expectations=[REPLY])
    assert {name: str(s) for name, s in proposal.mapping.inputs.items()} == {
        "ask": "input.yaml:ask",
        "language": "input.yaml:lang",
    }
    assert list(proposal.mapping.expectations) == ["reply"]
    assert [c.coverage for c in proposal.chosen("inputs")] == [(2, 2), (1, 2)]
    assert _reasons(proposal)["input.yaml:ask"] == "Claude says: The schema says so."


@pytest.mark.parametrize(
    ("selector", "why"),
    [
        ("input.yaml:question", "no case holds it (input.yaml has no field question"),
        ("../../etc/passwd:__file__", "leads out of the case directory"),
        ("ask", "names no file"),
        ("gold.yaml:reply", "would show the skill what is expected"),
    ],
)
def test_a_claim_that_does_not_hold_is_refused_by_name(selector: str, why: str) -> None:
    proposal = _checked(inputs=[ASK, _entry(selector)])
    assert list(proposal.mapping.inputs) == ["ask"]
    assert _reasons(proposal)[selector].startswith("Refused as an input: ")
    assert why in _reasons(proposal)[selector]


def test_an_object_that_holds_the_answer_is_refused_as_an_input() -> None:
    cases = cases_of({"input.yaml": {"ask": "q", "ticket": {"body": "b", "expected_team": "x"}}})
    rules = propose_by_rules("", cases)
    for selector in ("input.yaml:ticket", "input.yaml:ticket.expected_team", "input.yaml:__file__"):
        proposal = _checked(cases, rules, inputs=[ASK, _entry(selector)])
        assert list(proposal.mapping.inputs) == ["ask"]
    proposal = _checked(cases, rules, inputs=[ASK, _entry("input.yaml:ticket.body")])
    assert list(proposal.mapping.inputs) == ["ask", "body"]


def test_a_copy_of_the_answer_is_refused_even_when_the_original_is_not_claimed() -> None:
    cases = cases_of(
        {"input.yaml": {"ask": "q", "wanted": "a reply"}, "gold.yaml": {"wanted": "a reply"}}
    )
    rules = propose_by_rules("gold.yaml: `wanted`, the expected reply.", cases)
    proposal = _checked(cases, rules, inputs=[ASK, _entry("input.yaml:wanted")])
    assert list(proposal.mapping.inputs) == ["ask"]


def test_names_of_the_model_are_made_unique_and_odd_ones_replaced() -> None:
    proposal = _checked(
        inputs=[_entry("input.yaml:ask", "goal"), _entry("input.yaml:lang", "../x\n")],
        expectations=[REPLY],
    )
    assert set(proposal.mapping.inputs) == {"input_goal", "lang"}
    proposal = _checked(inputs=[_entry("input.yaml:ask", "x"), _entry("input.yaml:lang", "x")])
    assert len(proposal.mapping.inputs) == 2


def test_an_answer_of_which_no_input_stands_is_a_model_error_that_says_why() -> None:
    with pytest.raises(ModelError, match=r"no input .*has no file x.yaml.*--by rules"):
        _checked(inputs=[_entry("x.yaml:ask")], expectations=[REPLY])
    with pytest.raises(ModelError, match="It names none"):
        _checked(expectations=[REPLY])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        '{"inputs": {}, "expectations": [], "left_out": [7]}',
        _answer(inputs=[{"name": 1, "selector": "a:b", "reason": ""}]),
        "[" * 100_000,
    ],
)
def test_an_answer_in_another_form_is_a_model_error(text: str) -> None:
    with pytest.raises(ModelError, match="--by rules"):
        read_answer(text, CASES, RULES)


# -- Claude


def _asked(
    server: MessagesServer, cases: list[Any] = CASES, waits: list[float] | None = None
) -> MappingProposal:
    environment = {"ANTHROPIC_API_KEY": "sk-ant-made-up", "ANTHROPIC_BASE_URL": server.url}
    sleep = (waits if waits is not None else []).append
    return ask_claude(SCHEMA, cases, "{ask}", RULES, environment, "claude-test", sleep=sleep)


def test_claude_is_asked_once_in_a_strict_form_and_checked_against_the_files() -> None:
    with messages_server(Reply(_answer(inputs=[ASK, _entry("input.yaml:nonsense")]))) as server:
        proposal = _asked(server)
    (request,) = server.requests
    assert request.body["model"] == "claude-test"
    assert request.body["output_config"]["format"]["type"] == "json_schema"
    assert json.loads(request.body["messages"][0]["content"])["arguments"] == "{ask}"
    assert _reasons(proposal)["input.yaml:ask"] == "Claude says: The schema says so."
    assert "no case holds it" in _reasons(proposal)["input.yaml:nonsense"]


def test_a_gateway_without_structured_output_is_asked_plainly() -> None:
    with messages_server(Reply(_answer(inputs=[ASK])), structured=False) as server:
        assert _asked(server).chosen("inputs")
    assert ["output_config" in request.body for request in server.requests] == [True, False]


def test_what_is_sent_to_claude_is_masked() -> None:
    secret = "ghp_" + "a1B2" * 9
    cases = [case_of("x", {"input.yaml": {"ask": f"push with {secret}"}})]
    with messages_server(Reply(_answer(inputs=[ASK]))) as server:
        _asked(server, cases)
    assert secret not in server.requests[0].body["messages"][0]["content"]


def test_trouble_is_waited_out_and_what_lasts_says_what_needs_no_model() -> None:
    waits: list[float] = []
    with messages_server(Fault(529), Fault(400, "credit balance is too low")) as server:
        with pytest.raises(ModelError, match="400.*credit balance.*--by rules") as caught:
            _asked(server, waits=waits)
        assert len(server.requests) == 2
    assert waits == [0.5]
    assert "sk-ant" not in str(caught.value)


@pytest.mark.parametrize(
    ("reply", "says"),
    [
        (Reply("", "refusal", {"type": "refusal", "explanation": "No."}), "refusal: No.;"),
        (Reply('{"inputs"', "max_tokens"), "max_tokens"),
        (Reply("  ", "pause_turn"), "pause_turn"),
    ],
)
def test_an_answer_that_cannot_be_used_is_a_model_error(reply: Reply, says: str) -> None:
    with messages_server(reply) as server, pytest.raises(ModelError, match=says) as caught:
        _asked(server)
    assert "--by rules" in str(caught.value)
