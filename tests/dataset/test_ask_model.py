"""What a model is asked, and what of its answer stands."""

import json

import pytest
from cases import case_of, cases_of
from messages_server import Fault, Reply, messages_server

from evalkit.dataset.ask_model import MAX_SAMPLE, MAX_SCHEMA, SYSTEM, ask_claude, read_answer
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


def inputs_of(*selectors, files=(), schema=""):
    """The inputs that stand of those claimed."""
    rules = propose_by_rules(schema, cases_of(files)) if files else RULES
    claimed = answer(inputs=[ASK, *map(entry, selectors)])
    return list(read_answer(claimed, cases_of(files) if files else CASES, rules).mapping.inputs)


def asked(*replies, schema=SCHEMA, cases=CASES, waits=None, **more):
    """The proposal, and the requests to Claude that led to it."""
    with messages_server(*replies, **more) as server:
        environment = {"ANTHROPIC_API_KEY": "sk-ant-made-up", "ANTHROPIC_BASE_URL": server.url}
        sleep = ([] if waits is None else waits).append
        told = (schema, cases, "{ask}", RULES, environment, "claude-test")
        return ask_claude(*told, sleep=sleep), [each.body for each in server.requests]


ASK, REPLY = entry("input.yaml:ask"), entry("gold.yaml:reply")


def test_claude_is_asked_once_in_a_strict_form_and_checked_against_the_files():
    proposal, (body,) = asked(Reply(answer(inputs=[ASK, entry("input.yaml:nonsense")])))
    assert (body["model"], "is data" in SYSTEM) == ("claude-test", True)
    assert body["output_config"]["format"]["type"] == "json_schema"
    material = json.loads(body["messages"][0]["content"])
    assert (material["dataset_schema"], material["arguments"]) == (SCHEMA, "{ask}")
    sample = {"ask": "Where is it?", "lang": "en"}
    assert material["sample_case"]["documents"]["input.yaml"] == sample
    found = {"input.yaml:ask": [2, 2], "input.yaml:lang": [1, 2], "gold.yaml:reply": [2, 2]}
    assert material["selectors"] == found
    reasons = {choice.key: choice.reason for choice in proposal.choices}
    assert reasons["input.yaml:ask"] == "Claude says: The schema says so."
    assert "no case holds it" in reasons["input.yaml:nonsense"]


def test_a_gateway_without_structured_output_is_asked_plainly():
    _, bodies = asked(Reply(answer(inputs=[ASK])), structured=False)
    assert ["output_config" in body for body in bodies] == [True, False]


SECRET = "ghp_" + "a1B2" * 9


@pytest.mark.parametrize(
    "given",
    [
        {"ask": f"push with {SECRET} " + "x" * 1_000_000},
        {"ask": SECRET, **{f"field {n}": "x" * 100 for n in range(5_000)}},
    ],
    ids=["a long text", "very many fields"],
)
def test_what_is_sent_to_claude_is_bounded_and_masked(given):
    cases = [case_of("x", {"input.yaml": given})]
    _, (body,) = asked(Reply(answer(inputs=[ASK])), schema="s" * 100_000, cases=cases)
    question = body["messages"][0]["content"]
    assert len(question) < 2 * (MAX_SAMPLE + MAX_SCHEMA)
    assert SECRET not in json.dumps(json.loads(question))


def test_what_is_found_stands_with_real_coverage_under_names_of_its_own():
    claims = [ASK, entry("input.yaml:lang", "language")]
    proposal = read_answer(answer(inputs=claims, expectations=[REPLY]), CASES, RULES)
    assert list(proposal.mapping.expectations) == ["reply"]
    assert [c.coverage for c in proposal.chosen("inputs")] == [(2, 2), (1, 2)]
    for names, wanted in (
        (("ask", "language"), {"ask", "language"}),
        (("goal", "../x\n"), {"input_goal", "lang"}),
        (("x", "x"), {"input_x", "input_x_2"}),
    ):
        claims = [entry("input.yaml:ask", names[0]), entry("input.yaml:lang", names[1])]
        text = answer(inputs=claims, expectations=[REPLY])
        assert set(read_answer(text, CASES, RULES).mapping.inputs) == wanted


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
    proposal = read_answer(answer(inputs=[ASK, entry(selector)]), CASES, RULES)
    (refused,) = [choice.reason for choice in proposal.choices if choice.key == selector]
    assert (list(proposal.mapping.inputs), why in refused) == (["ask"], True)
    assert refused.startswith("Refused as an input: ")


def test_what_holds_the_answer_or_a_copy_of_it_is_refused_as_an_input():
    ticket = {"body": "b", "expected_team": "x"}
    files = {"input.yaml": {"ask": "q", "ticket": ticket}}
    for selector in ("input.yaml:ticket", "input.yaml:ticket.expected_team", "input.yaml:__file__"):
        assert inputs_of(selector, files=files) == ["ask"]
    assert inputs_of("input.yaml:ticket.body", files=files) == ["ask", "body"]
    copied = {"input.yaml": {"ask": "q", "wanted": "a reply"}, "gold.yaml": {"wanted": "a reply"}}
    schema = "gold.yaml: `wanted`, the expected reply."
    assert inputs_of("input.yaml:wanted", files=copied, schema=schema) == ["ask"]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "another form"),
        ("[]", "another form"),
        ('{"inputs": {}, "expectations": [], "left_out": [7]}', "another form"),
        (answer(inputs=[{"name": 1, "selector": "a:b", "reason": ""}]), "another form"),
        ("[" * 100_000, "another form"),
        (
            answer(inputs=[entry("x.yaml:ask")], expectations=[REPLY]),
            "no input .*has no file x.yaml",
        ),
        (answer(expectations=[REPLY]), "It names none"),
    ],
    ids=range(7),
)
def test_an_answer_of_which_nothing_can_be_used_is_a_model_error(text, why):
    with pytest.raises(ModelError, match=f"(?s){why}.*--by rules"):
        read_answer(text, CASES, RULES)


@pytest.mark.parametrize(
    ("replies", "says"),
    [
        ([Reply("", "refusal", {"type": "refusal", "explanation": "No."})], "refusal: No.;"),
        ([Reply('{"inputs"', "max_tokens")], "max_tokens"),
        ([Reply("  ", "pause_turn")], "pause_turn"),
        ([Fault(529), Fault(400, "credit balance is too low")], "400.*credit balance"),
    ],
)
def test_trouble_is_waited_out_and_what_lasts_says_what_needs_no_model(replies, says):
    waits = []
    with pytest.raises(ModelError, match=f"{says}.*--by rules") as caught:
        asked(*replies, waits=waits)
    assert waits == [0.5] * (len(replies) - 1)
    assert "sk-ant" not in str(caught.value)
