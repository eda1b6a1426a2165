"""What a log says is what its trace shows: whose result, which answer, what failed."""

import pytest
from agentlogs import (
    Event,
    answer,
    ask,
    build,
    children,
    finish,
    init,
    outline,
    say,
    spans,
    system,
    text,
    thinking,
    usage,
    use,
)

from evalkit.core.spans import Trace


def told(trace: Trace) -> list[tuple]:
    """Its tools: what each was given, what came back, and how it ended."""
    tools = spans(trace, "TOOL")
    return [(t.inputs and t.inputs.get("command"), t.outputs, t.status) for t in tools]


# -- ids of tools that are used again ------------------------------------------------------------


def bash(message: str, tool: str, command: str, **more) -> Event:
    return say(message, use(tool, "Bash", command=command), **more)


@pytest.mark.parametrize(
    ("events", "tools"),
    [
        (
            [
                bash("m1", "call_0", "rm"),
                answer("call_0", "denied", failed=True),
                bash("m2", "call_0", "ls"),
                answer("call_0", "a"),
            ],
            [("rm", "denied", "ERROR"), ("ls", "a", "OK")],
        ),
        (
            [bash("m1", "", "one"), bash("m1", "", "two"), answer("", "1"), answer("", "2")],
            [("one", "1", "OK"), ("two", "2", "OK")],
        ),
        (
            [bash("m1", "t", "lost"), bash("m2", "t", "found"), answer("t", "2")],
            [("lost", None, "UNSET"), ("found", "2", "OK")],
        ),
        (
            [bash("m1", "t", "one"), bash("m1", "t", "two"), answer("t", "1"), answer("t", "2")],
            [("one", "1", "OK"), ("two", "2", "OK")],
        ),
        (
            [bash("m1", "t", "once"), bash("m1", "t", "once"), answer("t", "1")],
            [("once", "1", "OK")],
        ),
        (
            [bash("m1", "t", "known"), answer("t", "1"), answer("t", "of a lost call")],
            [("known", "1", "OK"), (None, "of a lost call", "OK")],
        ),
    ],
    ids=["each turn", "empty", "unanswered", "in one message", "said twice", "answered twice"],
)
def test_each_call_has_its_own_result(events: list, tools: list) -> None:
    assert told(build([init(), *events, finish()])) == tools


def test_sessions_that_count_from_one_again_keep_their_results() -> None:
    log = [init(), bash("m1", "t1", "a"), answer("t1", "A"), finish()]
    again = [init("s2"), bash("m1", "t1", "b"), answer("t1", "B"), finish(session="s2")]
    again = [{**event, "session_id": "s2"} for event in again]
    assert told(build([*log, *again])) == [("a", "A", "OK"), ("b", "B", "OK")]


def test_subagents_that_count_like_their_caller_keep_their_calls() -> None:
    starts = [use("call_0", "Task", prompt="north"), use("call_1", "Task", prompt="south")]
    inside = [
        event
        for parent, what in (("call_0", "north"), ("call_1", "south"))
        for event in (
            bash(what, "call_0", f"wc {what}", parent=parent),
            answer("call_0", f"{what} 12", parent=parent),
        )
    ]
    ends = [answer("call_0", "north has 12"), answer("call_1", "south has 12")]
    trace = build([init(), say("m1", *starts), *inside, *ends, finish()])
    assert told(trace) == [
        (None, "north has 12", "OK"),
        (None, "south has 12", "OK"),
        ("wc south", "south 12", "OK"),
        ("wc north", "north 12", "OK"),
    ]


def test_a_task_event_belongs_to_the_latest_call_of_its_id() -> None:
    def runs(message: str, task: str) -> list[Event]:
        about = {"task_id": task, "tool_use_id": "t", "task_type": "local_bash"}
        return [
            bash(message, "t", task),
            system("task_started", **about),
            answer("t", "running"),
            system("task_notification", status="completed", summary=f"{task} done", **about),
        ]

    trace = build([init(), *runs("m1", "first"), *runs("m2", "second"), finish()])
    summaries = [tool.attributes["evalkit.task"]["summary"] for tool in spans(trace, "TOOL")]
    assert summaries == ["first done", "second done"]


# -- the answer ----------------------------------------------------------------------------------

SPURIOUS = finish(
    None, subtype="error_during_execution", is_error=True, num_turns=0, errors=["only prompts"]
)


@pytest.mark.parametrize(
    ("events", "response"),
    [
        ([say("m", text('{"a": "b')), say("m", text('c"}')), finish('{"a": "b')], '{"a": "bc"}'),
        ([say("m", text("The whole "), text("of it.")), finish("of it.")], "The whole of it."),
        ([say("m", text("Let me see."), thinking("hm"), text("42")), finish("42")], "42"),
        ([say("m", text("other words")), finish("the result")], "the result"),
        ([say("m", text("said")), finish("")], "said"),
        ([finish("", structured_output={"n": 3})], {"n": 3}),
        ([say("m", text("said")), finish("text", structured_output=[])], []),
        ([say("m", text("said")), finish("text", structured_output=None)], "text"),
    ],
)
def test_the_response_is_the_whole_answer(events: list, response: object) -> None:
    trace = build([init(), *events])
    assert trace.response == trace.spans[0].outputs == response


@pytest.mark.parametrize(
    ("after", "status"),
    [
        ([SPURIOUS], "OK"),
        ([SPURIOUS, SPURIOUS], "OK"),
        ([system("status"), SPURIOUS], "OK"),
        ([ask("and then?"), SPURIOUS], "ERROR"),
        ([init(), SPURIOUS], "ERROR"),
        ([{**SPURIOUS, "session_id": "s2"}], "ERROR"),
        ([say("m9", text("no")), SPURIOUS], "ERROR"),
    ],
)
def test_an_error_that_nothing_led_to_does_not_undo_a_good_end(after: list, status: str) -> None:
    trace = build([init(), ask("7?"), say("m", text("seven")), finish("seven"), *after])
    assert trace.status == trace.spans[0].status == status
    if status == "OK":
        assert trace.response == "seven"
        assert "only prompts" in children(trace, trace.spans[0])[-1].message
        assert any("nothing led to" in note for note in trace.receipt.notes)


# -- tools that the API runs itself --------------------------------------------------------------


def served(kind: str, content: object, **more: object) -> list[Event]:
    call = {"type": "server_tool_use", "id": "srv", "name": kind, "input": {}}
    result = {"type": f"{kind}_tool_result", "tool_use_id": "srv", "content": content, **more}
    return [init(), say("m", call, result, text("so")), finish("so")]


@pytest.mark.parametrize(
    ("kind", "content", "message"),
    [
        (
            "web_search",
            {"type": "web_search_tool_result_error", "error_code": "max_uses_exceeded"},
            "max_uses_exceeded",
        ),
        (
            "web_fetch",
            [{"type": "web_fetch_tool_result_error", "error_code": "url_not_accessible"}],
            "url_not_accessible",
        ),
        (
            "bash_code_execution",
            {"type": "bash_code_execution_result", "stderr": "no such file", "return_code": 2},
            "no such file",
        ),
        ("code_execution", {"type": "code_execution_result", "return_code": -9}, "the tool failed"),
        ("web_search", [{"type": "web_search_result", "title": "t", "url": "u"}], None),
        ("code_execution", {"type": "code_execution_result", "return_code": 0}, None),
    ],
)
def test_a_tool_of_the_api_that_failed_is_an_error(
    kind: str, content: object, message: str | None
) -> None:
    (tool,) = spans(build(served(kind, content)), "TOOL")
    assert tool.status == ("OK" if message is None else "ERROR")
    assert (message or "") in tool.message


def test_what_a_text_cites_is_kept() -> None:
    cited = [{"type": "web_search_result_location", "url": "u", "cited_text": "the words"}]
    trace = build([init(), say("m", {**text("so"), "citations": cited}), finish("so")])
    assert spans(trace, "LLM")[0].outputs["content"] == [{**text("so"), "citations": cited}]


# -- messages that never became whole ------------------------------------------------------------


def stream(kind: str, **more: object) -> Event:
    return {"type": "stream_event", "session_id": "s1", "event": {"type": kind, **more}}


def begin(message: str = "m1") -> Event:
    about = {"id": message, "model": "claude-sonnet-4-6", "usage": usage(1200, 1)}
    return stream("message_start", message=about)


def piece(words: str, index: int = 0, kind: str = "text") -> list[Event]:
    delta = "input_json_delta" if kind == "partial_json" else f"{kind}_delta"
    block = {"type": kind, kind: ""}
    if kind == "partial_json":
        block = {"type": "tool_use", "id": "t1", "name": "Bash", "input": {}}
    half = len(words) // 2
    return [
        stream("content_block_start", index=index, content_block=block),
        stream("content_block_delta", index=index, delta={"type": delta, kind: words[:half]}),
        stream("content_block_delta", index=index, delta={"type": delta, kind: words[half:]}),
    ]


def test_a_killed_agents_last_words_are_in_the_trace() -> None:
    trace = build([init(), ask("where is it?"), begin(), *piece("It left at nine and")])
    (call,) = spans(trace, "LLM")
    assert trace.response == "It left at nine and"
    assert (call.status, call.message) == ("UNSET", "only a part of this message is in the log")
    assert call.inputs == {"messages": [{"role": "user", "content": "where is it?"}]}
    assert call.attributes["mlflow.chat.tokenUsage"]["input_tokens"] == 1200
    assert trace.receipt.skipped == {}
    assert trace.receipt.used == trace.receipt.lines == 6


def test_an_interrupted_call_shows_what_it_was_about_to_do() -> None:
    end = finish("", subtype="error_during_execution", is_error=True)
    trace = build([
        init(),
        ask("do it"),
        begin(),
        *piece("hm", 0, "thinking"),
        *piece('{"command": "refund 7', 1, "partial_json"),
        ask("[Request interrupted by user]"),
        end,
    ])  # fmt: skip
    assert outline(trace) == ["AGENT case", "  CHAIN turn 1", "    LLM claude-sonnet-4-6"]
    content = spans(trace, "LLM")[0].outputs["content"]
    assert content == [
        {"type": "thinking", "thinking": "hm"},
        {"type": "tool_use", "id": "t1", "name": "Bash", "input": '{"command": "refund 7'},
    ]
    assert trace.receipt.skipped == {}


def test_a_message_of_which_one_block_is_whole_keeps_the_other_as_far_as_it_goes() -> None:
    first, second = piece("One. ", 0), piece("Two", 1)
    trace = build([init(), begin(), *first, say("m1", text("One. ")), *second])
    assert spans(trace, "LLM")[0].outputs["content"] == [text("One. "), text("Two")]
    assert trace.response == "One. Two"
    assert trace.receipt.skipped == {"stream_event: repeated by the whole message": 3}


def test_a_message_that_was_begun_anew_leaves_its_first_words() -> None:
    again = [begin("m2"), *piece("Better."), say("m2", text("Better.")), stream("message_stop")]
    trace = build([init(), begin("m1"), *piece("Worse, and"), *again, finish("Better.")])
    calls = spans(trace, "LLM")
    assert [call.outputs["content"][0]["text"] for call in calls] == ["Worse, and", "Better."]
    assert [call.status for call in calls] == ["UNSET", "OK"]
    assert trace.response == "Better."


def test_a_message_that_became_whole_is_shown_once() -> None:
    whole = [begin(), *piece("Hi."), say("m1", text("Hi.")), stream("message_stop")]
    pieces = build([init(), *whole, finish("Hi.")])
    assert (
        pieces.spans[-1].outputs
        == build([init(), say("m1", text("Hi.")), finish("Hi.")]).spans[-1].outputs
    )
    assert pieces.receipt.skipped == {"stream_event: repeated by the whole message": 4}


@pytest.mark.parametrize("before", ["", "x" * 80])
def test_a_secret_that_comes_in_pieces_is_masked(before: str) -> None:
    secret = "sk-ant-api03-" + "a1" * 40
    trace = build([init(), begin(), *piece(f"{before} the key is {secret}!")])
    assert trace.response == f"{before} the key is [masked:anthropic-key]!"


def test_pieces_of_a_message_that_began_elsewhere_are_named_as_such() -> None:
    trace = build([init(), *piece("and so on"), finish("done")])
    assert trace.receipt.skipped == {"stream_event: of a message that did not begin in the log": 3}
