"""A trace's spans as bars: in the order of the tree, and not more than can be read."""

from agentlogs import Story, ask, build, finish, init, say, stamp, text, usage, use

from evalkit.traces.timeline import timeline

LOG = [
    init(),
    ask("Go"),
    say("m1", use("t1", "Bash", command="make"), used=usage(30, 20, cached=7)),
    ask([{"type": "tool_result", "tool_use_id": "t1", "content": "no", "is_error": True}]),
    say("m2", text("Done")),
    finish("Done", models={"claude-sonnet-4-6": usage(40, 40, cached=7)}),
]


def bars(events):
    return timeline(build(events).spans).bars


def test_each_step_stands_below_the_one_that_it_is_part_of():
    assert [(bar.depth, bar.kind, bar.name) for bar in bars(LOG)][:4] == [
        (0, "AGENT", "case"),
        (1, "CHAIN", "turn 1"),
        (2, "LLM", "claude-sonnet-4-6"),
        (2, "TOOL", "Bash"),
    ]


def test_bars_are_measured_in_seconds_since_the_trace_began():
    tool = bars(stamp(LOG, "all", seconds=2))[3]
    assert (tool.start_s, tool.end_s, tool.inferred) == (4.0, 6.0, False)


def test_times_that_are_not_in_the_log_are_marked():
    assert all(bar.inferred for bar in bars(LOG))
    assert timeline(build(LOG).spans).inferred == len(bars(LOG))


def test_a_bar_says_what_was_asked_what_it_read_and_why_it_failed():
    _, _, call, tool, *_ = bars(LOG)
    assert call.tokens.startswith("30 read, 7 read from the cache")
    assert (tool.gist, tool.status, tool.message) == ("make", "ERROR", "no")


def test_of_too_many_spans_the_deepest_levels_are_left_out():
    spans = build(Story(seed=3).tell(turns=40)).spans
    found = timeline(spans, most=60)
    assert len(found.bars) + found.left_out == len(spans)
    assert {bar.depth for bar in found.bars} == {0, 1}
    assert [bar.name for bar in found.bars if bar.depth] == [f"turn {n + 1}" for n in range(40)]


def test_of_too_many_turns_the_last_are_left_out():
    spans = build(Story(seed=3).tell(turns=40)).spans
    found = timeline(spans, most=10)
    assert [bar.name for bar in found.bars] == ["case", *(f"turn {n + 1}" for n in range(9))]


def test_a_trace_without_spans_has_no_bars():
    assert timeline(()).bars == ()
