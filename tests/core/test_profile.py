"""What good answers have in common, and which checks they support."""

import json
import time
from dataclasses import replace

import pytest
from tram_agent import (
    ASK,
    DEPARTURES,
    SORT,
    TRIAGE,
    departure,
    recorded,
    trace_id,
    traces,
    triaged,
)

from evalkit.core.agent.suite import ToolStep
from evalkit.core.examination import profile
from evalkit.core.examination.profile_labels import labels_of
from evalkit.core.examination.profile_schema import schema_of


def on(found):
    return {name for name, check in found["checks"].items() if check["on"]}


def test_a_profile_says_what_the_good_answers_of_a_route_have_in_common():
    found = profile(traces(), ASK)
    assert (found["traces"], found["good_traces"], found["distinct_inputs"]) == (7, 6, 6)
    assert found["too_few"] is False
    assert found["inputs"] == ["question"]
    assert found["answer_at"] == []
    assert found["tools"] == {"always": ["timetable"], "sometimes": {}, "failures": {}}
    assert on(found) == {
        "no_error",
        "format_kept",
        "parts_present",
        "grounded",
        "on_topic",
        "tools_used",
        "tools_worked",
        "in_time",
        "length_usual",
        "not_cut_off",
    }


def test_every_damage_is_noticed_by_some_check_and_every_check_says_on_which_traces_it_stands():
    found = profile(traces(), ASK)
    checks = [check for check in found["checks"].values() if check["on"]]
    assert {damage for check in checks for damage in check["catches"]} == {
        "emptied",
        "truncated",
        "swapped",
        "error_text",
        "wrong_format",
        "tools_dropped",
        "tool_failed",
        "slowed",
        "overlong",
    }
    good = {trace_id(number) for number in range(1, 7)}
    assert all(check["evidence"] and set(check["evidence"]) <= good for check in checks)
    assert all(check["passes"] == check["of"] == 6 for check in checks)


def test_an_objects_answer_lies_in_its_field_and_its_form_is_learned():
    found = profile(traces(), SORT)
    assert found["answer_at"] == ["summary"]
    assert found["checks"]["format_kept"]["bound"] == {
        "type": "object",
        "required": ["kind", "summary"],
        "properties": {"kind": {"type": "string"}, "summary": {"type": "string"}},
    }


def test_a_case_has_to_mention_what_tells_it_from_the_others():
    cases = profile(traces(), ASK)["cases"]
    assert "harbour" in cases[trace_id(1)]["must_mention"]
    assert "stadium" in cases[trace_id(4)]["must_mention"]
    everybodys = {"next", "tram", "platform", "journey"}
    assert not any(everybodys & set(case["must_mention"]) for case in cases.values())
    assert all(case["tools"] == ["timetable"] for case in cases.values())


def test_only_terms_that_every_answer_to_the_same_question_has_are_asked_for():
    twice = [
        departure(1, "Harbour", words="Line 12, 08:41, from the ferry pier."),
        departure(2, "Harbour", words="Take line 12 to Harbour at 08:41."),
        departure(3, "Stadium"),
    ]
    terms = profile(twice, ASK)["cases"][trace_id(1)]["must_mention"]
    assert "08:41" in terms
    assert not {"ferry", "harbour"} & set(terms)


def test_expectations_are_suggested_for_the_cases_that_are_named():
    assert set(profile(traces(), ASK, cases=[trace_id(2), trace_id(12)])["cases"]) == {trace_id(2)}


def test_what_is_not_ok_is_nothing_to_learn_from():
    bad = replace(departure(7, "University", words="No idea" * 500, seconds=400.0), ok=False)
    learned = profile([*traces(), bad], ASK)["checks"]
    assert learned["in_time"]["bound"] == profile(traces(), ASK)["checks"]["in_time"]["bound"]
    assert learned["in_time"]["of"] == 6


def made_up(to):
    return f"The tram to {to} leaves at {len(to)}:{len(to) + 11} from stop Q{len(to) * 77}."


@pytest.mark.parametrize(
    ("check", "answers", "why"),
    [
        ("grounded", [departure(n, to, words=made_up(to)) for n, to in enumerate(DEPARTURES)],
         "neither inputs nor tools"),
        ("not_cut_off", [departure(n, to, words=to) for n, to in enumerate(DEPARTURES)],
         "end in many ways"),
        ("tools_worked",
         [replace(each, row=replace(each.row, steps=(ToolStep("timetable", failed=True),)))
          for each in traces() if each.route == ASK],
         "fail in good answers too"),
        ("tools_used", [each for each in traces() if each.route == SORT], "no tool"),
        ("parts_present", [departure(1, "Harbour"), departure(2, "Stadium")], "too few"),
        ("in_time",
         [recorded(n, ASK, {"question": to}, f"To {to}.", seconds=None)
          for n, to in enumerate(DEPARTURES)],
         "how long"),
    ],
)  # fmt: skip
def test_a_check_that_good_answers_do_not_support_is_off_and_says_why(check, answers, why):
    route = answers[0].route
    learned = profile(answers, route)["checks"][check]
    assert learned["on"] is False
    assert why in learned["why"]


def test_one_strange_answer_among_forty_does_not_widen_the_bounds():
    usual = [
        recorded(n, ASK, {"question": f"Stop {n}?"}, f"Stop {n} is served by line {n + 100}.")
        for n in range(40)
    ]
    strange = recorded(99, ASK, {"question": "All stops?"}, "Stop. " * 4_000, seconds=900.0)
    learned = profile([*usual, strange], ASK)["checks"]
    assert learned["in_time"]["bound"] < 5
    assert learned["length_usual"]["bound"][1] < 200
    assert (learned["in_time"]["passes"], learned["in_time"]["of"]) == (40, 41)


def test_a_slow_or_long_good_answer_that_is_not_strange_keeps_to_the_bounds():
    usual = [
        recorded(n, ASK, {"question": f"Stop {n}?"}, f"Stop {n} is served by line {n + 100}.")
        for n in range(40)
    ]
    slow = recorded(99, ASK, {"question": "All stops?"}, "Stop 99 is closed. " * 5, seconds=5.94)
    learned = profile([*usual, slow], ASK)["checks"]
    assert learned["in_time"]["bound"] == 6.0
    for check in ("in_time", "length_usual"):
        assert (learned[check]["passes"], learned[check]["of"]) == (41, 41)
        assert {"slowed", "overlong"} & set(learned[check]["catches"])


FIRST_TRY = ToolStep("timetable", output="Line 12.")
FAILED = ToolStep("timetable", failed=True, output="timed out")
OTHER = ToolStep("news", failed=True)


@pytest.mark.parametrize(
    ("steps", "bound", "passes"),
    [
        ([[FIRST_TRY]] * 6, "at once", 6),
        ([[FAILED, FIRST_TRY], *[[FIRST_TRY]] * 5], "in the end", 6),
        ([[FAILED, FAILED, FIRST_TRY]] * 6, "in the end", 6),
        ([[FAILED], *[[FIRST_TRY]] * 39], "at once", 39),
        ([[FAILED], [FAILED, FIRST_TRY], *[[FIRST_TRY]] * 38], "in the end", 39),
        ([[FIRST_TRY, OTHER], *[[FIRST_TRY]] * 5], None, 0),
        ([[FIRST_TRY, FAILED], *[[FAILED, FIRST_TRY]] * 5], None, 0),
    ],
)
def test_tools_have_to_work_at_once_or_in_the_end_as_they_do_in_good_answers(steps, bound, passes):
    answers = [
        recorded(n, ASK, {"question": f"Stop {n}?"}, f"Line {n + 100}.", used)
        for n, used in enumerate(steps)
    ]
    learned = profile(answers, ASK)["checks"]["tools_worked"]
    assert (learned.get("bound"), learned.get("passes", 0)) == (bound, passes)
    assert learned.get("catches", []) == (["tool_failed"] if bound else [])


def test_labels_are_looked_for_where_all_answers_have_them_and_damages_there_are_noticed():
    found = profile(triaged(), TRIAGE)
    assert found["answer_at"] == ["label"]  # though some name a stop, which is longer
    learned = found["checks"]["label_kept"]
    assert learned["bound"] == ["staff", "ticket", "vehicle"]
    assert {"emptied", "truncated", "swapped", "error_text", "overlong"} <= set(learned["catches"])
    assert found["cases"][trace_id(31)]["label"] == "vehicle"


def test_a_case_whose_answers_differ_expects_no_label_of_its_own():
    asked = triaged()[0].row.inputs
    again = recorded(51, TRIAGE, asked, {"label": "staff", "stop": "Harbour"})
    found = profile([*triaged(), again], TRIAGE)
    assert "label" not in found["cases"][trace_id(31)]
    assert found["cases"][trace_id(32)]["label"] == "vehicle"
    learned = found["checks"]["label_kept"]
    assert (learned["passes"], learned["of"]) == (9, 9)


FIVE_EACH = [["yes"]] * 5 + [["no"]] * 5


@pytest.mark.parametrize(
    ("answers", "labels"),
    [
        (FIVE_EACH, ["no", "yes"]),
        ([*FIVE_EACH, ["yes ", "no\n"]], ["no", "yes"]),
        ([*FIVE_EACH * 2, ["perhaps"]], ["no", "perhaps", "yes"]),
        ([*FIVE_EACH, ["perhaps"]], []),  # one of eleven was new: the next may be, too
        ([["yes", "no"]] * 7, []),  # too few questions
        ([["yes"]] * 10, []),  # all alike
        ([*FIVE_EACH, ["It depends.\nOn what?"] * 2, ["It depends.\nOn what?"]], []),
        ([*FIVE_EACH, ["yes, but only where nobody else has asked"]] * 2, []),
        ([['{"a": 1}'], ['{"a": 2}']] * 5, []),
        ([[""], ["yes"]] * 5, []),
        ([[str(n % 30)] for n in range(90)], []),
        ([], []),
    ],
)
def test_answers_are_labels_where_few_short_ones_come_again_and_again(answers, labels):
    assert labels_of(answers) == labels


def test_no_good_answer_teaches_nothing():
    found = profile([recorded(1, ASK, {"question": "?"}, None)], ASK)
    assert (found["good_traces"], found["too_few"], found["checks"], found["cases"]) == (
        0,
        True,
        {},
        {},
    )
    assert profile([], ASK)["traces"] == 0


def test_a_profile_stays_small_whatever_the_answers_are():
    wide = {f"field {n} {'x' * 80}": {"inner": [{"deep": n}]} for n in range(20)}
    huge = [
        recorded(n, ASK * 100, {f"name {n}": "wörter " * 5_000}, {**wide, "text": f"{n} " * 9_000})
        for n in range(60)
    ]
    found = profile(huge, ASK * 100)
    assert found["good_traces"] == 60
    assert len(json.dumps(found, ensure_ascii=False).encode()) < 12_000


def test_secrets_do_not_travel_into_a_profile():
    secret = "sk-ant-api03-" + "a1B2c3D4" * 3
    answers = [{"key": secret, secret: 1, "words": f"Use {secret}."}]
    found = profile([recorded(1, ASK, {"question": "key?"}, each) for each in answers], ASK)
    assert found["good_traces"] == 1
    assert secret not in json.dumps(found)


def test_a_key_over_several_lines_leaves_none_of_them_in_a_profile():
    lines = [f"MIIEowIBAAKCAQEA{letter * 48}" for letter in "bcdefg"]
    key = "\n".join(["-----BEGIN RSA PRIVATE KEY-----", *lines, "-----END RSA PRIVATE KEY-----"])
    answers = [f"Use this key for order {number}:\n{key}\nand no other." for number in range(6)]
    asked = [recorded(n, ASK, {"question": str(n)}, text) for n, text in enumerate(answers, 1)]
    told = json.dumps(profile(asked, ASK))
    assert [line for line in lines if line in told] == []


def test_five_thousand_answers_are_looked_through_in_seconds():
    many = [
        departure(n, list(DEPARTURES)[n % 6], words=f"Tram {n}: {'and so on ' * 40}arrives. Bye!")
        for n in range(5_000)
    ]
    begin = time.perf_counter()
    assert profile(many, ASK)["good_traces"] == 5_000
    assert time.perf_counter() - begin < 20


@pytest.mark.parametrize(
    ("values", "schema"),
    [
        (["a", "b"], {"type": "string"}),
        (["a", None], {"type": ["null", "string"]}),
        ([None], {}),
        ([[1], ["x"]], {"type": "array", "items": {"type": ["number", "string"]}}),
        ([{"a": 1}, {"a": 2, "b": True}],
         {"type": "object", "required": ["a"],
          "properties": {"a": {"type": "number"}, "b": {"type": "boolean"}}}),
        (['{"a": 1}', '```json\n{"a": 2}\n```'],
         {"type": "string", "contentSchema": {"type": "object", "required": ["a"],
                                              "properties": {"a": {"type": "number"}}}}),
        (['{"a": 1}', "no"], {"type": "string"}),
        ([{str(n): 1} for n in range(40)], {"type": "object"}),
    ],
)  # fmt: skip
def test_the_tightest_schema_that_all_values_fit(values, schema):
    assert schema_of(values) == schema
