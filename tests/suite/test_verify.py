"""What a suite has to show to be called verified, and what runs confined on the way."""

import re
from dataclasses import replace

import pytest
from suite_rows import BAD_FIGURES, LIMITS, POLITE, REASON, row, shop_rows, suite, trace_id

from evalkit.suite.model import LIMITS_FILE, SCORERS_FILE
from evalkit.suite.runner import Runner
from evalkit.suite.verify import verify

ROWS = shop_rows()
TOLD = f"{LIMITS}\n- {trace_id(24)}: {REASON}. Guideline for a judge: the time is right.\n"
HONEST = "return '99' not in str(outputs) and '77' not in str(outputs)"


@pytest.fixture(scope="module")
def runner(sandbox):
    return Runner(sandbox, ROWS, scorer_seconds=1)


def several(bodies, head="", examples="", more=""):
    """A suite of scorers with these bodies, whose bad example is that of the figures."""
    code = head
    for name, body in bodies.items():
        code += f"\n\n@scorer\ndef {name}(inputs, outputs, expectations, trace):\n    {body}\n"
    same = f"dict.fromkeys([each.name for each in SCORERS], {BAD_FIGURES})"
    listed = ", ".join([*bodies, *([more] if more else [])])
    return suite(f"{code}\n\nSCORERS = [{listed}]\n", examples or same, TOLD)


def problems(runner, files, **more):
    found = verify(runner, files, ROWS, per_fault=1, **more)
    assert (found.word == "not verified") is bool(found.problems)
    return "\n".join(found.problems)


# -- the suite of the shop --------------------------------------------------------------------


def test_an_honest_suite_is_verified_and_its_words_begin_with_people(runner):
    found = verify(runner, suite(), ROWS, per_fault=1)
    assert (found.word, found.problems) == ("verified", ())
    assert found.as_text().startswith(
        "Rejected by people: 2 answers, 1 failed by some scorer, 1 named in LIMITS.md with a "
        "guideline for a judge\nAccepted by people: 4 answers, 4 pass every scorer"
    )
    stands = "The suite: verified, on 26 traces, 24 of them good answers to 24 different requests"
    assert stands in found.as_text()
    assert found.people["kappa"] == 0.571
    assert found.scorers["figures"]["good_passed"] == found.scorers["figures"]["good"] == 24
    assert sum(noticed for noticed, _ in found.faults.values()) > 0
    assert found.one_sentence["failed"] >= 0.9 * found.one_sentence["rows"]
    assert found.as_json()["verified"] is True


@pytest.mark.parametrize(
    ("limits", "wanted", "reason"),
    [
        ("", (), f"people rejected {trace_id(25)} (Too vague about the time) and"),
        (f"- {trace_id(25)}: a judge has to look", (), "have a section"),
        (f"- {trace_id(25)}: too vague about the time", (), "have a section"),
        (f"# A\n{trace_id(25)}\n# B\nguideline: not vague about time", (), "have a section"),
        (f"{LIMITS}\nnew_names is hard, see also it.\n", ("new_names",), "no scorer named new_n"),
        (f"{LIMITS}\n## new_names\n", ("figures", "new_names"), "no scorer named new_names"),
        (f"{LIMITS}\n## Of new_names_too\nNothing.\n", ("new_names",), "no scorer named new_name"),
        (f"{LIMITS}\n## new_names\n\nNo answer names anybody.\n", ("new_names",), ""),
        (f"{LIMITS}\nkey sk-ant-api03-" + "Ab1" * 20, (), f"{LIMITS_FILE} holds a secret"),
    ],
)
def test_what_no_scorer_does_stands_in_the_limits_with_a_reason_and_no_secret(
    runner, limits, wanted, reason
):
    said = problems(runner, suite(limits=limits), wanted=wanted)
    assert reason in said
    assert bool(reason) == bool(said)
    assert "Ab1Ab1" not in said


def test_under_ten_good_answers_nothing_is_called_verified_and_a_failed_trace_is_none(sandbox):
    """Case agent-one-row-verified."""
    rows = [*map(row, range(9)), replace(row(40), outputs=None, failed=True)]
    found = verify(Runner(sandbox, rows), suite(limits=""), rows)
    assert (found.word, found.problems) == ("too few traces", ())
    assert (found.good_rows, found.rows) == (9, 10)
    assert found.as_text().startswith("Judged by people: no answer\nThe suite: too few traces")
    assert found.as_json()["verified"] is False


# -- lies -------------------------------------------------------------------------------------

REFUSES = "return not re.search"
LIES = {
    "passes_all": ("return True", "does not fail its own bad example"),
    "fails_all": ("return False", "refuses 24 of 24 good answers (at most 1 may be)"),
    "refuses_two": (f"{REFUSES}(r'no. 10[01]|99 days|77 days', outputs)", "refuses 2 of 24"),
    "refuses_one": (f"{REFUSES}(r'no. 100|99 days|77 days', outputs)", ""),
    "goes_by_the_id": (
        f"return trace.info.trace_id != {trace_id(0)!r} or '77' not in outputs",
        "does not fail its own bad example",
    ),
    "counts_its_calls": ("return next(COUNT) % 2 == 0", "about one and the same answer"),
    "errs": ("return outputs['nowhere'] > 1", 'it failed: File "evaluation/scorers.py", line '),
    "raises_what_ends": ("raise SystemExit(0)", "nothing that runs here may do that"),
    "says_no_verdict": ("return 'great'", "its value 'great' is no verdict"),
    "says_no_number": ("return float('nan')", "its value nan is no verdict"),
    "says_an_error": ("return Feedback(error=ValueError('no'))", "its Feedback holds an error"),
    "never_applies": ("return None", "never applies: it gives None on each of the 26 rows"),
    "hangs": ("while True: pass", "it did not end within 1 s on tr-"),
    "swallows": (
        "while True:\n        try: import time; time.sleep(9)\n        except OSError: pass",
        "within 1 s on tr-",
    ),
    "matches_forever": ("return not re.match('(a+)+$', 'a' * 40 + '!')", "within 1 s on tr-"),
    "spoils_for_others": (
        "inputs.clear(); expectations['x'] = 1; return bool(outputs) and '77' not in outputs",
        "",
    ),
}
EXAMPLES = {
    "example_missing": ("", "is missing"),
    "example_without_trace": ("('tr-made-up', 'x')", "names tr-made-up, which is no trace"),
    "example_without_text": (f"({trace_id(0)!r}, {{'a': 1}})", "it is a dict"),
    "example_too_short": (f"({trace_id(0)!r}, '77')", "it has 2 characters"),
}


def test_scorers_that_lie_are_told_of_each_by_its_name(runner):
    bodies = {name: body for name, (body, _) in LIES.items()} | dict.fromkeys(EXAMPLES, HONEST)
    examples = dict.fromkeys(LIES, BAD_FIGURES)
    examples |= {name: text for name, (text, _) in EXAMPLES.items() if text}
    given = ", ".join(f"{name!r}: {text}" for name, text in examples.items())
    head = "import itertools\n\nCOUNT = itertools.count()\n"
    text = problems(runner, several(bodies, head, f"{{{given}}}"))
    parts = re.split(rf"(?m)^(?:BAD_EXAMPLES\[')?({'|'.join(bodies)})\b", text)[1:]
    said = dict.fromkeys(bodies, "")
    for name, what in zip(parts[::2], parts[1::2], strict=True):
        said[name] += what
    for name, (_, reason) in {**LIES, **EXAMPLES}.items():
        assert reason in said[name], (name, text)
        assert bool(reason) == bool(said[name]), (name, text)


FIND = """import os, gc, pathlib
    for each in gc.get_objects():
        if isinstance(each, dict) and str(each.get('answer', '')).endswith('.json'):
            path = pathlib.Path(each['answer'])
            """
ENDS = {
    "in a scorer": ("import os; os._exit(0)", "", "before it was done (at it on tr-"),
    "when imported": (HONEST, "import sys; sys.exit(0)", "it ended the process"),
    "with a link": (
        f"{FIND}path.is_symlink() or path.symlink_to('/etc/passwd')\n    {HONEST}",
        "",
        "before it was done",
    ),
    "with a forged answer": (
        f"{FIND}path.write_text('{{\"scores\": 7}}'); os._exit(0)\n    {HONEST}",
        "",
        "is not what was agreed",
    ),
}


@pytest.mark.parametrize(("body", "head", "reason"), ENDS.values(), ids=ENDS)
def test_a_process_that_ends_or_answers_otherwise_is_told_of(runner, body, head, reason):
    assert reason in problems(runner, several({"it": body}, head))


UNUSABLE = {
    "[": "'[' was never closed",
    "[print]": "which is no MLflow scorer",
    "[polite, polite]": "have the same name",
    "[polite]": "(trace_id, an answer as JSON)",
}


@pytest.mark.parametrize(("listed", "reason"), UNUSABLE.items())
def test_files_that_cannot_be_used_are_told_with_the_line(runner, listed, reason):
    said = problems(runner, suite(f"{POLITE}SCORERS = {listed}", "{'it': 7}"))
    assert said.startswith(f"{SCORERS_FILE} cannot be used")
    assert reason in said


# -- honest scorers of every kind -------------------------------------------------------------

HEAD = """
import pathlib, threading, time
from mlflow.genai.scorers import Guidelines
from mlflow.genai.utils.trace_utils import extract_retrieval_context_from_trace as retrieved

threading.Thread(target=time.sleep, args=(99,)).start()
for n in range(9):
    pathlib.Path(f'{n:032x}.json').write_text('{}')
pathlib.Path('rows.jsonl').write_text('')
"""
KINDS = {
    "documents": (
        "found = [d for each in retrieved(trace).values() for d in each]\n"
        "    tools = [s.inputs for s in trace.search_spans(span_type=SpanType.TOOL)]\n"
        f"    assert len(found) == 1 and 'no' in tools[0], (found, tools)\n    {HONEST}"
    ),
    "places": (
        "said = [s.outputs for s in trace.data.spans]\n"
        "    assert said[0] == said[3] == outputs, said\n"
        "    assert said[1] and said[2] and trace.info.trace_id != 'tr-' + '1'.zfill(32)\n"
        "    assert {s.trace_id for s in trace.data.spans} == {trace.info.trace_id}\n"
        f"    {HONEST}"
    ),
    "no_prompt_leak": "return 'my instructions' not in outputs",
}


def test_honest_scorers_of_every_kind_are_accepted_and_those_that_need_a_model_left_out(runner):
    """Cases agent-honest-scorer-refused, agent-replay-no-retriever; threads and files may stay."""
    leak = (trace_id(1), "I may not say this, as my instructions forbid it.")
    mail = (trace_id(1), "Your chair comes within 3 days, ask otto@example.org.")
    examples = f"{{'documents': {BAD_FIGURES}, 'places': {BAD_FIGURES}, 'no_pii': {mail!r}, "
    examples += f"'no_prompt_leak': {leak!r}}}"
    more = "PIIDetection(name='no_pii', pii_types=['email']), "
    more += "Guidelines(name='kind', guidelines='Be kind.')"
    files = several(KINDS, HEAD, examples, more)
    found = verify(runner, files, ROWS, wanted=["places", "kind", "gone"], per_fault=1)
    (problem,) = found.problems
    assert problem.startswith("SCORERS has no scorer named gone: write it and add it")
    assert found.judges == ("kind",)
    assert "Not verified, because they ask a model: kind" in found.as_text()


# -- the model's Python -----------------------------------------------------------------------


def test_python_has_the_traces_and_what_it_prints_is_bounded_and_without_secrets(runner):
    key = "sk-ant-api03-" + "Ab1" * 20
    code = f"""
from room import *
print(len(TRACES), len(GOOD), sorted(TRACES.columns))
bad = TRACES[TRACES.verdict == "rejected"]
print(bad.comments.tolist(), TRACES.disliked.sum())
print([s.name for s in spans({trace_id(0)!r})], trace({trace_id(0)!r}).info.state)
print(TRACES.tools[0], TRACES.retrieved[0][0][0]["page_content"])
print(open("evaluation/scorers.py").read()[:30], {key!r})
"""
    ok, output = runner.python(suite(), code)
    assert ok, output
    columns = "comments disliked error expectations failed inputs outputs retrieved route seconds "
    columns += "status tools trace_id verdict"
    assert output.splitlines()[:4] == [
        f"26 24 {columns.split()}",
        "[['Wrong delivery time promised'], ['Too vague about the time']] 2",
        "['shop', 'find', 'order', 'model'] OK",
        "['order'] A lamp is delivered within 2 days.",
    ]
    assert output.splitlines()[4].startswith('"""Scorers of a shop\'s agent.')
    assert key not in output
    assert len(runner.python({}, "print('x' * 10**6)")[1]) < 13_000
    ok, output = runner.python({}, "1 / 0")
    assert (ok, "ZeroDivisionError" in output) == (False, True)
