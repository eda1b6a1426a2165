"""What a model is asked, and what of its answer stands."""

import json

import pytest
from cases import case_of, cases_of
from messages_server import Fault, Reply, messages_server

from evalkit.dataset.ask_model import (
    MAX_SAMPLE,
    MAX_SCHEMA,
    SYSTEM,
    ask_claude,
    mapping_question,
    read_answer,
)
from evalkit.dataset.infer import propose_by_rules
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


def entry(selector, name=""):
    name = name or selector.rpartition(":")[2].rpartition(".")[2]
    return {"name": name, "selector": selector, "reason": "The schema says so."}


def answer(**sides):
    return json.dumps({"inputs": [], "expectations": [], "left_out": [], **sides})


def reasons(proposal):
    return {choice.key: choice.reason for choice in proposal.choices}


def checked(cases=CASES, rules=RULES, **sides):
    return read_answer(answer(**sides), cases, rules)


ASK, REPLY = entry("input.yaml:ask"), entry("gold.yaml:reply")


def test_the_question_shows_the_schema_one_case_and_every_selector():
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
def test_the_question_is_bounded(files):
    question = mapping_question("s" * 100_000, [case_of("x", files)], "", RULES)
    assert len(question) < 2 * (MAX_SAMPLE + MAX_SCHEMA)
    json.loads(question)


def test_what_is_found_stands_with_the_models_reason_and_real_coverage():
    proposal = checked(inputs=[ASK, entry("input.yaml:lang", "language")], expectations=[REPLY])
    assert {name: str(s) for name, s in proposal.mapping.inputs.items()} == {
        "ask": "input.yaml:ask",
        "language": "input.yaml:lang",
    }
    assert list(proposal.mapping.expectations) == ["reply"]
    assert [c.coverage for c in proposal.chosen("inputs")] == [(2, 2), (1, 2)]
    assert reasons(proposal)["input.yaml:ask"] == "Claude says: The schema says so."


@pytest.mark.parametrize(
    ("selector", "why"),
    [
        ("input.yaml:question", "no case holds it (input.yaml has no field question"),
        ("../../etc/passwd:__file__", "no path inside the case directory"),
        ("ask", "names no file"),
        ("gold.yaml:reply", "would show the skill what is expected"),
    ],
)
def test_a_claim_that_does_not_hold_is_refused_by_name(selector, why):
    proposal = checked(inputs=[ASK, entry(selector)])
    assert list(proposal.mapping.inputs) == ["ask"]
    assert reasons(proposal)[selector].startswith("Refused as an input: ")
    assert why in reasons(proposal)[selector]


def test_an_object_that_holds_the_answer_is_refused_as_an_input():
    cases = cases_of({"input.yaml": {"ask": "q", "ticket": {"body": "b", "expected_team": "x"}}})
    rules = propose_by_rules("", cases)
    for selector in ("input.yaml:ticket", "input.yaml:ticket.expected_team", "input.yaml:__file__"):
        proposal = checked(cases, rules, inputs=[ASK, entry(selector)])
        assert list(proposal.mapping.inputs) == ["ask"]
    proposal = checked(cases, rules, inputs=[ASK, entry("input.yaml:ticket.body")])
    assert list(proposal.mapping.inputs) == ["ask", "body"]


def test_a_copy_of_the_answer_is_refused_even_when_the_original_is_not_claimed():
    files = {"input.yaml": {"ask": "q", "wanted": "a reply"}, "gold.yaml": {"wanted": "a reply"}}
    rules = propose_by_rules("gold.yaml: `wanted`, the expected reply.", cases_of(files))
    proposal = checked(cases_of(files), rules, inputs=[ASK, entry("input.yaml:wanted")])
    assert list(proposal.mapping.inputs) == ["ask"]


def test_names_of_the_model_are_made_unique_and_odd_ones_replaced():
    proposal = checked(
        inputs=[entry("input.yaml:ask", "goal"), entry("input.yaml:lang", "../x\n")],
        expectations=[REPLY],
    )
    assert set(proposal.mapping.inputs) == {"input_goal", "lang"}
    proposal = checked(inputs=[entry("input.yaml:ask", "x"), entry("input.yaml:lang", "x")])
    assert len(proposal.mapping.inputs) == 2


def test_an_answer_of_which_no_input_stands_is_a_model_error_that_says_why():
    with pytest.raises(ModelError, match=r"no input .*has no file x.yaml.*--by rules"):
        checked(inputs=[entry("x.yaml:ask")], expectations=[REPLY])
    with pytest.raises(ModelError, match="It names none"):
        checked(expectations=[REPLY])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        '{"inputs": {}, "expectations": [], "left_out": [7]}',
        answer(inputs=[{"name": 1, "selector": "a:b", "reason": ""}]),
        "[" * 100_000,
    ],
)
def test_an_answer_in_another_form_is_a_model_error(text):
    with pytest.raises(ModelError, match="--by rules"):
        read_answer(text, CASES, RULES)


def asked(server, cases=CASES, waits=None):
    environment = {"ANTHROPIC_API_KEY": "sk-ant-made-up", "ANTHROPIC_BASE_URL": server.url}
    sleep = (waits if waits is not None else []).append
    return ask_claude(SCHEMA, cases, "{ask}", RULES, environment, "claude-test", sleep=sleep)


def test_claude_is_asked_once_in_a_strict_form_and_checked_against_the_files():
    with messages_server(Reply(answer(inputs=[ASK, entry("input.yaml:nonsense")]))) as server:
        proposal = asked(server)
    (request,) = server.requests
    assert request.body["model"] == "claude-test"
    assert request.body["output_config"]["format"]["type"] == "json_schema"
    assert json.loads(request.body["messages"][0]["content"])["arguments"] == "{ask}"
    assert reasons(proposal)["input.yaml:ask"] == "Claude says: The schema says so."
    assert "no case holds it" in reasons(proposal)["input.yaml:nonsense"]


def test_a_gateway_without_structured_output_is_asked_plainly():
    with messages_server(Reply(answer(inputs=[ASK])), structured=False) as server:
        assert asked(server).chosen("inputs")
    assert ["output_config" in request.body for request in server.requests] == [True, False]


def test_what_is_sent_to_claude_is_masked():
    secret = "ghp_" + "a1B2" * 9
    cases = [case_of("x", {"input.yaml": {"ask": f"push with {secret}"}})]
    with messages_server(Reply(answer(inputs=[ASK]))) as server:
        asked(server, cases)
    assert secret not in server.requests[0].body["messages"][0]["content"]


def test_trouble_is_waited_out_and_what_lasts_says_what_needs_no_model():
    waits = []
    with messages_server(Fault(529), Fault(400, "credit balance is too low")) as server:
        with pytest.raises(ModelError, match="400.*credit balance.*--by rules") as caught:
            asked(server, waits=waits)
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
def test_an_answer_that_cannot_be_used_is_a_model_error(reply, says):
    with messages_server(reply) as server, pytest.raises(ModelError, match=says) as caught:
        asked(server)
    assert "--by rules" in str(caught.value)
