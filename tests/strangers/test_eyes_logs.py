"""Logs as strangers have them: steps, figures, answers, and what a line holds, in MLflow."""

import bz2
import io
import json
import lzma
import zipfile

import pytest
from agentlogs import (
    HAIKU,
    SONNET,
    added,
    answer,
    as_lines,
    ask,
    cost,
    finish,
    init,
    say,
    stamp,
    text,
    thinking,
    usage,
    use,
)
from eval_project import RUN_ID
from in_mlflow import InMlflow
from mlflow.artifacts import load_text

CASE = "alpha"


class Shown:
    """The trace of a case as it stands in MLflow, and what the receipt says of its log."""

    def __init__(self, trace, receipt, report):
        self.info, self.receipt, self.report = trace.info, receipt, report
        self.state = str(trace.info.state.value)
        self.answer = trace.data.response
        self.tokens = json.loads(trace.info.trace_metadata.get("mlflow.trace.tokenUsage", "{}"))
        told = json.loads(trace.info.trace_metadata.get("mlflow.trace.cost", "{}"))
        self.cost = told.get("total_cost")
        self.spans = trace.data.spans
        self.words = json.dumps(receipt, ensure_ascii=False)

    def kind(self, kind):
        return [span for span in self.spans if span.span_type == kind]

    def tools(self):
        """Of each call of a tool, in order: its name, input, output and state."""
        return [
            (span.name, span.inputs, span.outputs, span.status.status_code.value)
            for span in self.kind("TOOL")
        ]

    def above(self, span):
        by_id = {each.span_id: each for each in self.spans}
        names = []
        while span := by_id.get(span.parent_id):
            names.append(span.name)
        return names

    def told(self):
        """All that the spans hold, as text."""
        return json.dumps(
            [(s.inputs, s.outputs, dict(s.attributes)) for s in self.spans], ensure_ascii=False
        )

    def counted(self, key="input_tokens"):
        used = [s.attributes.get("mlflow.chat.tokenUsage") or {} for s in self.kind("LLM")]
        return sum(each.get(key, 0) for each in used)


@pytest.fixture
def logged(evalkit, project, database_uri):
    """Logs a run of one case whose files these are, and shows what then stands in MLflow."""

    def log(files, case=None, steps=(), **whole):
        project.unlog("alpha", "beta", "gamma")
        project.remove("cases/beta")
        project.remove("cases/gamma")
        project.summarise({})
        project.configure(
            judges=[], thresholds={}, **({"execution": {"steps": steps}} if steps else {})
        )
        result = {"execution_mode": "case", **whole}
        if case is not None:
            result["per_case"] = {CASE: case}
        project.write(f"{project.run_dir}/run_result.json", result)
        for path, content in files.items():
            log = content if isinstance(content, bytes) else b"".join(as_lines(content))
            project.write(f"{project.run_dir}/cases/{CASE}/{path}", log)
        outcome = evalkit("log-results", "--run-id", RUN_ID)
        assert outcome.code == 0, outcome
        mlflow = InMlflow(database_uri)
        traces = mlflow.traces()
        assert list(traces) == [CASE]
        trace = mlflow.tracing.get_trace(traces[CASE].info.trace_id)
        receipts = load_text(f"{mlflow.run().info.artifact_uri}/receipt.json")
        receipt = json.loads(receipts)["logs"].get(CASE, {})
        return Shown(trace, receipt, outcome)

    return log


def step(session, reply, *, models=None, tool=None, **more):
    """A process of its own: a question, maybe a call of a tool, an answer."""
    calls = []
    if tool:
        calls = [say(f"{session}-call", use("t1", "Bash", command=tool), used=usage(0, 0))]
        calls += [answer("t1", f"{tool} is done")]
    used = usage(100, 20)
    log = [
        init(),
        ask(f"please {session}"),
        *calls,
        say(f"{session}-last", text(reply), used=used),
        finish(reply, models=models or {SONNET: used}, main=used, **more),
    ]
    return [{**event, "session_id": session} for event in log]


STEPS = ({"id": "draft", "skill": "draft"}, {"id": "polish", "skill": "polish"})


# -- steps ------------------------------------------------------------------------------------


def test_a_run_that_was_killed_between_two_steps_shows_the_one_that_is_there(logged):
    shown = logged({"steps/draft/stdout.log": step("draft", "DRAFT", tool="look")}, steps=STEPS)
    assert [each[1] for each in shown.tools()] == [{"command": "look"}]
    assert "DRAFT" in shown.told()
    assert "polish" in shown.words, shown.words


@pytest.mark.parametrize(
    ("case", "state"), [(None, "STATE_UNSPECIFIED"), ({"exit_code": 0}, "OK")], ids=repr
)
def test_a_killed_run_is_not_called_good_unless_it_says_so(logged, case, state):
    shown = logged({"steps/draft/stdout.log": step("draft", "DRAFT")}, case, steps=STEPS)
    assert shown.state == state
    assert "DRAFT" in shown.answer


def test_steps_come_as_the_run_did_them_where_the_config_knows_none_of_them(logged):
    last = step("sweep", "SWEPT")
    files = {
        "steps/wash/stdout.log": step("wash", "WASHED", tool="soap"),
        "steps/10-dry/stdout.log": step("dry", "DRIED", tool="towel"),
        "steps/Sweep/stdout.log": last,
        "stdout.log": last,
    }
    each = {"cost_usd": cost(SONNET, usage(100, 20))}
    shown = logged(files, {"steps": {"wash": each, "10-dry": each, "Sweep": each}})
    assert [call[1]["command"] for call in shown.tools()] == ["soap", "towel"]
    told = str([span.outputs for span in shown.kind("LLM")])
    assert told.index("WASHED") < told.index("DRIED") < told.index("SWEPT")
    assert "SWEPT" in shown.answer
    assert shown.cost == pytest.approx(3 * each["cost_usd"])


def test_steps_that_resume_one_session_cost_what_the_run_says(logged):
    first, second = usage(1000, 100), usage(2500, 150)
    log = step("one", "A", models={SONNET: first}), step("one", "B", models={SONNET: second})
    files = {
        "steps/draft/stdout.log": log[0],
        "steps/polish/stdout.log": log[1],
        "stdout.log": log[1],
    }
    whole = {
        "cost_usd": cost(SONNET, first) + cost(SONNET, second),
        "token_usage": {"input": 3500, "output": 250},
    }
    shown = logged(files, whole, steps=STEPS)
    assert shown.cost == pytest.approx(whole["cost_usd"])
    assert (shown.tokens["input_tokens"], shown.tokens["output_tokens"]) == (3500, 250)


def test_a_step_in_the_middle_that_died_and_the_subagent_of_another_are_shown(logged):
    sidecar = [
        {**ask("count"), "isSidechain": True, "agentId": "a1"},
        {
            **say("sub", text("I counted 12"), used=usage(7, 3)),
            "isSidechain": True,
            "agentId": "a1",
        },
    ]
    plan = [
        init("plan"),
        say("p1", use("t1", "Task", description="count", prompt="count")),
        answer("t1", [text("12\nagentId: a1 (for resuming)")], tool_use_result={"agentId": "a1"}),
        say("p2", text("PLAN")),
        finish("PLAN", session="plan"),
    ]
    cut = b"".join(as_lines(step("act", "never", tool="refund 7")[:4]))[:-30]
    files = {
        "steps/plan/stdout.log": plan,
        "steps/plan/subagents/agent-a1.jsonl": sidecar,
        "steps/act/stdout.log": cut,
    }
    steps = [{"id": name, "prompt": name} for name in ("plan", "act", "verify")]
    states = {"plan": {"exit_code": 0}, "act": {"exit_code": 137}}
    shown = logged(files, {"exit_code": 137, "duration_s": 4.0, "steps": states}, steps=steps)
    assert shown.state == "ERROR"
    (counted,) = [span for span in shown.kind("LLM") if "I counted 12" in str(span.outputs)]
    assert any("Task" in name or "count" in name for name in shown.above(counted))
    assert "refund 7" in shown.told()


# -- figures ----------------------------------------------------------------------------------


def test_a_transcript_that_repeats_a_message_has_the_figure_of_its_last_line(logged):
    lines = [
        {**ask("hi"), "sessionId": "s"},
        say("m1", thinking("hm"), used=usage(100, 1)),
        say("m1", text("one"), used=usage(100, 1)),
        say("m1", use("t1", "Bash", command="ls"), used=usage(100, 254), stop="tool_use"),
        {**answer("t1", "x"), "sessionId": "s"},
        say("m2", text("two"), used=usage(200, 330), stop="end_turn"),
    ]
    shown = logged({"stdout.log": stamp(lines, "all", seconds=4)})
    assert (shown.tokens["input_tokens"], shown.tokens["output_tokens"]) == (300, 584)
    assert shown.info.execution_duration == 20_000
    assert "two" in shown.answer


def test_a_log_that_was_cut_off_has_its_messages_tokens_and_the_runs_time_and_cost(logged):
    log = [
        init(),
        ask("hi"),
        say("m1", use("t1", "Bash", command="ls"), used=usage(100, 75), stop="tool_use"),
        answer("t1", "x"),
        say("m2", text("so far"), used=usage(200, 50), model=HAIKU, stop="end_turn"),
    ]
    case = {"exit_code": 124, "duration_s": 61.5, "cost_usd": 0.0125}
    shown = logged({"stdout.log": log}, case)
    assert (shown.tokens["input_tokens"], shown.tokens["output_tokens"]) == (300, 125)
    assert shown.info.execution_duration == 61_500
    assert shown.cost == pytest.approx(0.0125)
    assert shown.state == "ERROR"


def test_a_result_whose_usage_is_all_zero_does_not_erase_the_messages(logged):
    zero = usage(0, 0)
    end = finish(None, main=zero, models={}, subtype="error_max_turns", is_error=True)
    log = [init(), say("m1", text("one"), used=usage(100, 75), stop="end_turn"), end]
    shown = logged({"stdout.log": log})
    assert (shown.tokens["input_tokens"], shown.tokens["output_tokens"]) == (100, 75)
    assert shown.state == "ERROR"


# -- no message twice, no excess unnamed --------------------------------------------------------


def test_cache_tokens_that_the_result_does_not_know_are_named(logged):
    log = [
        init(),
        say("m1", text("a"), used=usage(10, 5, cached=5000)),
        finish("a", models={SONNET: usage(10, 5)}, main=usage(10, 5)),
    ]
    shown = logged({"stdout.log": log})
    assert shown.receipt["verdict"] == "differs"
    assert "5000" in shown.words


def test_a_subagents_transcript_by_a_model_that_the_result_does_not_name_is_named(logged):
    main = usage(20, 10)
    log = [
        init(),
        say("m1", use("t1", "Task", description="d", prompt="p"), used=usage(10, 5)),
        answer("t1", [text("agentId: a1")], tool_use_result={"agentId": "a1"}),
        say("m2", text("done"), used=usage(10, 5)),
        finish("done", models={SONNET: main}, main=main),
    ]
    sub = say("s1", text("found"), used=usage(1000, 70), model="glm-4.6")
    files = {
        "stdout.log": log,
        "subagents/agent-a1.jsonl": [
            {**each, "isSidechain": True, "agentId": "a1"} for each in (ask("p"), sub)
        ],
    }
    shown = logged(files)
    assert shown.counted() == 1020
    assert shown.receipt["verdict"] == "differs"
    assert "glm-4.6" in shown.words


def test_a_model_that_is_written_with_and_without_its_date_is_one_model(logged):
    used = usage(10, 5)
    log = [
        init(),
        say("m1", text("a"), used=used, model="claude-haiku-4-5"),
        finish("a", models={HAIKU: used}, main=used),
    ]
    assert logged({"stdout.log": log}).receipt["verdict"] == "reconciled"


def turn(number, used, models, session="s1", **more):
    log = [
        init(),
        ask(f"q{number}"),
        say(f"m{number}", text(f"a{number}"), used=used, **more),
        finish(f"a{number}", models=models, main=used),
    ]
    return [{**event, "session_id": session} for event in log]


def test_three_turns_of_one_process_cost_what_the_last_one_says(logged):
    one, two, three = usage(1000, 100), usage(1500, 50), usage(800, 40)
    both = added([one, two])
    log = [
        *turn(1, one, {SONNET: one}),
        *turn(2, two, {SONNET: both}),
        *turn(3, three, {SONNET: both, HAIKU: three}, model=HAIKU),
    ]
    shown = logged({"stdout.log": log})
    assert shown.cost == pytest.approx(cost(SONNET, both) + cost(HAIKU, three))
    assert (shown.tokens["input_tokens"], shown.tokens["output_tokens"]) == (3300, 190)
    assert shown.receipt["verdict"] == "reconciled"


def test_a_process_that_died_between_two_others_costs_what_each_says(logged):
    """Two sessions in one file, the first of two turns; between those an error."""
    one, two, three = usage(1000, 100), usage(1500, 50), usage(4000, 400)
    both = added([one, two])
    failed = finish(None, subtype="error_during_execution", is_error=True, duration_ms=0)
    failed |= {"total_cost_usd": 0, "num_turns": 0, "usage": usage(0, 0), "errors": ["no session"]}
    log = [
        *turn(1, one, {SONNET: one}),
        failed,
        *turn(2, two, {SONNET: both}),
        *turn(3, three, {SONNET: three}, session="s2"),
    ]
    shown = logged({"stdout.log": log})
    assert shown.cost == pytest.approx(cost(SONNET, both) + cost(SONNET, three))
    assert (shown.tokens["input_tokens"], shown.tokens["output_tokens"]) == (6500, 550)


def side(agent, *events):
    return [{**each, "isSidechain": True, "agentId": agent, "sessionId": "s1"} for each in events]


def test_a_forked_agent_that_brings_its_parents_messages_along_counts_only_its_own(logged):
    whole = added([usage(1000, 50), usage(300, 20), usage(40, 10)])
    fork = say("m1", use("t1", "Task", description="d", prompt="p"), used=usage(1000, 50))
    log = [
        init(),
        ask("do it"),
        fork,
        answer("t1", [text("found\nagentId: a1")], tool_use_result={"agentId": "a1"}),
        say("m2", text("done"), used=usage(40, 10)),
        finish("done", models={SONNET: whole}, main=added([usage(1000, 50), usage(40, 10)])),
    ]
    files = {
        "stdout.log": log,
        "subagents/agent-a1.jsonl": side(
            "a1", ask("do it"), fork, ask("p"), say("own", text("found"), used=usage(300, 20))
        ),
    }
    shown = logged(files)
    assert shown.counted() == 1340
    assert shown.receipt["verdict"] == "reconciled"
    assert len(shown.tools()) + len(shown.kind("AGENT")) - 1 in {1, 2}


def test_two_siblings_that_both_bring_one_message_along_count_it_once(logged):
    """The message is in neither's parent; the main log has a placeholder for its output tokens."""
    shared = say("shared", text("we know the house"), used=usage(500, 30))
    calls = [use(f"t{n}", "Task", description=f"d{n}", prompt=f"p{n}") for n in (1, 2)]
    whole = added([usage(10, 5), usage(500, 30), usage(7, 2), usage(8, 3), usage(20, 6)])
    log = [
        init(),
        say("m1", *calls, used=usage(10, 5)),
        answer("t1", [text("agentId: a1")], tool_use_result={"agentId": "a1"}),
        answer("t2", [text("agentId: a2")], tool_use_result={"agentId": "a2"}),
        say("m2", text("done"), used=usage(20, 6)),
        finish("done", models={SONNET: whole}, main=added([usage(10, 5), usage(20, 6)])),
    ]
    files = {
        "stdout.log": log,
        "subagents/agent-a1.jsonl": side(
            "a1", ask("p1"), shared, say("x1", text("one"), used=usage(7, 2))
        ),
        "subagents/agent-a2.jsonl": side(
            "a2", ask("p1"), shared, ask("p2"), say("x2", text("two"), used=usage(8, 3))
        ),
    }
    shown = logged(files)
    assert shown.counted() == 545
    assert shown.receipt["verdict"] == "reconciled"


# -- ids of tools -------------------------------------------------------------------------------


def test_calls_without_any_id_take_their_results_in_order(logged):
    def bare(name, **given):
        return {"type": "tool_use", "name": name, "input": given}

    def back(content, **more):
        return {"type": "tool_result", "content": content, **more}

    log = [
        init(),
        say("m1", bare("Bash", command="one"), bare("Bash", command="two")),
        ask([back("ONE"), back("no such file", is_error=True)]),
        say("m2", bare("Read", file_path="three")),
        ask([back("THREE")]),
        say("m3", text("done")),
        finish("done"),
    ]
    shown = logged({"stdout.log": log})
    assert [(name, state) for name, _, _, state in shown.tools()] == [
        ("Bash", "OK"),
        ("Bash", "ERROR"),
        ("Read", "OK"),
    ]
    assert [str(out) for _, _, out, _ in shown.tools()] == ["ONE", "no such file", "THREE"]


def test_each_step_of_a_case_may_number_its_calls_from_one(logged):
    draft, polish = step("draft", "D", tool="write"), step("polish", "P", tool="shine")
    files = {
        "steps/draft/stdout.log": draft,
        "steps/polish/stdout.log": polish,
        "stdout.log": polish,
    }
    shown = logged(files, steps=STEPS)
    assert [(given["command"], out) for _, given, out, _ in shown.tools()] == [
        ("write", "write is done"),
        ("shine", "shine is done"),
    ]


def test_two_calls_of_one_message_with_one_id_take_their_results_in_order(logged):
    log = [
        init(),
        say("m1", use("call_0", "Bash", command="a"), use("call_0", "Bash", command="b")),
        answer("call_0", "A"),
        answer("call_0", "B", failed=True),
        say("m2", text("done")),
        finish("done"),
    ]
    shown = logged({"stdout.log": log})
    assert [(given["command"], out, state) for _, given, out, state in shown.tools()] == [
        ("a", "A", "OK"),
        ("b", "B", "ERROR"),
    ]


# -- the answer ---------------------------------------------------------------------------------


def test_structured_output_beside_words_is_the_answer(logged):
    log = [
        init(),
        say("m1", use("so", "StructuredOutput", items=[1, 2])),
        answer("so", "Structured output provided successfully"),
        say("m2", text("I have handed it in.")),
        finish("I have handed it in.", structured_output=[1, 2]),
    ]
    assert json.loads(logged({"stdout.log": log}).answer) == [1, 2]


def test_structured_output_that_is_null_leaves_the_words(logged):
    log = [init(), say("m1", text("plain")), finish("plain", structured_output=None)]
    assert "plain" in logged({"stdout.log": log}).answer


def test_an_error_that_ended_a_later_turn_is_no_spurious_one(logged):
    log = [
        init(),
        ask("q1"),
        say("m1", text("the answer is 7")),
        finish("the answer is 7"),
        ask("q2"),
        say("m2", use("t1", "Bash", command="ls"), used=usage(50, 5)),
        finish(None, subtype="error_max_turns", is_error=True, num_turns=9),
    ]
    assert logged({"stdout.log": log}).state == "ERROR"


def test_the_whole_last_message_is_the_answer_where_the_result_has_its_end_only(logged):
    log = [
        init(),
        say("m1", thinking("more?")),
        say("m1", text("Refunded 30 EUR. ")),
        say("m1", text("To your card. ")),
        say("m1", text("It takes five days."), stop="end_turn"),
        finish("It takes five days."),
    ]
    shown = logged({"stdout.log": log})
    assert "Refunded 30 EUR." in shown.answer
    assert "It takes five days." in shown.answer


# -- tools that the API runs --------------------------------------------------------------------


def served(tool_id, name, kind, content, **more):
    call = {"type": more.pop("call", "server_tool_use"), "id": tool_id, "name": name, "input": {}}
    return [
        call,
        {"type": f"{kind}_tool_result", "tool_use_id": tool_id, "content": content, **more},
    ]


def test_what_the_api_ran_itself_shows_how_it_ended(logged):
    def error(kind):
        return {"type": f"{kind}_tool_result_error", "error_code": "unavailable"}

    def ran(kind, code):
        return {"type": f"{kind}_result", "return_code": code, "stdout": "", "stderr": "x"}

    pages = [{"type": "web_search_result", "url": "https://x.example", "title": "X"}]
    edit = "text_editor_code_execution"
    mcp = {"call": "mcp_tool_use", "server_name": "crm"}
    blocks = [
        *served("1", "web_fetch", "web_fetch", error("web_fetch")),
        *served("2", "code_execution", "code_execution", ran("code_execution", 1)),
        *served("3", "code_execution", "code_execution", ran("code_execution", 0)),
        *served("4", edit, edit, error(edit)),
        *served("5", "web_search", "web_search", pages),
        *served("6", "lookup", "mcp", [text("no such customer")], is_error=True, **mcp),
        *served("7", "lookup", "mcp", [text("Kim")], is_error=False, **mcp),
    ]
    log = [init(), say("m1", *blocks, text("done")), finish("done")]
    states = [state for *_, state in logged({"stdout.log": log}).tools()]
    assert states == ["ERROR", "ERROR", "OK", "ERROR", "OK", "ERROR", "OK"]


def test_a_result_of_the_apis_own_tool_may_come_in_a_later_line_or_a_subagent(logged):
    call, failed = served(
        "srv", "web_search", "web_search",
        {"type": "web_search_tool_result_error", "error_code": "too_many_requests"},
    )  # fmt: skip
    cited = {"type": "text", "text": "It is so.", "citations": [{"url": "https://cited.example"}]}
    log = [
        init(),
        say("m1", use("t1", "Task", description="d", prompt="p")),
        say("s1", call, parent="t1"),
        say("s1", failed, parent="t1"),
        say("s1", cited, parent="t1"),
        answer("t1", "It is so."),
        say("m2", text("done")),
        finish("done"),
    ]
    shown = logged({"stdout.log": log})
    (search,) = [call for call in shown.tools() if call[0] == "web_search"]
    assert search[-1] == "ERROR"
    assert "too_many_requests" in str(search)
    assert "cited.example" in shown.told() or "citation" in shown.words


# -- messages that never became whole -----------------------------------------------------------


def streamed(message_id, *events, parent=None, used=None):
    start = {"id": message_id, "role": "assistant", "model": SONNET, "content": []}
    start["usage"] = used or usage(1200, 1)
    inner = [{"type": "message_start", "message": start}, *events]
    return [
        {"type": "stream_event", "event": e, "session_id": "s1", "parent_tool_use_id": parent}
        for e in inner
    ]


def opened(index, block):
    return {"type": "content_block_start", "index": index, "content_block": block}


def delta(index, kind, key, words):
    return {"type": "content_block_delta", "index": index, "delta": {"type": kind, key: words}}


def closed(index):
    return {"type": "content_block_stop", "index": index}


def test_the_block_of_a_message_that_was_still_being_written_is_shown_beside_its_whole_ones(logged):
    first, *rest = streamed(
        "m1",
        opened(0, text("")),
        delta(0, "text_delta", "text", "I will refund it."),
        closed(0),
        opened(1, use("t1", "Bash")),
        delta(1, "input_json_delta", "partial_json", '{"command": "refund 7'),
    )
    whole = say("m1", text("I will refund it."), used=usage(1200, 1))
    shown = logged({"stdout.log": [init(), ask("q"), first, *rest[:3], whole, *rest[3:]]})
    assert shown.told().count("I will refund it.") >= 1
    assert "refund 7" in shown.told()
    assert shown.counted() == 1200


def test_a_subagents_message_that_broke_off_is_shown_below_its_call(logged):
    log = [
        init(),
        say("m1", use("t1", "Task", description="d", prompt="p")),
        *streamed(
            "sub",
            opened(0, thinking("")),
            delta(0, "thinking_delta", "thinking", "where is the parcel"),
            closed(0),
            opened(1, text("")),
            delta(1, "text_delta", "text", "It lies in"),
            parent="t1",
        ),
        answer("t1", "[Request interrupted by user]", failed=True),
        say("m2", text("It was interrupted.")),
        finish("It was interrupted."),
    ]
    shown = logged({"stdout.log": log})
    (broken,) = [span for span in shown.kind("LLM") if "It lies in" in str(span.outputs)]
    assert "where is the parcel" in shown.told()
    assert len(shown.above(broken)) > 2, shown.above(broken)
    assert "It was interrupted." in shown.answer


# -- lines --------------------------------------------------------------------------------------


def plain_log():
    used = usage(30, 10)
    return [
        init(),
        say("m1", use("a", "Bash", command="ls"), used=usage(10, 5)),
        answer("a", "ONE"),
        say("m2", text("fin"), used=usage(20, 5)),
        finish("fin", models={SONNET: used}, main=used),
    ]


def joined(one, two, three, four, five):
    bare = [line.rstrip(b"\n") for line in (one, two, three, four, five)]
    return {
        "several on a line, with words between": b"".join(
            [bare[0], b" [warn] slow {x} ", bare[1], bare[2], b"...", bare[3], b"\n", five]
        ),
        "carriage returns only": b"\r".join(bare),
        "a byte order mark, and windows' line ends": b"\xef\xbb\xbf" + b"\r\n".join(bare),
        "a progress bar before": b"\r 10%\r 50%\r\x1b[2K"
        + one
        + two
        + b"\x1b[0m"
        + three
        + four
        + five,
        "an array's commas, without its brackets": b",\n".join(bare),
        "brackets around, an event a line": b"[\n" + b",\n".join(bare) + b"\n]\n",
        "one line": b"".join(bare),
        "UTF-16, as PowerShell writes it": b"".join(bare).decode().encode("utf-16"),
    }


@pytest.mark.parametrize("form", list(joined(*as_lines(plain_log()))))
def test_every_event_is_read_in_whatever_form_its_line_is(logged, form):
    shown = logged({"stdout.log": joined(*as_lines(plain_log()))[form]})
    assert [(given, out) for _, given, out, _ in shown.tools()] == [({"command": "ls"}, "ONE")]
    assert (shown.tokens["input_tokens"], shown.tokens["output_tokens"]) == (30, 10)
    assert shown.receipt["verdict"] == "reconciled"


def refused():
    lines = as_lines(plain_log())
    whole = b"".join(lines)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("stdout.log", whole)

    def docker(line):
        return json.dumps({"log": line.decode(), "stream": "stdout"}).encode() + b"\n"

    return {
        "bzip2": (bz2.compress(whole), "bz"),
        "xz": (lzma.compress(whole), "xz"),
        "zip": (packed.getvalue(), "zip"),
        "zstd": (b"\x28\xb5\x2f\xfd" + bytes(range(200)), "zst"),
        "events of a server, with their kind": (
            b"".join(b"event: message\ndata: " + line + b"\n" for line in lines), "data:",
        ),
        "a pod's name before each": (b"".join(b"[pod/x-1] " + line for line in lines), "prefix"),
        "record separators": (b"".join(b"\x1e" + line for line in lines), "other text"),
        "journald's JSON": (
            b"".join(
                json.dumps({"_PID": "7", "MESSAGE": line.decode().strip()}).encode() + b"\n"
                for line in lines
            ),
            "jq -r .MESSAGE",
        ),
        "syslog": (
            b"".join(b"Jan  2 03:04:05 host claude[7]: " + line for line in lines), "prefix",
        ),
        "docker's own log file": (b"".join(map(docker, lines)), "jq -j .log"),
    }  # fmt: skip


@pytest.mark.parametrize("form", list(refused()))
def test_a_log_in_another_wrapping_is_refused_with_advice_that_fits(logged, form):
    content, word = refused()[form]
    shown = logged({"stdout.log": content})
    said = shown.report.err + json.dumps(shown.report.report)
    assert not shown.tools()
    assert word.lower() in said.lower(), said
