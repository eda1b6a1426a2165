"""From spans to a conversation: every remark once, in order, in its place."""

import pytest
from agentlogs import HAIKU, answer, ask, build, finish, init, say, system, text, thinking, use

from evalkit.traces.dialogue import GIST_CHARS, dialogue


def told(*events):
    """The conversation of a log as lines: voice, indented by depth, and what is said or done."""
    remarks = dialogue(build(events).spans)
    return [f"{'  ' * r.depth}{r.voice}: {r.text or f'{r.name} {r.gist}'}" for r in remarks]


DIG = {"description": "Dig", "prompt": "Dig deep"}
CUT_OFF = [ask("Go"), say("m1", text("Working"))]
IN_ANOTHER = {"session_id": "s2"}
TOLD = {
    "words, thinking and tools in the order of the log": (
        [
            ask("What is here?"),
            say("m1", thinking("Look first."), text("Let me look."), use("t1", "Bash", at="ls")),
            answer("t1", "README.md"),
            say("m2", use("t2", "Read", file_path="README.md"), text("And inside it:")),
            answer("t2", "Hello"),
            say("m3", text("One file.")),
            finish("One file."),
        ],
        """user: What is here?|thinking: Look first.|agent: Let me look.|tool: Bash ls|\
tool: Read README.md|agent: And inside it:|agent: One file.""",
    ),
    "a subagent within the tool that started it": (
        [
            ask("Find it"),
            say("m1", use("t1", "Agent", **DIG, subagent_type="x")),
            ask([text("Dig deep")], parent="t1"),
            say("m2", use("t2", "Bash", command="grep"), parent="t1", model=HAIKU),
            answer("t2", "found", parent="t1"),
            say("m3", text("In a.py"), parent="t1", model=HAIKU),
            answer("t1", "In a.py"),
            finish("It is in a.py"),
        ],
        """user: Find it|tool: Agent Dig|  subagent: Dig|  user: Dig deep|\
  tool: Bash grep|  agent: In a.py|answer: It is in a.py""",
    ),
    "what goes on in the background with the tool that launched it": (
        [
            ask("Go"),
            say("m1", use("t1", "Agent", run_in_background=True, **DIG)),
            answer("t1", "Launched.", tool_use_result={"isAsync": True, "agentId": "a1"}),
            say("m2", text("Meanwhile")),
            system(
                "task_notification", task_id="a1", tool_use_id="t1", status="completed", summary="x"
            ),
            finish("Meanwhile"),
        ],
        "user: Go|tool: Agent Dig|  subagent: Dig|  user: Dig deep|  answer: x|agent: Meanwhile",
    ),
    "what the agent was given on the way, apart from its task": (
        [
            ask("Go"),
            say("m1", use("t1", "Skill", skill="pdf")),
            answer("t1", "loading"),
            ask([text("How to read a PDF")], isSynthetic=True),
            say("m2", text("Done")),
            finish("Done"),
        ],
        "user: Go|tool: Skill pdf|input: How to read a PDF|agent: Done",
    ),
    "an answer that was not the last word, and an agent that repeats itself": (
        [ask("Go"), say("m1", text("Yes")), say("m2", text("Yes")), finish('{"found": 3}')],
        'user: Go|agent: Yes|agent: Yes|answer: {"found": 3}',
    ),
    "each session of a log": (
        [
            ask("One"),
            finish("1"),
            init("s2"),
            ask("Two", **IN_ANOTHER),
            finish("2", session="s2"),
        ],
        "notice: session 1|user: One|answer: 1|notice: session 2|user: Two|answer: 2",
    ),
    "a tool whose call is missing": (
        [ask("Go"), answer("t9", "result of a lost call"), finish("Done")],
        "user: Go|tool: tool call not in the log |answer: Done",
    ),
    "that the log ends before the session": (
        CUT_OFF,
        "user: Go|agent: Working|notice: the log ends before the session does",
    ),
    "how a session failed": (
        [*CUT_OFF, finish(None, subtype="error_max_turns", is_error=True)],
        "user: Go|agent: Working|notice: error_max_turns",
    ),
}


@pytest.mark.parametrize(("events", "lines"), TOLD.values(), ids=TOLD)
def test_a_conversation_tells(events, lines):
    assert told(init(), *events) == lines.split("|")


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
