"""An experiment is read once: all of it is counted, and a sample of it is whole."""

from eval_project import CASES, RUN_ID
from recorder import judge, person, step, wish

from evalkit.store import connect
from evalkit.traces import sample
from evalkit.traces.analysis import LONGEST, fingerprint
from evalkit.traces.sample import choose_cases, survey

REVIEW = {"run_id": RUN_ID, "feedback": {CASES[0]: "", CASES[1]: "too short"}}


def test_a_row_holds_the_request_the_answer_what_it_stands_on_and_the_whole_trace(
    recorder, surveyed
):
    told = {"messages": [{"role": "system", "content": "Be kind."}, {"role": "user"}]}
    asked, said = {"question": "Is it open?", "user": 7}, {"answer": "Yes."}
    trace_id = recorder.trace(
        asked,
        said,
        step("search", {"q": "open"}, [{"page_content": "Open daily."}], kind="RETRIEVER"),
        step("chat", told, "Yes.", kind="CHAT_MODEL"),
        took=2.5,
        said=(wish("hours", "daily"), wish("made by code", 1, "CODE")),
    )
    (found,) = surveyed().rows
    assert (found.trace_id, found.route, found.is_good) == (trace_id, "answer", True)
    assert (found.inputs, found.outputs, found.expectations) == (asked, said, {"hours": "daily"})
    assert (found.prompts, found.seconds) == (("Be kind.",), 2.5)
    assert [span.name for span in found.trace.data.spans] == ["answer", "search", "chat"]


def test_errors_tools_and_judges_are_counted_over_all_traces(recorder, surveyed):
    for number in range(7):
        recorder.trace(
            {"q": f"order {number}"},
            None,
            step("lookup", error=f"order QM-1000{number} not found"),
            error="chain failed",
            said=(judge(value=number > 1),),
        )
    recovered = recorder.trace({"q": "x"}, "ok", step("lookup", error="busy"), step("lookup"))
    recorder.trace({"q": "y"}, "ok", step("refund"))
    found = surveyed().analysis

    def counted(what, *keys):
        return [tuple(each[key] for key in keys) for each in found[what]]

    assert counted("errors", "state", "place", "text", "traces") == [
        ("failed", "lookup", "order <id> not found", 7),
        ("ok", "lookup", "busy", 1),
    ]
    assert [len(each["trace_ids"]) for each in found["errors"]] == [5, 1]
    assert found["errors"][1]["trace_ids"] == [recovered]
    assert counted("tools", "tool", "calls", "failures", "traces") == [
        ("lookup", 9, 8, 8),
        ("refund", 1, 0, 1),
    ]
    assert counted("judges", "given", "failed") == [({"True": 5, "False": 2}, 2)]
    assert found["states"] == {"failed": 7, "ok": 2}


def test_routes_have_the_shapes_of_what_goes_in_and_out(recorder, surveyed):
    recorder.trace({"q": "x", "n": 1}, {"a": "y"})
    recorder.trace({"q": "x"}, None, error="down")
    recorder.trace("hello", ["x"], name="greet", kind="LLM")
    found = surveyed()
    assert {"input": "hello"} in [each.inputs for each in found.rows]
    keys = ("route", "states", "inputs", "outputs")
    forms = "object{q: text} or object{q: text, n: number}", "object{a: text}"
    assert [tuple(each[key] for key in keys) for each in found.analysis["routes"]] == [
        ("answer", {"ok": 1, "failed": 1}, *forms),
        ("greet", {"ok": 1}, "text", "list[text]"),
    ]


def test_where_no_suite_can_be_made_it_is_said_why(recorder, surveyed):
    assert surveyed().problem == sample.NO_TRACES
    for inputs in ({}, None, "", {"x": None}):
        recorder.trace(inputs, "Polling complete")
    assert surveyed().problem == sample.NO_INPUTS
    recorder.trace({"x": 0}, "Polling complete")
    assert surveyed().problem == ""


def test_a_sample_leaves_room_for_each_route_state_and_verdict(recorder, surveyed, monkeypatch):
    monkeypatch.setattr(sample, "MOST_ROWS", 12)
    for number in range(40):
        recorder.trace({"q": f"common {number}"})
    for number in range(20):
        recorder.trace({"q": f"broken {number}"}, None, error="down")
    rare = [recorder.trace({"q": f"rare {n}"}, name="rare") for n in range(2)]
    judged = [recorder.trace({"q": f"judged {n}"}, said=(person(False),)) for n in range(2)]
    found = surveyed()
    ids = found.trace_ids
    assert (len(ids), found.is_sample) == (12, True)
    assert set(ids[:2]) == set(judged)
    assert {*rare} <= {*ids}
    assert sum(each.failed for each in found.rows) <= 4
    assert found.trace_ids == surveyed().trace_ids
    assert found.analysis["traces"] == 64
    monkeypatch.setattr(sample, "MOST_BYTES", 30_000)
    large = recorder.trace({"q": "large"}, "x" * 40_000, said=(person(True),))
    found = surveyed()
    assert large not in found.trace_ids
    assert (found.analysis["too_large"], found.is_sample) == ([large], True)


def test_a_resumed_session_gets_its_rows_again_and_hears_of_those_that_are_gone(recorder, surveyed):
    ids = [recorder.trace({"q": f"{n}"}) for n in range(5)]
    again = surveyed(trace_ids=[ids[3], "tr-gone", ids[1]])
    assert again.trace_ids == (ids[3], ids[1])
    assert (again.analysis["gone"], again.analysis["traces"]) == (["tr-gone"], 5)


def test_of_traces_that_evalkit_logged_the_skill_is_the_route(evalkit, project, database_uri):
    project.write(project.review.relative_to(project.root).as_posix(), REVIEW)
    assert evalkit("log-results", "--run-id", RUN_ID).code == 0
    assert evalkit("push-feedback", "--run-id", RUN_ID).code == 0
    store = connect(database_uri)
    found = survey(store, store.find_experiment("support")[0])
    assert {each.route for each in found.rows} == {"helper"}
    assert [(each["route"], each["traces"]) for each in found.analysis["routes"]] == [("helper", 3)]
    assert sorted((each.verdict, each.comments) for each in found.rows) == [
        ("accepted", ()),
        ("none", ()),
        ("rejected", ("too short",)),
    ]


def test_cases_are_of_all_kinds_people_first_and_never_the_same_twice(recorder, surveyed):
    for number in range(30):
        recorder.trace({"q": f"Tell me about thing {number % 10}"})
    rare = recorder.trace({"q": "x", "language": "de"})
    failed = recorder.trace({"q": "broken"}, None, error="down")
    judged = recorder.trace({"q": "Tell me about thing 3"}, said=(person(False),))
    rows = surveyed().rows
    few = [row.trace_id for row in choose_cases(rows, 4)]
    assert few[0] == judged
    assert {rare, failed} <= {*few}
    assert len(choose_cases(rows)) == 12
    assert choose_cases([]) == []


ALIKE = {
    "charge psp_b7b12e9eed was declined": "charge <id> was declined",
    "order QM-20452 not found": "order <id> not found",
    "timed out after 30.5 s (attempt 3)": "timed out after <n> s (attempt <n>)",
    "KeyError: 'order'": "KeyError: 'order'",
    "no file 'my notes 3.txt'": "no file '<text>'",
    "GET https://api.shop.example/v1/orders?id=7 failed": "GET <url> failed",
    "cannot open ./out/x.txt and C:\\tmp\\a.log": "cannot open <path> and <path>",
    "HTTP 429: wait 12 seconds": "HTTP 429: wait <n> seconds",
    '{"error": {"code": 503}}': '{"error": {"code": 503}}',
    "status code 500 at 2026-05-12T10:00:01Z": "status code 500 at <time>",
    "trace 53ad866a-5e08-4aa7-9d52-6755ca33d6de": "trace <id>",
    "mail to ada@example.com bounced": "mail to <address> bounced",
    "first line\n\n   second   and/or line": "first line second and/or line",
}


def test_errors_are_one_where_only_what_differs_each_time_differs():
    assert {error: fingerprint(error) for error in ALIKE} == ALIKE
    for part in ("word ", "1", "/a", "'", "a-", "@a.", "-1"):
        assert len(fingerprint(part * 100_000)) <= LONGEST
