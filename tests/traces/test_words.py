"""The words of requests and answers are found in whatever form strangers record them."""

import pytest

from evalkit.entities import Span
from evalkit.traces.dialogue import as_told, dialogue
from evalkit.traces.transcript import (
    Message,
    answer,
    exchange,
    question,
    system_prompts,
    turns,
)

LANGCHAIN = {
    "lc": 1,
    "id": ["langchain", "schema", "messages", "HumanMessage"],
    "kwargs": {"content": "Hi"},
}
BOOKING = [
    {"role": "user", "content": "Is room 3 free?"},
    {"role": "assistant", "content": "Which day?"},
    {"role": "user", "content": "Monday."},
]
REPLY = {"role": "assistant", "content": "Room 3 is free on Monday."}


@pytest.mark.parametrize(
    ("inputs", "words"),
    [
        ("Hi", "Hi"),
        ({"prompt": "Hi", "messages": None}, "Hi"),
        ({"question": "Hi", "tools": [{"name": "x", "description": "much longer"}]}, "Hi"),
        ({"messages": [["system", "S"], ["user", "Hi"]]}, "Hi"),
        ({"messages": [{"type": "human", "content": "Hi", "id": "1"}]}, "Hi"),
        ({"messages": [{"type": "human", "data": {"content": "Hi"}}]}, "Hi"),
        ([[LANGCHAIN]], "Hi"),
        ({"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]}, "Hi"),
        ({"input": [{"role": "user", "content": [{"type": "input_text", "text": "Hi"}]}]}, "Hi"),
        ({"request": {"body": {"query": "Hi", "session": "a much longer text"}}}, "Hi"),
        ('{"question": "Hi", "id": "7"}', "Hi"),
        ({"args": [], "kwargs": {"question": "Hi"}}, "Hi"),
        ({"question": "Hi", "chat_history": [["user", "before"], ["assistant", "yes"]]}, "Hi"),
        ({"from": "Rome", "to": "Oslo"}, "from: Rome\nto: Oslo"),
        ({"a": 3}, "a: 3"),
        ([1, 2], "[1,2]"),
        (None, ""),
    ],
)
def test_a_question_is_found(inputs, words):
    assert question(inputs) == words


@pytest.mark.parametrize(
    ("outputs", "words"),
    [
        ("Yes", "Yes"),
        (["Yes"], "Yes"),
        ({"choices": [{"message": {"role": "assistant", "content": "Yes"}}]}, "Yes"),
        ({"role": "assistant", "content": [{"type": "text", "text": "Yes"}]}, "Yes"),
        ({"messages": [*BOOKING, {"type": "ai", "content": "Yes"}]}, "Yes"),
        ({"reasoning": "a long way to say it", "answer": "Yes"}, "Yes"),
        ({"answer": "Yes", "sources": ["kb-1"]}, "Yes"),
        (
            {"output": [{"type": "reasoning"}, {"type": "message", "content": [{"text": "Yes"}]}]},
            "Yes",
        ),
        ({"candidates": [{"content": {"role": "model", "parts": [{"text": "Yes"}]}}]}, "Yes"),
        ({"generations": [[{"text": "Yes"}]]}, "Yes"),
        ({"title": "T", "body": "B"}, "title: T\nbody: B"),
        ({"label": "spam", "sure": True, "by": "x"}, "label: spam\nsure: true\nby: x"),
        (5, "5"),
        (None, ""),
    ],
)
def test_an_answer_is_found(outputs, words):
    assert answer(outputs) == words


def test_all_turns_are_told_once_though_the_answer_repeats_them():
    told = [Message(each["role"], each["content"]) for each in (*BOOKING, REPLY)]
    assert exchange({"messages": BOOKING}, {"messages": [*BOOKING, REPLY]}) == (*told,)
    assert exchange({"messages": BOOKING}, {"messages": [REPLY]}) == (*told,)
    assert exchange("Hi", {"answer": "Yes"}) == (Message("user", "Hi"), Message("assistant", "Yes"))
    assert exchange({}, None) == ()
    calls = [{"function": {"name": "book", "arguments": '{"room":3}'}}]
    called = {"role": "assistant", "content": None, "tool_calls": calls}
    assert turns({"messages": [called]}) == (
        Message("assistant", 'book({"room":3})', is_call=True),
    )


@pytest.mark.parametrize(
    "inputs",
    [
        {"messages": [{"role": "system", "content": "Be kind."}, *BOOKING]},
        {"system": [{"type": "text", "text": "Be kind."}], "messages": BOOKING},
        {"instructions": "Be kind.", "input": "Hi"},
        [[{"type": "system", "content": "Be kind."}, LANGCHAIN]],
    ],
)
def test_a_system_prompt_is_found(inputs):
    assert system_prompts(inputs) == ["Be kind."]


@pytest.mark.parametrize("value", [[[]], {"messages": [{}]}, {"choices": [None]}, "{", "[" * 9_999])
def test_forms_that_are_none_do_no_harm(value):
    assert isinstance(question(value) + answer(value), str)
    assert turns(value) == () or turns(value)[0].text == ""


def span(span_id, parent=None, kind="CHAIN", **more):
    return Span(span_id, parent, span_id, kind, 0, 1, **more)


def test_on_the_page_a_conversation_has_all_turns_tools_and_words_once():
    asks = {"choices": [{"message": {"content": None, "tool_calls": [{"id": "c1"}]}}]}
    spans = (
        span("LangGraph", inputs={"messages": BOOKING}, outputs={"messages": [*BOOKING, REPLY]}),
        span("agent", "LangGraph", "AGENT"),
        span("model", "agent", "LLM", inputs={"messages": BOOKING}, outputs=asks),
        span("rooms", "agent", "TOOL"),
        span("m2", "agent", "LLM", inputs="Hi", outputs={"choices": [{"message": REPLY}]}),
    )
    assert [(each.voice, each.text or each.name) for each in dialogue(tuple(as_told(spans)))] == [
        ("user", "Is room 3 free?"),
        ("agent", "Which day?"),
        ("input", "Monday."),
        ("tool", "rooms"),
        ("agent", "Room 3 is free on Monday."),
    ]
