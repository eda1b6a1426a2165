"""The suite's files as code: exact copies, harmless whatever a trace holds, readable, working."""

import ast
import itertools
import json
import math
import re
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tram_agent import ASK, SORT, TRIAGE, trace_id, traces, triaged

from evalkit.adapters.suite.harness.scoring import row_trace
from evalkit.core.agent.analysis import Guideline
from evalkit.core.agent.code import (
    RouteForm,
    ScorerCode,
    dataset_code,
    known_scorers,
    measures,
    script_code,
    with_scorer,
    without_scorer,
)
from evalkit.core.agent.code.literals import literal
from evalkit.core.agent.damage import DAMAGES, damages
from evalkit.core.agent.suite import Row
from evalkit.core.examination import profile

BIN = Path(sys.executable).parent


def evaluated(code):
    """What a file of Python defines."""
    names = {"__name__": "suite"}
    exec(compile(code, "suite.py", "exec"), names)  # noqa: S102 - what the tests are about
    return names


def is_well_kept(folder, code):
    """Whether formatter and linter leave a file as it is."""
    file = folder / "generated.py"
    file.write_text(code, "utf-8")
    for command in (
        ["format", "--check", "--isolated", "--line-length", "100"],
        ["check", "--isolated", "--line-length", "100", "--select", "E,F,I,W,UP,B,C4,SIM"],
    ):
        done = subprocess.run(
            [BIN / "ruff", *command, file], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
    return True


# -- literals and the dataset ----------------------------------------------------------------------


def nested(depth):
    value = "core"
    for level in range(depth):
        value = [value] if level % 2 else {"in": value}
    return value


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        0,
        -0.0,
        1e300,
        2**70,
        "",
        'it\'s "both" \\ kinds\r\n\t\0 of \u2028 breaks \u202e and \ud800 halves',
        "line\n" * 200,
        "no blanks anywhere " * 1_500,
        "x" * 500 + "\\'" * 200,
        "'''\n\"\"\"\n# not a comment\n{inputs} %s $name",
        {"k\n": [None, [None, {"": []}]], "'": {}},
        nested(95),
        [[["deep"] * 3] * 3] * 30,
    ],
    ids=lambda value: repr(value)[:30],
)
def test_a_literal_is_the_value_again(value):
    code = literal(value, indent=1)
    assert eval(code, {"json": json}) == value  # noqa: S307 - what the tests are about
    assert all(line == line.rstrip("\n") for line in code.splitlines())


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=150, deadline=None)
@given(values, st.integers(0, 30))
def test_any_value_is_the_value_again(value, indent):
    assert eval(literal(value, indent), {"json": json}) == value  # noqa: S307 - what the tests are about


def test_what_no_number_is_stays_none():
    assert math.isnan(eval(literal(math.nan)))  # noqa: S307 - what the tests are about
    assert eval(literal([math.inf, -math.inf])) == [math.inf, -math.inf]  # noqa: S307 - the same
    with pytest.raises(TypeError, match="no literal"):
        literal(object())


def test_a_dataset_holds_exactly_what_the_traces_hold(tmp_path):
    rows = [each.row for each in traces()]
    manual = Row({"question": "Fährt sonntags etwas?"}, None, {"language": "de"}, None)
    code = dataset_code([*rows, manual], [f"reason {n}" for n in range(11)])
    found = evaluated(code)
    assert [row["inputs"] for row in found["DATASET"]] == [dict(r.inputs) for r in [*rows, manual]]
    assert [row["outputs"] for row in found["DATASET"]] == [r.outputs for r in [*rows, manual]]
    assert found["DATASET"][-1] == {
        "inputs": {"question": "Fährt sonntags etwas?"},
        "outputs": None,
        "expectations": {"language": "de"},
        "source_trace_id": None,
    }
    assert found["RECORDED"][trace_id(1)] == {
        "steps": [{"name": "timetable", "failed": False, "output": rows[0].steps[0].output}],
        "seconds": 1.25,
        "route": "",
    }
    assert "    # reason 3\n    {\n" in code
    assert is_well_kept(tmp_path, code)


def test_the_route_is_what_the_program_says_else_what_the_row_expects():
    rows = [replace(traces()[0].row, expectations={"route": "said"}), traces()[1].row]
    found = evaluated(dataset_code(rows, ["", ""], {trace_id(2): "known"}))
    assert [each["route"] for each in found["RECORDED"].values()] == ["said", "known"]


HOSTILE = (
    '"""\nimport os; os.abort()\n"""',
    "')\nraise SystemExit('planted')\n#",
    "\\\n__import__('os').abort()",
    "\r\x0c\u2028\u2029raise SystemExit()",
    "{__import__('os').abort()} ${x} %(y)s",
)


@pytest.mark.parametrize("text", HOSTILE)
def test_text_of_a_trace_never_becomes_code(text):
    row = Row({text: text}, {text: [text]}, {text: text}, text)
    found = evaluated(dataset_code([row], [text], {text: text}))
    assert found["DATASET"][0]["outputs"] == {text: [text]}
    scorers = with_scorer(
        "",
        ScorerCode("in_time", {text: 3.0}, text, [text]),
        {text: RouteForm([text], [text])},
        [Guideline("kind", text)],
    )
    found = evaluated(scorers)
    assert found["IN_TIME"] == {text: 3.0}
    assert found["GUIDELINES"] == {"kind": text}
    assert evaluated(script_code(text, text).split("import mlflow")[0])["SETTINGS"]
    assert (
        ast.literal_eval(script_code(text, text).split("\nEXPERIMENT = ")[1].split("\n")[0]) == text
    )


# -- scorers ---------------------------------------------------------------------------------------

ROUTES = (ASK, SORT, TRIAGE)


@pytest.fixture(scope="module")
def profiles():
    return {route: profile([*traces(), *triaged()], route) for route in ROUTES}


@pytest.fixture(scope="module")
def forms(profiles):
    return {
        route: RouteForm(found["inputs"], found["answer_at"]) for route, found in profiles.items()
    }


@pytest.fixture(scope="module")
def blocks(profiles):
    """Every scorer with what was learned for it."""
    made = {}
    for name in known_scorers():
        learned = {r: p["checks"][name] for r, p in profiles.items() if p["checks"][name]["on"]}
        evidence = [each for check in learned.values() for each in check["evidence"]]
        bounds = {route: check["bound"] for route, check in learned.items()}
        made[name] = ScorerCode(name, bounds, "good answers do", evidence)
    return made


@pytest.fixture(scope="module")
def source(blocks, forms):
    code = ""
    for block in blocks.values():
        code = with_scorer(code, block, forms, [Guideline("polite", "The response is polite.")])
    return code


@pytest.fixture(scope="module")
def suite(source):
    return evaluated(source)


@pytest.fixture(scope="module")
def rows(profiles):
    """The rows of a dataset, with the expectations that the profiles suggest; the last failed."""
    cases = {case: each for found in profiles.values() for case, each in found["cases"].items()}
    return [
        replace(
            each.row, expectations={"route": each.route, **cases.get(each.row.source_trace_id, {})}
        )
        for each in [*traces()[:-1], *triaged(), traces()[-1]]
    ]


def judged(scorer, row):
    given = {"inputs": row.inputs, "outputs": row.outputs, "expectations": row.expectations}
    steps = [{"name": s.name, "failed": s.failed, "output": s.output} for s in row.steps]
    told = {**given, "steps": steps, "seconds": row.seconds}
    trace = row_trace({**told, "source_trace_id": row.source_trace_id}, 1)
    return scorer.run(**given, trace=trace)


def test_scorers_can_be_kept_as_if_somebody_had_written_them(source, tmp_path):
    assert is_well_kept(tmp_path, source)
    assert is_well_kept(tmp_path, script_code("trams-evalkit", "sqlite:///mlflow.db"))


def test_every_scorer_says_why_it_is_there_and_on_which_traces_it_stands(suite):
    assert [scorer.name for scorer in suite["SCORERS"]] == known_scorers()
    for scorer in suite["SCORERS"]:
        assert "Why: good answers do" in suite[scorer.name]._original_func.__doc__
        first = trace_id(31 if scorer.name == "label_kept" else 1)
        assert first in suite[scorer.name]._original_func.__doc__


def test_good_answers_pass_every_scorer(suite, rows):
    for scorer, row in itertools.product(suite["SCORERS"], rows[:-1]):
        said = judged(scorer, row)
        assert said.value is True, (scorer.name, row.inputs, said.rationale)


def test_every_scorer_notices_the_damages_that_its_profile_claims(suite, rows, profiles):
    good = {n: row.expectations["route"] for n, row in enumerate(rows[:-1])}
    noticed = {
        (good[copy.index], scorer.name, copy.damage)
        for copy in damages(rows, good, lambda route: tuple(profiles[route]["answer_at"]))
        for scorer in suite["SCORERS"]
        if judged(scorer, copy.row).value is False
    }
    claimed = {
        (route, name, damage)
        for route, found in profiles.items()
        for name, check in found["checks"].items()
        if check["on"]
        for damage in check["catches"]
    }
    assert noticed == claimed
    assert {damage for route, _, damage in noticed if route == ASK} == set(DAMAGES)


def test_a_failed_row_and_one_of_an_unknown_route_get_values_too(suite, rows):
    failed, unknown = rows[-1], Row({"other": 1}, None, {}, None)
    for scorer, row in itertools.product(suite["SCORERS"], [failed, unknown]):
        assert judged(scorer, row).value in {True, False}
    assert judged(suite["no_error"], failed).value is False
    assert judged(suite["in_time"], unknown).rationale.startswith("not judged")


def test_a_row_without_a_route_is_judged_by_the_only_route_that_takes_its_inputs(suite, rows):
    stray = replace(rows[0], expectations={}, seconds=900.0)
    assert judged(suite["in_time"], stray).value is False


def test_a_scorer_is_replaced_taken_out_and_what_somebody_else_wrote_stays(blocks, forms):
    first = with_scorer("", blocks["no_error"], forms)
    own = first.replace(
        "SCORERS = [no_error]",
        'LIMIT = 7\n\n\n@scorer\ndef brief(outputs):\n    """Short."""\n'
        "    return math.sqrt(len(str(outputs))) < LIMIT\n\n\nSCORERS = [no_error, brief]",
    ).replace("import re\n", "import math\nimport re\n")
    grown = with_scorer(own, blocks["in_time"], forms)
    looser = with_scorer(grown, replace(blocks["in_time"], bounds={ASK: 99.0}), forms)
    found = evaluated(looser)
    assert [scorer.name for scorer in found["SCORERS"]] == ["no_error", "brief", "in_time"]
    assert found["IN_TIME"] == {ASK: 99.0}
    assert found["brief"](outputs="x") is True
    less = without_scorer(looser, "in_time", forms)
    assert "seconds_of" not in less
    assert [scorer.name for scorer in evaluated(less)["SCORERS"]] == ["no_error", "brief"]


@pytest.mark.parametrize("line", ["from . import rules", "from ..shop.words import polite as kind"])
def test_imports_from_a_package_stay_what_they_are(blocks, forms, line):
    own = with_scorer("", blocks["no_error"], forms).replace("import re\n", f"import re\n{line}\n")
    assert line in with_scorer(own, blocks["in_time"], forms).splitlines()


@pytest.mark.parametrize(
    ("label", "expected", "problem"),
    [
        ("staff", "staff", ""),
        ("staff\n", "staff", ""),
        ("staff", None, ""),
        ("vehicle", "staff", "it is 'vehicle' instead of 'staff'"),
        ("sta", "staff", "it is 'sta' instead of 'staff'"),
        ("sta", None, "'sta' is none of the known labels"),
        ("", None, "'' is none of the known labels"),
        ("weather", "weather", ""),  # somebody expects a label that no recorded answer was
    ],
)
def test_a_label_is_the_cases_own_else_one_that_there_is(label, expected, problem):
    assert measures.mislabelled(label, ["staff", "vehicle"], expected) == problem


@pytest.mark.parametrize(
    ("uses", "at_once", "in_the_end"),
    [
        ([], [], []),
        ([("map", False), ("news", False)], [], []),
        ([("map", True), ("map", False)], ["map"], []),
        ([("map", False), ("map", True)], ["map"], ["map"]),
        ([("news", True), ("map", True), ("news", False)], ["map", "news"], ["map"]),
    ],
)
def test_a_failed_tool_may_be_mended_by_a_second_try(uses, at_once, in_the_end):
    assert measures.failed_tools(uses, measures.AT_ONCE) == at_once
    assert measures.failed_tools(uses, measures.IN_THE_END) == in_the_end


def test_a_second_try_passes_where_good_answers_take_some(blocks, forms, rows):
    flaky = replace(rows[0].steps[0], failed=True)
    retried, failed = (replace(rows[0], steps=(flaky, last)) for last in (rows[0].steps[0], flaky))
    for when, passes in (("at once", [False, False]), ("in the end", [True, False])):
        block = replace(blocks["tools_worked"], bounds={ASK: when})
        (scorer,) = evaluated(with_scorer("", block, forms))["SCORERS"]
        assert [judged(scorer, row).value for row in (retried, failed)] == passes


def test_a_file_that_is_no_python_is_begun_anew(blocks, forms):
    code = with_scorer("def broken(:", blocks["no_error"], forms)
    assert [scorer.name for scorer in evaluated(code)["SCORERS"]] == ["no_error"]


def test_judges_are_switched_on_by_a_model_only(source, suite, monkeypatch):
    assert "polite" not in {scorer.name for scorer in suite["SCORERS"]}
    monkeypatch.setenv("EVALKIT_JUDGE_MODEL", "openai:/any")
    assert "polite" in {scorer.name for scorer in evaluated(source)["SCORERS"]}


# -- measures --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("output", "place", "words"),
    [
        ("Line 12.", [], "Line 12."),
        ({"answer": "Line 12.", "stop": "Harbour"}, ["answer"], "Line 12."),
        ({"answer": ["Line", {"number": 12}]}, ["answer"], "Line\n12"),
        ({"messages": [{"content": "When?"}, {"content": "Soon."}]},
         ["messages", -1, "content"], "Soon."),
        ({"answer": None, "stop": "Harbour"}, ["answer"], ""),
        # where there is no such place, all words
        ({"line": "12", "stop": "Harbour"}, ["answer"], "12\nHarbour"),
        ("Line 12.", ["answer"], "Line 12."),
        ("Line 12.", [-1], "Line 12."),
        ([], [-1], ""),
        (["Line 12."], [3], "Line 12."),
        (["Line 12."], ["answer"], "Line 12."),
        ({"-1": "Line 12."}, [-1], "Line 12."),
        (None, ["answer", -1], ""),
    ],
)  # fmt: skip
def test_the_words_of_an_answer_lie_at_a_place_in_it(output, place, words):
    assert measures.answer_text(output, place) == words


@pytest.mark.parametrize(
    ("text", "is_error"),
    [
        ("Error: the depot is closed", True),
        ("Traceback (most recent call last):\n  File", True),
        ("**openai.APIConnectionError: no route**", True),
        ('{"error": "no such stop"}', True),
        ("HTTP 503 Service Unavailable", True),
        ("An unexpected error has occurred.", True),
        ("Sorry, something went wrong.", True),
        ("Request timed out after 30 s", True),
        ("Errors on tickets are refunded within a week.", False),
        ("Error handling is done by the driver.", False),
        ("404 is the number of a night tram.", False),
        ("Line 500 leaves at 08:41.", False),
        ("", False),
    ],
)
def test_an_errors_text_is_told_from_an_answer_about_errors(text, is_error):
    assert bool(measures.error_in(text)) is is_error


@pytest.mark.parametrize(
    ("text", "figures"),
    [
        ("1. Line 12 at 08:41\n2) on 2026-05-02, 1,299.00 EUR.",
         ["12", "08:41", "2026-05-02", "1,299.00"]),
        ("Order QM-17: see https://trams.example/t?id=7, or a.b@trams.example!",
         ["QM-17", "https://trams.example/t?id=7", "a.b@trams.example"]),
        ("platform:5 of 9, time:18:33", ["18:33"]),
        ("No figures at all; really.", []),
    ],
)  # fmt: skip
def test_figures_are_what_an_answer_cannot_know_by_itself(text, figures):
    assert measures.figures_in(text) == figures


@pytest.mark.parametrize(
    ("text", "is_cut"),
    [
        ("Have a good journey!", False),
        ("See [1].", False),
        ("Gute Fahrt 🚋", False),
        ("```\ncode\n```", False),
        ("```\ncode;", True),
        ("It leaves at", True),
        ("first, second,", True),
        ("", True),
        ("Stops:\n- Harbour\n- Castle Hill", False),
        ("1. Harbour\n2. the Old Market", False),
        ("Stops:\n- Harbour\n- Castle-", True),
        ("Stops:\n- **Harbour**: the fer", True),
        ("Stops:\n- Take line 12 to the", True),
        ("- Harbour\n\nThe next", True),
        ("- **Harb", True),
    ],
)
def test_an_answer_that_breaks_off_is_told_by_its_end(text, is_cut):
    assert bool(measures.cut_off(text)) is is_cut


@pytest.mark.parametrize(
    ("text", "term", "does"),
    [
        ("Two lamps.", "lamp", True),
        ("Clamp it.", "lamp", False),
        ("Line 12 only", "12", True),
        ("Line 123 only", "12", False),
        ("STRASSE 5", "straße", True),
    ],
)
def test_a_term_is_mentioned_where_a_word_begins_with_it(text, term, does):
    assert measures.mentions(text, term) is does


@pytest.mark.parametrize(
    "unit", [" ", "\n", "a", "a-", "1.", "*", "# ", "``` ", "| ", "@", "a.@", "error "]
)
def test_no_text_takes_long_to_measure(unit):
    text = unit * (300_000 // len(unit))
    begin = time.perf_counter()
    measures.error_in(text)
    measures.cut_off(text)
    measures.ungrounded(text, [text])
    measures.words_in(text)
    measures.off_topic(text, ["tram"])
    measures.missing_parts(text, [*measures.LOOKS, "tram"])
    measures.parsed_json(text)
    assert time.perf_counter() - begin < 3


# -- the script ------------------------------------------------------------------------------------


def run_script(folder, *flags):
    return subprocess.run(
        [sys.executable, "evaluation/run_eval.py", *flags],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory, rows, source):
    """A suite's folder, as an agent leaves it."""
    evaluation = tmp_path_factory.mktemp("session") / "evaluation"
    evaluation.mkdir()
    some = [rows[0], rows[6], rows[-1], Row({"question": "Sundays?"}, None, {"route": ASK}, None)]
    (evaluation / "eval_dataset.py").write_text(dataset_code(some, [""] * 4), "utf-8")
    (evaluation / "scorers.py").write_text(source, "utf-8")
    (evaluation / "run_eval.py").write_text(script_code("trams-evalkit"), "utf-8")
    return evaluation.parent


def test_the_script_replays_what_was_recorded_and_tells_every_value(folder, sqlite_uri):
    done = run_script(folder, "--json", "--tracking-uri", sqlite_uri)
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads(done.stdout.splitlines()[-1])
    assert report["cases"] == 4
    assert list(report["scores"]) == known_scorers()
    said = {
        name: {k: v["value"] for k, v in each.items()} for name, each in report["scores"].items()
    }
    keys = [trace_id(1), trace_id(11), trace_id(21), "row-3"]
    assert said["no_error"] == dict(zip(keys, [True, True, False, False], strict=True))
    assert said["tools_used"][trace_id(1)] is True
    assert report["scores"]["in_time"][trace_id(1)]["why"].startswith("1.25 s")
    assert re.search(r"no_error +50%  2 of 4 pass\n    " + trace_id(21), done.stdout)


LIVE_AGENT = """
async def answer(question="", text=""):
    if "Sundays" in question:
        raise LookupError("no timetable")
    return {"kind": "staff", "summary": text} if text else f"Asked: {question}"
"""

RAISING = """

@scorer
def stumbles(outputs: Any) -> Feedback:
    return verdict(outputs["summary"] == "")


SCORERS.append(stumbles)
"""


def test_a_live_agent_is_called_and_a_scorer_that_fails_is_no_success(folder, sqlite_uri, tmp_path):
    shutil.copytree(folder / "evaluation", tmp_path / "evaluation")
    (tmp_path / "trams.py").write_text(LIVE_AGENT, "utf-8")
    with (tmp_path / "evaluation" / "scorers.py").open("a", encoding="utf-8") as scorers:
        scorers.write(RAISING)
    done = run_script(tmp_path, "--json", "--tracking-uri", sqlite_uri, "--predict", "trams:answer")
    assert done.returncode == 1, done.stdout + done.stderr
    report = json.loads(done.stdout.splitlines()[-1])
    values = {key: each["value"] for key, each in report["scores"]["no_error"].items()}
    assert values == {trace_id(1): True, trace_id(11): True, trace_id(21): True, "row-3": False}
    assert report["scores"]["stumbles"][trace_id(11)] == {"value": True, "why": "", "error": ""}
    assert f"stumbles on {trace_id(1)}: " in done.stderr
