"""From spans to a conversation: every remark once, in order, in its place."""

from agentlogs import HAIKU, answer, ask, build, finish, init, say, system, text, thinking, use

from evalkit.traces.dialogue import GIST_CHARS, dialogue


def told(*events, **options):
    """The conversation of a log as lines: voice, indented by depth, and what is said or done."""
    remarks = dialogue(build(events, **options).spans)
    return [f"{'  ' * r.depth}{r.voice}: {r.text or f'{r.name} {r.gist}'}" for r in remarks]


def test_words_thinking_and_tools_come_in_the_order_of_the_log():
    assert told(
        init(),
        ask("What is here?"),
        say("m1", thinking("Look first."), text("Let me look."), use("t1", "Bash", command="ls")),
        answer("t1", "README.md"),
        say("m2", use("t2", "Read", file_path="README.md"), text("And inside it:")),
        answer("t2", "Hello"),
        say("m3", text("One file.")),
        finish("One file."),
    ) == [
        "user: What is here?",
        "thinking: Look first.",
        "agent: Let me look.",
        "tool: Bash ls",
        "tool: Read README.md",
        "agent: And inside it:",
        "agent: One file.",
    ]


def test_a_subagent_speaks_within_the_tool_that_started_it():
    assert told(
        init(),
        ask("Find it"),
        say("m1", use("t1", "Agent", description="Search", prompt="Search all", subagent_type="x")),
        ask([text("Search all")], parent="t1"),
        say("m2", use("t2", "Bash", command="grep"), parent="t1", model=HAIKU),
        answer("t2", "found", parent="t1"),
        say("m3", text("In a.py"), parent="t1", model=HAIKU),
        answer("t1", "In a.py"),
        say("m4", text("It is in a.py")),
        finish("It is in a.py"),
    ) == [
        "user: Find it",
        "tool: Agent Search",
        "  subagent: Search",
        "  user: Search all",
        "  tool: Bash grep",
        "  agent: In a.py",
        "agent: It is in a.py",
    ]


def test_what_the_agent_was_given_on_the_way_is_told_apart_from_its_task():
    lines = told(
        init(),
        ask("Go"),
        say("m1", use("t1", "Skill", skill="pdf")),
        answer("t1", "loading"),
        ask([text("How to read a PDF")], isSynthetic=True),
        say("m2", text("Done")),
        finish("Done"),
    )
    assert lines == ["user: Go", "tool: Skill pdf", "input: How to read a PDF", "agent: Done"]


def test_an_answer_that_was_not_the_last_word_is_told():
    lines = told(init(), ask("Go"), say("m1", text("Working")), finish('{"found": 3}'))
    assert lines[-2:] == ["agent: Working", 'answer: {"found": 3}']


def test_an_agent_may_repeat_itself():
    lines = told(init(), ask("Go"), say("m1", text("Yes")), say("m2", text("Yes")), finish("Yes"))
    assert lines == ["user: Go", "agent: Yes", "agent: Yes"]


def test_how_a_session_failed_is_the_last_thing_told():
    cut_off = [init(), ask("Go"), say("m1", text("Working"))]
    assert told(*cut_off)[-1] == "notice: the log ends before the session does"
    failed = finish(None, subtype="error_max_turns", is_error=True)
    assert told(*cut_off, failed)[-1] == "notice: error_max_turns"


def test_each_session_of_a_log_is_announced():
    again = {"session_id": "s2"}
    assert told(
        init(),
        ask("One"),
        say("m1", text("1")),
        finish("1"),
        init("s2"),
        ask("Two", **again),
        say("m2", text("2"), **again),
        finish("2", session="s2"),
    ) == [
        "notice: session 1",
        "user: One",
        "agent: 1",
        "notice: session 2",
        "user: Two",
        "agent: 2",
    ]


def test_a_tool_says_how_it_ended_and_how_long_it_took_where_the_log_does():
    long = "cat <<EOF\n" + "word " * 100
    events = [
        init(timestamp="2026-03-04T05:06:07Z"),
        ask("Go", timestamp="2026-03-04T05:06:07Z"),
        say("m1", use("t1", "Bash", command="false"), timestamp="2026-03-04T05:06:08Z"),
        answer("t1", "no such file", failed=True, timestamp="2026-03-04T05:06:10Z"),
        say("m2", use("t2", "Bash", command=long), timestamp="2026-03-04T05:06:11Z"),
    ]
    tools = [remark for remark in dialogue(build(events).spans) if remark.voice == "tool"]
    assert [(t.status, t.seconds) for t in tools] == [("ERROR", 2.0), ("UNSET", 0.0)]
    assert tools[0].message == "no such file"
    assert tools[1].gist.startswith("cat <<EOF word word")
    assert (len(tools[1].gist), tools[1].gist[-1]) == (GIST_CHARS, "…")
    unknown = [{k: v for k, v in event.items() if k != "timestamp"} for event in events]
    remarks = dialogue(build(unknown).spans)
    assert {r.seconds for r in remarks if r.voice == "tool"} == {None}


def test_a_tool_whose_call_is_missing_is_told_too():
    lines = told(init(), ask("Go"), answer("t9", "result of a lost call"), finish("Done"))
    assert "tool: tool call not in the log " in lines


def test_what_goes_on_in_the_background_is_told_with_the_tool_that_launched_it():
    launched = "Async agent launched successfully."
    lines = told(
        init(),
        ask("Go"),
        say("m1", use("t1", "Agent", description="Dig", prompt="Dig", run_in_background=True)),
        answer("t1", launched, tool_use_result={"isAsync": True, "agentId": "a1"}),
        say("m2", text("Meanwhile")),
        system(
            "task_notification", task_id="a1", tool_use_id="t1", status="completed", summary="gold"
        ),
        finish("Meanwhile"),
    )
    assert lines == [
        "user: Go",
        "tool: Agent Dig",
        "  subagent: Dig",
        "  user: Dig",
        "  answer: gold",
        "agent: Meanwhile",
    ]
