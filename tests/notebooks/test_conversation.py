"""The conversation as a page shows it: whatever a log says, it stays text."""

import json
from html.parser import HTMLParser

import pytest
from agentlogs import (
    SONNET,
    Story,
    answer,
    ask,
    build,
    build_lines,
    finish,
    init,
    say,
    stamp,
    text,
    thinking,
    use,
)

from evalkit.ui.trace_views import FOLDED_FROM, MOST_CHARACTERS, conversation, waterfall

OWN_TAGS = {"div", "style", "details", "summary", "span"}
HOSTILE = [
    "<script>alert(1)</script>",
    '<img src=x onerror="alert(1)">',
    "</div></details></style><style>body { display: none }</style>",
    '"><marimo-button data-initial-value="1"></marimo-button>',
    "&lt;b&gt; stays as it is &amp;",
    "[a link](javascript:alert(1)) **bold** `code` $$x^2$$ {name}",
]


class Reading(HTMLParser):
    """What a browser makes of HTML: its elements, their attributes, and the text."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.attributes, self.text = set(), set(), ""
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_data(self, data):
        self.text += data


def read(*events):
    return Reading(conversation(build(events)).text)


@pytest.mark.parametrize("hostile", HOSTILE)
def test_nothing_that_a_log_says_becomes_part_of_the_page(hostile):
    shown = read(
        init(),
        ask(f"asked {hostile}"),
        say("m1", thinking(f"thought {hostile}"), use("t1", hostile, **{hostile: hostile})),
        answer("t1", f"failed {hostile}", failed=True),
        say("m2", use("t2", "Agent", prompt=hostile, description=hostile, subagent_type=hostile)),
        say("m3", text(f"below {hostile}"), parent="t2"),
        answer("t2", {"deep": [hostile]}),
        say("m4", text(f"said {hostile}")),
        finish(f"handed back {hostile}"),
    )
    assert shown.tags <= OWN_TAGS
    assert shown.attributes <= {"class", "style", "key"}
    for words in ("asked", "thought", "failed", "below", "said", "handed back"):
        assert f"{words} {hostile}" in shown.text


def test_what_a_page_cannot_hold_or_the_log_lacks_is_said():
    lines = [json.dumps(event).encode() for event in (init(), ask("a \ud83d b"), finish("done"))]
    assert "a ? b" in Reading(conversation(build_lines(lines)).text).text
    words = "What the agent was asked is not in the log."
    assert words in read(init(), say("m1", text("Hello")), finish("Hello")).text
    assert words not in read(init(), ask("Hi"), say("m1", text("Hello")), finish("Hello")).text


def test_long_texts_are_whole_behind_a_click_and_share_what_a_page_can_take():
    long = "".join(f"line {number}\n" for number in range(1_000))
    shown = read(init(), ask(long), finish("done"))
    assert f"{len(long) - FOLDED_FROM:,} more characters" in shown.text
    assert "line 999" in shown.text
    events = [init(), ask("Go")]
    for number in range(500):
        events += [
            say(f"m{number}", use(f"t{number}", "Bash", command=f"step {number}")),
            answer(f"t{number}", "x" * 20_000),
        ]
    page = conversation(build([*events, finish("done")])).text
    assert len(page) < 1.5 * MOST_CHARACTERS
    shown = Reading(page)
    assert all(f"step {number}" in shown.text for number in range(500))
    assert "further characters are in the log" in shown.text


def test_a_very_long_conversation_says_what_is_left_out_between_begin_and_end():
    said = [say(f"m{number}", text(f"word {number}.")) for number in range(5_000)]
    shown = read(init(), ask("Go"), *said, finish("word 4999."))
    assert "3,001 remarks between here and the last 500 are left out" in shown.text
    for number, is_there in ((0, True), (2500, False), (4999, True)):
        assert (f"word {number}." in shown.text) is is_there


def test_an_input_of_several_fields_is_shown_by_field():
    asked = {"message": "Hi,\nwhere is it?", "order": {"number": "<QM-1>"}}
    log = [init(), say("m1", text("Hello")), finish("Hello")]
    shown = conversation(build(log, request=asked)).text
    assert "Given to the agent" in shown
    assert "message: |-\n  Hi,\n  where is it?\norder:\n  number: &lt;QM-1&gt;" in shown


def rows_of(trace, **options):
    chart = waterfall(trace, **options).to_dict()
    (rows,) = chart["datasets"].values()
    return rows, chart["title"]["subtitle"]


def test_a_waterfall_shows_what_was_asked_when_and_what_failed():
    called = say("m1", use("t1", "<b>Bash</b>", command="make"))
    log = [init(), ask("Go"), called, answer("t1", "no", failed=True), finish()]
    rows, _ = rows_of(build(stamp(log, "all", seconds=2)))
    shown = [(row["row"].count("\u2003"), row["Kind"], row["Step"]) for row in rows]
    assert shown[:3] == [(0, "agent", "case"), (1, "turn", "turn 1"), (2, "model call", SONNET)]
    (tool,) = [row for row in rows if row["Kind"] == "tool"]
    assert (tool["start"], tool["drawn"], tool["Times"]) == (4.0, 6.0, "from the log")
    assert (tool["Step"], tool["Asked"], tool["failed"]) == ("<b>Bash</b>", "make", True)
    assert not rows[0]["failed"]
    rows, subtitle = rows_of(build(log))
    assert {row["Times"] for row in rows} == {"laid out in order"}
    assert "they are laid out in order" in subtitle[0]


def test_of_too_many_spans_the_last_are_left_out():
    trace = build(Story(seed=3).tell(turns=40))
    rows, subtitle = rows_of(trace, most=60)
    every, _ = rows_of(trace, most=10_000)
    assert [row["row"] for row in rows] == [row["row"] for row in every[:60]]
    assert f"{len(trace.spans) - 60:,} further steps" in subtitle[-1]
