"""What can be counted in an experiment's traces, and told in a report of bounded size."""

import json
import random
from collections import Counter

import pytest

from evalkit.core.agent.telling import tell_all, tell_steps, tell_summary, tell_traces
from evalkit.core.examination import as_report, as_text, examine
from evalkit.core.examination.assessed import is_negative
from evalkit.core.examination.likeness import fingerprints
from evalkit.core.examination.reporting import fitting
from evalkit.core.examination.shape import form_of, shape_of
from evalkit.core.feedback import Assessment
from evalkit.core.observed import ObservedTrace
from evalkit.core.spans import Span

SECOND = 10**9
ALLOWED = 12_000


def span(name, kind="CHAIN", *, under=None, took=1.0, error="", **more):
    status = {"status": "ERROR", "message": error} if error else {"status": "OK"}
    return Span(more.pop("id", name), under, name, kind, 0, int(took * SECOND), **status, **more)


def trace(number, inputs, outputs="fine", *, route="answer", steps=(), seconds=1.0, **more):
    error = more.pop("error", "")
    root = span(route, "AGENT", id="root", error=error, inputs=inputs, outputs=outputs)
    return ObservedTrace(
        f"tr-{number}",
        route,
        1_778_579_000_000 + number,
        int(seconds * 1000),
        "ERROR" if error else "OK",
        spans=(root, *steps),
        **more,
    )


def said(value, name="correct", *, trace_id="tr-1", **more):
    return Assessment("a-1", trace_id, name, value, "LLM_JUDGE", "judge", **more)


def report(traces):
    return as_report(examine(traces), ("7", "shop"))


# -- forms


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["x", "y"], "text"),
        (["x", None], "text or null"),
        ([1, 2.5, True], "number or bool"),
        ([], "nothing"),
        ([{"q": "x"}, {"q": "y", "n": 1}], "object{q: text, n?: number}"),
        ([[{"a": 1}, {"a": "x"}]], "list[object{a: text or number}]"),
        ([{"never": None, "always": "x"}], "object{always: text, never: null}"),
        ([{"a": {"b": {"c": {"d": 1}}}}], "object{a: object{b: object{c: object}}}"),
        ([{}, []], "object or list"),
    ],
)
def test_the_form_of_values_says_their_fields_and_which_are_optional(values, expected):
    assert shape_of(Counter(map(form_of, values))) == expected


# -- likeness


@pytest.mark.parametrize(
    ("one", "other", "is_same", "is_near"),
    [
        ("Where is my order?", "where is  my ORDER", True, True),
        ("Where is my order QM-17?", "Where is my order QM-99?", False, True),
        ({"q": "Where is my order?"}, {"q": "Where was my order?"}, False, False),
        ({"id": 17}, {"id": 18}, False, False),
        ({"a": "7 + 5"}, {"a": "7 + 6"}, False, False),
        ("🙂", "🙃", False, False),
        ({"n": True}, {"n": False}, False, False),
        ("x" * 9000 + " 1", "x" * 9000 + " 2", False, False),
    ],
)
def test_inputs_are_alike_whatever_their_case_and_near_whatever_their_numbers(
    one, other, is_same, is_near
):
    (same, near), (other_same, other_near) = fingerprints(one), fingerprints(other)
    assert (same == other_same, near == other_near) == (is_same, is_near)


# -- assessments


@pytest.mark.parametrize(
    ("value", "more", "expected"),
    [
        (False, {}, True),
        (True, {}, False),
        (0, {}, True),
        (0.4, {}, True),
        (1, {}, False),
        ("No.", {}, True),
        ("Incorrect", {}, True),
        ("yes", {}, False),
        ("nothing wrong", {}, False),
        (None, {"error": "the judge failed"}, False),
        (False, {"kind": "expectation"}, False),
        (["no"], {}, False),
    ],
)
def test_an_assessment_says_by_itself_whether_it_is_bad(value, more, expected):
    assert is_negative(said(value, **more)) is expected


def test_assessments_are_summed_up_by_name_and_source():
    stars = [said(n, "stars", trace_id=f"tr-{n}") for n in (1, 2, 4, 5)]
    traces = [trace(n, f"question {n}", assessments=(each,)) for n, each in enumerate(stars)]
    traces.append(trace(9, "other", assessments=(said("no", trace_id="tr-9"), said(True))))
    found = {each["name"]: each for each in report(traces)["assessments"]}
    assert (found["stars"]["count"], found["stars"]["mean"]) == (4, 3)
    assert found["stars"]["failing"] == ["tr-1", "tr-2"]
    assert found["correct"]["values"] == {"no": 1, "true": 1}
    assert found["correct"]["failing"] == ["tr-9"]
    assert found["correct"]["source"] == "LLM_JUDGE judge"


# -- the whole


def test_a_report_says_how_long_how_often_and_what_with():
    lookup = span("lookup", "TOOL", under="root", took=0.5, error="busy")
    found = report(
        [
            *(trace(n, {"question": f"What of {n}?"}, seconds=n) for n in range(1, 5)),
            trace(8, {"question": "Where?"}, steps=(lookup,)),
            trace(9, {"question": "Why?", "lang": "en"}, None, error="no capacity", route="help"),
        ]
    )
    assert (found["traces"], found["outcomes"]) == (6, {"ok": 5, "failed": 1})
    assert found["window"] == ["2026-05-12T09:43:20+00:00", "2026-05-12T09:43:20+00:00"]
    assert found["latency_s"]["largest"] == 4
    assert {each["text"] for each in found["errors"]} == {"busy", "no capacity"}
    (tool,) = found["tools"]
    assert (tool["name"], tool["failure_rate"], tool["failed_in"]) == ("lookup", 1, ["tr-8"])
    answer, helped = found["routes"]
    assert (answer["route"], answer["traces"], answer["tools"]) == ("answer", 5, ["lookup"])
    assert (answer["inputs"], answer["outputs"]) == ("object{question: text}", "text")
    assert (helped["failed"], helped["outputs"]) == (1, "nothing")
    steps = {each["name"]: each["calls"] for each in found["latency_by_span"]}
    assert steps == {"answer": 5, "help": 1, "lookup": 1}
    assert (found["tokens"], found["cost_usd"], found["left_out"]) == (None, None, {})


def test_inputs_that_came_before_are_told_with_the_number_of_answers():
    asked = ["Where is my order QM-1?", "where is my order QM-2", "Do you ship abroad?"]
    (found,) = report(trace(n, asked[n % 3], f"answer {n // 3}") for n in range(6))["duplicates"][
        :1
    ]
    assert (found["traces"], found["answers"]) == (4, 2)
    assert found["inputs"] == "Where is my order QM-1?"


def test_traces_whose_spans_cannot_be_read_count_and_are_no_cases():
    found = report([ObservedTrace("tr-1", "answer", 0, 5, "OK", unread="elsewhere")])
    assert (found["traces"], found["unread"], found["cases"]) == (1, {"elsewhere": 1}, [])
    assert found["routes"][0]["inputs"] == "nothing"


def test_no_traces_give_a_report_too():
    found = report([])
    assert (found["traces"], found["window"], found["latency_s"]) == (0, None, None)


# -- cases


def test_cases_cover_what_there_is_and_no_two_have_the_same_inputs():
    tool = span("refund", "TOOL", under="root")
    broken = span("mail", "TOOL", under="root", error="bounced")
    bad = said(False, trace_id="tr-53")
    traces = [
        *(trace(n, f"question number {n} of many", seconds=n) for n in range(1, 31)),
        trace(50, "Where?", None, error="no capacity"),
        trace(51, "Money back!", steps=(tool,)),
        trace(52, "Write to me", steps=(broken,)),
        trace(53, "Is it right?", assessments=(bad,)),
        trace(54, {"question": "In a form"}),
        trace(55, "Elsewhere", route="help"),
    ]
    cases = examine(traces).cases
    why = {each.trace_id: each.why for each in cases}
    assert why["tr-50"] == "fails: no capacity"
    assert why["tr-51"] == "uses refund"
    assert "bounced" in why["tr-52"]
    assert why["tr-53"] == "assessed badly: correct"
    assert why["tr-54"] == "one of 1 with inputs of the form object{question: text}"
    assert why["tr-55"].startswith("typical of help")
    assert why["tr-30"] == "the slowest of answer that is good: 30 s"
    # of thirty questions that differ in a number only, the typical and the slowest
    assert len(cases) == 8
    assert examine(traces).cases == cases


def test_what_else_befell_the_same_inputs_is_told_with_the_case():
    (case,) = examine([trace(1, "Hello"), trace(2, "hello!", None, error="no capacity")]).cases
    assert case.trace_id == "tr-1"
    assert case.why.endswith("with the same inputs tr-2: fails: no capacity")


def test_hundreds_of_errors_leave_room_for_other_cases():
    words = [f"{a}{b}" for a in "abcdefghijklmnopqrst" for b in "abcdefghijklmnopqrst"]
    failed = [trace(n, f"why {w}", None, error=f"failed by {w}") for n, w in enumerate(words)]
    cases = examine([*failed, trace(999, "Fine?", route="help")]).cases
    assert len(cases) == 24
    assert any(each.trace_id == "tr-999" for each in cases)


# -- size


def hostile(seed):
    """Traces with names, texts, ids and values of all lengths and alphabets."""
    chance = random.Random(seed)  # noqa: S311 - no secret
    alphabets = ["ab ", "日本語", "🙂🙃", '"\\\n\x00\x1f', "é\ud800"]

    def text():
        return "".join(chance.choices(chance.choice(alphabets), k=chance.choice([1, 50, 10_000])))

    for number in range(60):
        steps = [
            span(
                f"{text()}{n}",
                chance.choice(["TOOL", "LLM"]),
                id=str(n),
                under="root",
                error=text(),
            )
            for n in range(6)
        ]
        opinion = said({text(): [text()] * 9}, text(), rationale=text())
        yield trace(
            number,
            {text(): [text(), {text(): None}]},
            text(),
            route=text(),
            steps=tuple(steps),
            assessments=(opinion,),
            unread=text(),
            request=text(),
            response=text(),
        )


def many():
    """5,000 traces of 200 routes with 300 errors."""
    for number in range(5000):
        step = span(f"tool {number % 150}", "TOOL", under="root")
        word = "".join(chr(97 + int(digit)) for digit in str(number % 300))
        error = f"failed by {word} " + "x" * 300 if number % 2 else ""
        yield trace(
            number,
            {"q": f"question {word} {number}" * 20},
            route=f"route {number % 200}",
            steps=(step,),
            error=error,
            assessments=(said(number % 7, f"judge {number % 90}", trace_id=f"tr-{number}"),),
        )


@pytest.mark.parametrize("traces", [hostile(1), hostile(2), many()], ids=["1", "2", "many"])
def test_a_report_is_under_12_kb_whatever_the_traces_hold(traces):
    found = report(traces)
    assert len(as_text(found).encode()) < ALLOWED
    assert json.loads(as_text(found)) == found
    lists = ("errors", "tools", "routes", "latency_by_span", "assessments", "cases")
    assert all(found[name] for name in lists)
    assert set(found["left_out"]) >= {"errors", "routes", "tools"}


def test_what_one_list_does_not_need_falls_to_the_others():
    lists = {"errors": ["x" * 100] * 50, "tools": ["y"], "cases": ["z" * 100] * 50}
    kept = fitting(lists, 3000)
    assert kept["tools"] == ["y"]
    assert 0 < len(kept["errors"]) < len(kept["cases"])
    assert sum(len(each) for each in kept.values()) >= 28


# -- what is told of single traces


@pytest.mark.parametrize("seed", [3, 4])
def test_whatever_a_trace_holds_is_told_in_12_kb_and_to_the_end(seed):
    traces = list(hostile(seed))
    texts = [tell_traces(traces, 0, more=True), *map(tell_summary, traces)]
    texts += map(tell_steps, traces)
    assert all(len(each.encode()) < ALLOWED for each in texts)
    assert "ask again with offset" in json.loads(texts[0])["next"]
    pieces, offset = [], 0
    while True:
        told = json.loads(tell_all(traces[0], offset))
        assert len(as_text(told).encode()) < ALLOWED
        pieces.append(told["text"])
        offset = told["characters"][1]
        if "next" not in told:
            break
    whole = json.loads("".join(pieces))
    assert [each["name"] for each in whole["spans"]] == [
        each.name.encode("utf-8", "replace").decode() for each in traces[0].spans
    ]


def test_steps_are_told_as_a_tree_page_by_page():
    steps = [span(f"step {n}", under="root", inputs={"text": "x" * 5000}) for n in range(60)]
    one = trace(1, "Why?", steps=tuple(steps))
    first = json.loads(tell_steps(one))
    assert [each["depth"] for each in first["spans"][:2]] == [0, 1]
    assert first["spans"][1]["inputs_bytes"] > 5000
    shown = len(first["spans"])
    assert (first["of"], first["next"]) == (61, f"there are more: ask again with offset {shown}")
    assert json.loads(tell_steps(one, shown))["spans"][0]["name"] == f"step {shown - 1}"
