"""Asking Claude for a mapping: what is sent, and what becomes of every answer."""

from __future__ import annotations

import json

import pytest
from cases import cases_of
from messages_server import Fault, MessagesServer, Reply, messages_server

from evalkit.agent.model_client import ClaudeSettings
from evalkit.core.mapping.ask_model import ANSWER_SCHEMA, Question
from evalkit.errors import ModelError
from evalkit.flows.mapping import sketch
from evalkit.stages.mapping import ClaudeMapper

QUESTION = Question("Answer in JSON.", '{"dataset_schema": ""}', ANSWER_SCHEMA)
KEY = "sk-ant-made-up"
TOKEN = "dapi-made-up"


def _mapper(server: MessagesServer, waits: list[float] | None = None) -> ClaudeMapper:
    settings = ClaudeSettings(server.url, "claude-test", secret=KEY)
    return ClaudeMapper(settings, sleep=(waits if waits is not None else []).append)


# -- the request


def test_the_question_is_sent_with_its_strict_form() -> None:
    with messages_server(Reply('{"inputs": []}')) as server:
        assert _mapper(server).answer(QUESTION) == '{"inputs": []}'
    body = server.requests[0].body
    assert body["model"] == "claude-test"
    assert body["system"] == QUESTION.system
    assert body["messages"] == [{"role": "user", "content": QUESTION.user}]
    assert body["output_config"]["format"]["type"] == "json_schema"
    assert (
        server.requests[0].headers["anthropic-version"] == "2023-06-01"
    )  # no unknown gateway's limits


def test_a_gateway_without_structured_output_is_asked_plainly() -> None:
    with messages_server(Reply("{}"), structured=False) as server:
        assert _mapper(server).answer(QUESTION) == "{}"
    assert ["output_config" in request.body for request in server.requests] == [True, False]


def test_a_mapping_by_claude_from_end_to_end() -> None:
    entry = {"name": "ask", "selector": "input.yaml:ask", "reason": "The skill reads it."}
    answer = json.dumps({"inputs": [entry], "expectations": [], "left_out": []})
    cases = cases_of({"input.yaml": {"ask": "Where?"}})
    with messages_server(Reply(answer)) as server:
        proposal = sketch("", cases, by="claude", model=_mapper(server))
    assert proposal.reasons == {"input.yaml:ask": "Claude says: The skill reads it."}


# -- failures


def test_trouble_is_waited_out_and_what_lasts_says_what_needs_no_model() -> None:
    waits: list[float] = []
    with messages_server(Fault(529), Fault(400, "credit balance is too low")) as server:
        with pytest.raises(ModelError, match="answered 400.*credit balance.*--by rules") as caught:
            _mapper(server, waits).answer(QUESTION)
        assert len(server.requests) == 2
    assert waits == [0.5]
    assert KEY not in str(caught.value)


@pytest.mark.parametrize(
    ("reply", "says"),
    [
        (
            Reply("", "refusal", {"type": "refusal", "explanation": "No."}),
            r"refused to answer \(No\.\)",
        ),
        (Reply("", "refusal"), "refused to answer;"),
        (Reply('{"inputs"', "max_tokens"), "cut off at 8000 tokens"),
        (Reply("", "model_context_window_exceeded"), "too long for the model"),
        (Reply(""), "empty .it stopped by end_turn"),
        (Reply("  ", "pause_turn"), "empty"),
    ],
)
def test_an_answer_that_cannot_be_used_is_a_model_error(reply: Reply, says: str) -> None:
    with messages_server(reply) as server, pytest.raises(ModelError, match=says) as caught:
        _mapper(server).answer(QUESTION)
    assert "--by rules" in str(caught.value)


# -- the scripted server itself


@pytest.mark.parametrize(
    "system", ["", "Answer."], ids=["without instructions", "with instructions"]
)
def test_the_scripted_server_refuses_what_the_real_one_refuses(system: str) -> None:
    loose = Question(system, "", {"type": "object", "properties": {"a": {}}})
    with messages_server(Reply("{}")) as server, pytest.raises(ModelError, match="answered 400"):
        _mapper(server).answer(loose)
    assert server.answered == 0
