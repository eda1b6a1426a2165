"""Asking Claude: where keys travel, what is sent, and what becomes of every failure."""

from __future__ import annotations

import json
import socket

import pytest
from cases import cases_of
from messages_server import Fault, MessagesServer, Reply, messages_server

from evalkit.agent.claude import ATTEMPTS, MAX_WAIT_S
from evalkit.agent.model_client import DEFAULT_MODEL, ClaudeSettings, settings_from_env
from evalkit.core.errors import InputError, ModelError
from evalkit.core.mapping.asking import ANSWER_SCHEMA, Question
from evalkit.flows.mapping import propose
from evalkit.stages.mapping import ClaudeMapper

QUESTION = Question("Answer in JSON.", '{"dataset_schema": ""}', ANSWER_SCHEMA)
KEY = "sk-ant-made-up"
TOKEN = "dapi-made-up"


def _mapper(server: MessagesServer, waits: list[float] | None = None) -> ClaudeMapper:
    settings = ClaudeSettings(server.url, "claude-test", secret=KEY)
    return ClaudeMapper(settings, sleep=(waits if waits is not None else []).append)


# -- keys and hosts


@pytest.mark.parametrize(
    ("env", "url", "key", "token"),
    [
        ({"ANTHROPIC_API_KEY": KEY}, "https://api.anthropic.com", KEY, None),
        (
            {"ANTHROPIC_API_KEY": KEY, "ANTHROPIC_AUTH_TOKEN": ""},
            "https://api.anthropic.com",
            KEY,
            None,
        ),
        (
            {
                "ANTHROPIC_AUTH_TOKEN": TOKEN,
                "ANTHROPIC_BASE_URL": "https://w.example/serving-endpoints",
            },
            "https://w.example/serving-endpoints/anthropic",
            None,
            TOKEN,
        ),
        (
            {
                "ANTHROPIC_API_KEY": KEY,  # lies about and must not reach the workspace
                "ANTHROPIC_AUTH_TOKEN": TOKEN,
                "ANTHROPIC_BASE_URL": "https://w.example/serving-endpoints/",
            },
            "https://w.example/serving-endpoints/anthropic",
            None,
            TOKEN,
        ),
        (
            {
                "ANTHROPIC_AUTH_TOKEN": TOKEN,
                "ANTHROPIC_BASE_URL": "https://w.example/serving-endpoints/anthropic",
            },
            "https://w.example/serving-endpoints/anthropic",
            None,
            TOKEN,
        ),
        (
            {"ANTHROPIC_API_KEY": "gateway-key", "ANTHROPIC_BASE_URL": "http://gateway.example/"},
            "http://gateway.example",
            "gateway-key",
            None,
        ),
    ],
)
def test_the_environment_says_who_is_asked_with_which_key(
    env: dict[str, str], url: str, key: str | None, token: str | None
) -> None:
    settings = settings_from_env(env)
    assert (settings.base_url, settings.secret) == (url, key or token)
    assert settings.model == DEFAULT_MODEL


def test_flags_come_before_the_environment() -> None:
    env = {"ANTHROPIC_API_KEY": "k", "MODEL": "from-env", "ANTHROPIC_BASE_URL": "http://a.example"}
    assert settings_from_env(env).model == "from-env"
    settings = settings_from_env(env, model="from-flag", base_url="http://b.example")
    assert (settings.model, settings.base_url) == ("from-flag", "http://b.example")


@pytest.mark.parametrize(
    ("env", "complaint"),
    [
        ({}, "there is no key for Claude"),
        ({"ANTHROPIC_API_KEY": " "}, "there is no key for Claude"),
        ({"ANTHROPIC_AUTH_TOKEN": TOKEN}, "Databricks token would be sent to Anthropic"),
        (
            {"ANTHROPIC_API_KEY": KEY, "ANTHROPIC_BASE_URL": "https://w.example/serving-endpoints"},
            "Anthropic key would be sent to Databricks",
        ),
        ({"ANTHROPIC_API_KEY": KEY, "ANTHROPIC_BASE_URL": "w.example"}, "is no URL"),
    ],
)
def test_a_missing_key_or_one_for_another_host_is_an_input_error(
    env: dict[str, str], complaint: str
) -> None:
    with pytest.raises(InputError, match=complaint) as caught:
        settings_from_env(env)
    assert KEY not in str(caught.value)
    assert TOKEN not in str(caught.value)


def test_settings_show_no_secrets() -> None:
    assert KEY not in repr(ClaudeSettings("http://x", "m", secret=KEY))


def test_only_the_token_is_sent_though_a_key_lies_in_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
    with messages_server(Reply("{}")) as server:
        env = {
            "ANTHROPIC_AUTH_TOKEN": TOKEN,
            "ANTHROPIC_BASE_URL": f"{server.url}/serving-endpoints",
        }
        ClaudeMapper(settings_from_env(env)).answer(QUESTION)
    (request,) = server.requests
    assert request.path == "/serving-endpoints/anthropic/v1/messages"
    assert request.headers["authorization"] == f"Bearer {TOKEN}"
    assert KEY not in json.dumps(request.headers)


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
        proposal = propose("", cases, by="claude", model=_mapper(server))
    assert proposal.reasons == {"input.yaml:ask": "Claude says: The skill reads it."}


# -- failures that pass


@pytest.mark.parametrize(
    "fault", [Fault(429), Fault(529), Fault(500), Fault(503), Fault(408), Fault(0)], ids=str
)
def test_trouble_that_passes_is_waited_out(fault: Fault) -> None:
    waits: list[float] = []
    with messages_server(fault, fault, Reply("{}")) as server:
        assert _mapper(server, waits).answer(QUESTION) == "{}"
    assert waits == [0.5, 1.0]
    assert len(server.requests) == 3


def test_waits_are_those_the_server_asks_for_but_never_endless() -> None:
    waits: list[float] = []
    faults = [Fault(429, retry_after=after) for after in ("2", "3600", "-1", "tomorrow")]
    with messages_server(*faults, Reply("{}")) as server:
        _mapper(server, waits).answer(QUESTION)
    assert waits == [2.0, MAX_WAIT_S, 0.0, 4.0]


def test_trouble_that_does_not_pass_ends_as_a_model_error() -> None:
    waits: list[float] = []
    with (
        messages_server(*[Fault(529, "Overloaded")] * 9) as server,
        pytest.raises(ModelError, match="answered 529.*--by rules"),
    ):
        _mapper(server, waits).answer(QUESTION)
    assert len(server.requests) == ATTEMPTS
    assert len(waits) == ATTEMPTS - 1


# -- failures that do not


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        (Fault(401), "does not accept the key"),
        (Fault(403), "does not accept the key"),
        (Fault(404), "does not know the model claude-test"),
        (Fault(400, "credit balance is too low"), "answered 400.*credit balance"),
        (Fault(413), "too long for claude-test"),
    ],
    ids=str,
)
def test_a_refused_request_is_not_repeated(fault: Fault, says: str) -> None:
    with (
        messages_server(fault, Reply("{}")) as server,
        pytest.raises(ModelError, match=says) as caught,
    ):
        _mapper(server).answer(QUESTION)
    assert len(server.requests) == 1
    assert "--by rules" in str(caught.value)
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


def test_a_host_that_does_not_answer_is_a_model_error() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    mapper = ClaudeMapper(ClaudeSettings(url, "m", secret="k"), sleep=[].append)
    with pytest.raises(ModelError, match="cannot be reached"):
        mapper.answer(QUESTION)


# -- the scripted server itself


@pytest.mark.parametrize(
    "system", ["", "Answer."], ids=["without instructions", "with instructions"]
)
def test_the_scripted_server_refuses_what_the_real_one_refuses(system: str) -> None:
    loose = Question(system, "", {"type": "object", "properties": {"a": {}}})
    with messages_server(Reply("{}")) as server, pytest.raises(ModelError, match="answered 400"):
        _mapper(server).answer(loose)
    assert server.answered == 0
