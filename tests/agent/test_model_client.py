"""Claude as the agent's model: what is sent, what comes back, and what every trouble becomes."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from messages_server import Fault, MessagesServer, Reply, messages_server

from evalkit.agent.claude import ATTEMPTS, MAX_WAIT_S, Claude
from evalkit.agent.model_client import ClaudeSettings, Message
from evalkit.agent.model_client import Reply as Given
from evalkit.errors import ContextFull, ModelError
from evalkit.tokens import Usage

KEY = "sk-ant-made-up"
HELLO: Message = {"role": "user", "content": "Hello?"}
LOOK = {
    "name": "look",
    "description": "Looks at something.",
    "input_schema": {"type": "object", "properties": {"at": {}}},
}
CALL = ("look", {"at": "traces", "words": 'quoted "ü" \\ and more', "deep": [{"n": 1.5}, None]})


def cost(usage: Usage) -> float:
    written_5m = usage.cache_write - usage.cache_write_1h
    read = usage.input * 1e-6 + usage.cache_read * 1e-7
    return read + usage.output * 5e-6 + written_5m * 1.25e-6 + usage.cache_write_1h * 2e-6


ONE_TURN = Usage(100, 20)
BROKEN = Usage(100, 1)  # what is known of an answer that broke off
DONE = Reply("Done.")


def model_at(server: MessagesServer | str, **options: Any) -> Claude:
    url = server if isinstance(server, str) else server.url
    given: dict[str, Any] = {"cost": cost, "sleep": lambda _: None, **options}
    return Claude(ClaudeSettings(url, "claude-test", secret=KEY), **given)


def ask(
    model: Claude,
    *messages: Message,
    system: str = "Be brief.",
    tools: tuple[dict[str, Any], ...] = (LOOK,),
    max_tokens: int = 1000,
    on_text: Callable[[str], None] = lambda _: None,
) -> Given:
    told = list(messages) or [HELLO]
    return model.create(
        system=system, messages=told, tools=tools, max_tokens=max_tokens, on_text=on_text
    )


def said(answer: Given) -> Message:
    return {"role": "assistant", "content": [dict(block) for block in answer.content]}


def results_of(answer: Given) -> Message:
    blocks = [
        {"type": "tool_result", "tool_use_id": call["id"], "content": "seen"}
        for call in answer.tool_calls
    ]
    return {"role": "user", "content": blocks}


# -- answers


def test_words_and_calls_come_back_whole() -> None:
    words = "I look at the traces first; häufig reicht das. 🙂"
    with messages_server(Reply(words, thinking="Where to begin?", tools=(CALL, CALL))) as server:
        answer = ask(model_at(server))
    assert answer.text == words
    assert [(call["name"], call["input"]) for call in answer.tool_calls] == [CALL, CALL]
    assert answer.content[0]["type"] == "thinking"
    assert answer.stop_reason == "tool_use"
    assert answer.model == "claude-test"
    assert answer.request_id == "req_0001"


def test_a_refusal_says_why() -> None:
    details = {"type": "refusal", "category": None, "explanation": "Not that."}
    with messages_server(Reply("", "refusal", details)) as server:
        answer = ask(model_at(server))
    assert (answer.stop_reason, answer.explanation) == ("refusal", "Not that.")
    assert answer.content == ()


# -- requests


def test_turns_of_a_conversation_begin_alike_so_that_the_cache_is_read() -> None:
    with messages_server(Reply(tools=(CALL, CALL)), DONE) as server:
        model = model_at(server)
        answer = ask(model)
        ask(model, HELLO, said(answer), results_of(answer))
    first, second = (request.body for request in server.requests)
    assert first["cache_control"] == second["cache_control"] == {"type": "ephemeral"}
    for part in ("system", "tools"):
        assert first[part] == second[part]
    assert second["messages"][:1] == first["messages"]


@pytest.mark.parametrize(
    ("lacks", "part"), [({"caching": False}, "cache_control"), ({"thinking": False}, "thinking")]
)
def test_who_does_not_know_caching_or_thinking_is_asked_plainly_from_then_on(
    lacks: dict[str, bool], part: str
) -> None:
    waits: list[float] = []
    with messages_server(Reply("One."), Reply("Two."), **lacks) as server:
        model = model_at(server, sleep=waits.append)
        assert [ask(model).text, ask(model).text] == ["One.", "Two."]
    assert [part in request.body for request in server.requests] == [True, False, False]
    assert all(len({"cache_control", "thinking"} & set(r.body)) >= 1 for r in server.requests)
    assert waits == []


# -- tokens and cost


def test_tokens_and_cost_by_kind() -> None:
    usage = {
        "input_tokens": 10,
        "output_tokens": 300,
        "cache_read_input_tokens": 4000,
        "cache_creation_input_tokens": 500,
        "cache_creation": {"ephemeral_5m_input_tokens": 300, "ephemeral_1h_input_tokens": 200},
    }
    with messages_server(Reply("Done.", usage=usage)) as server:
        answer = ask(model_at(server))
    assert answer.usage == Usage(10, 300, 4000, 500, 200)
    assert answer.cost_usd == pytest.approx(
        10 * 1e-6 + 300 * 5e-6 + 4000 * 1e-7 + 300 * 1.25e-6 + 200 * 2e-6
    )


# -- trouble that passes

CUTS = [
    *(Fault(status) for status in (0, 408, 429, 529)),
    Fault(502, "<html>Bad gateway", plain=True),
    *(Reply("Half of it", drop_after=events) for events in (0, 3, 5)),
    *(Reply("Half of it", truncate_after=events) for events in (0, 3, 5)),
    Reply("Half of it", error_after=0),
    *(Reply("Half", error_after=4, error_kind=k) for k in ("api_error", "overloaded_error", "")),
]


@pytest.mark.parametrize("trouble", CUTS)
def test_trouble_that_passes_is_waited_out(trouble: Reply | Fault) -> None:
    waits: list[str] = []
    slept: list[float] = []
    with messages_server(trouble, trouble, DONE) as server:
        answer = ask(model_at(server, sleep=slept.append, on_wait=waits.append))
    assert answer.text == "Done."
    assert len(server.requests) == 3
    assert slept == [0.5, 1.0]
    why, told = zip(*(wait.rsplit(": ", 1) for wait in waits), strict=True)
    assert all(why)
    assert told == (f"attempt 1 of {ATTEMPTS} in 0 s", f"attempt 2 of {ATTEMPTS} in 1 s")


@pytest.mark.parametrize("cut", ["drop_after", "truncate_after"])
def test_what_breaks_after_the_answer_is_complete_is_not_paid_twice(cut: str) -> None:
    events = 6  # start, ping, block, its one piece, its end, the message's end
    with messages_server(Reply("Done.", **{cut: events})) as server:
        assert ask(model_at(server)).text == "Done."
    assert len(server.requests) == 1


def test_waits_are_those_the_server_asks_for_up_to_a_cap() -> None:
    slept: list[float] = []
    faults = [Fault(429, retry_after=after) for after in ("2", "3600", "-1", "tomorrow", "nan")]
    with messages_server(*faults, DONE) as server:
        ask(model_at(server, sleep=slept.append))
    assert slept == [2.0, MAX_WAIT_S, 0.0, 4.0, 8.0]


def test_trouble_that_lasts_ends_as_a_model_error_that_says_what_it_cost() -> None:
    slept: list[float] = []
    broken = Reply("Half of it", error_after=4)
    with messages_server(*[broken] * 20) as server, pytest.raises(ModelError) as caught:
        ask(model_at(server, sleep=slept.append))
    assert len(server.requests) == ATTEMPTS
    assert slept == [0.5, 1, 2, 4, 8, 16, 32]
    assert "overloaded_error: scripted error" in str(caught.value)
    assert "--model offline" in str(caught.value)
    assert caught.value.usage == Usage(100 * ATTEMPTS, ATTEMPTS)
    assert caught.value.cost_usd == pytest.approx(cost(BROKEN) * ATTEMPTS)


# -- trouble that does not pass


@pytest.mark.parametrize(
    ("trouble", "kind", "says"),
    [
        (Fault(401), ModelError, "does not accept the key for this"),
        (Fault(404), ModelError, "does not know the model claude-test"),
        (Fault(438, "<p>" * 900, plain=True), ModelError, r"438: (<p>){99}<p…"),
        (
            Fault(400, "tools.0: no"),
            ModelError,
            r"gave no answer \(400: tools.0: no\); correct that",
        ),
        (Fault(400, "prompt is too long: 2 tokens > 1 maximum"), ContextFull, "2 tokens > 1"),
        (
            Fault(400, "input length and `max_tokens` exceed context limit: 9 + 2 > 10"),
            ContextFull,
            "too long for",
        ),
    ],
)
def test_a_refused_request_is_not_repeated(
    trouble: Reply | Fault, kind: type[ModelError], says: str
) -> None:
    with messages_server(trouble, DONE) as server, pytest.raises(ModelError, match=says) as caught:
        ask(model_at(server))
    assert type(caught.value) is kind
    assert len(server.requests) == 1
    assert "--model offline" in str(caught.value)
    assert KEY not in str(caught.value)


def test_a_conversation_that_is_too_long_can_be_told_apart_and_costs_nothing() -> None:
    long: Message = {"role": "user", "content": "word " * 4000}
    with messages_server(DONE, context=4000) as server:
        model = model_at(server, cost=lambda _: None)
        with pytest.raises(ContextFull, match="prompt is too long") as caught:
            ask(model, long)
        assert ask(model).text == "Done."
    assert (caught.value.usage, caught.value.cost_usd) == (Usage(), 0.0)


# -- interrupts


class Stop(BaseException):
    """What a person's interrupt is to the code below."""


def stop(*_: object) -> None:
    raise Stop


@pytest.mark.parametrize(
    ("option", "script"), [("sleep", Fault(429, retry_after="3600")), ("on_wait", Fault(529))]
)
def test_an_interrupt_of_a_wait_ends_it_at_once(option: str, script: Fault) -> None:
    began = time.monotonic()
    with messages_server(script, DONE) as server:
        with pytest.raises(Stop):
            ask(model_at(server, **{option: stop}))
        assert ask(model_at(server)).text == "Done."
    assert time.monotonic() - began < 5


def test_an_interrupted_answer_ends_at_once_and_is_booked_with_the_next() -> None:
    began = time.monotonic()
    with messages_server(Reply("word " * 100, pause_s=0.05), DONE, DONE) as server:
        model = model_at(server)
        with pytest.raises(Stop):
            ask(model, on_text=stop)
        answers = [ask(model), ask(model)]
    assert time.monotonic() - began < 5
    assert [answer.usage for answer in answers] == [ONE_TURN + BROKEN, ONE_TURN]
