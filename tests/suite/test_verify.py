"""What a suite has to show to be called verified, with honest and with lying suites."""

from __future__ import annotations

from dataclasses import replace

import pytest
from suite_rows import (
    BAD_FIGURES,
    FIGURES,
    HEAD,
    LIMITS,
    POLITE,
    REASON,
    row,
    shop_rows,
    suite,
    trace_id,
)

from evalkit.suite.model import LIMITS_FILE, SCORERS_FILE, Row, Verification
from evalkit.suite.runner import Runner
from evalkit.suite.verify import verify

ROWS = shop_rows()


@pytest.fixture(scope="module")
def runner(sandbox):
    return Runner(sandbox, ROWS, scorer_seconds=1)


def one(body: str, head: str = "") -> dict[str, bytes]:
    return several({"it": body}, head)


def several(bodies: dict[str, str], head: str = "", examples: str = "") -> dict[str, bytes]:
    """A suite of scorers with these bodies, whose bad example is that of the figures."""
    code = head
    for name, body in bodies.items():
        code += f"\n\n@scorer\ndef {name}(inputs, outputs, expectations, trace):\n    {body}\n"
    same = f"dict.fromkeys([each.name for each in SCORERS], {BAD_FIGURES})"
    limits = LIMITS + f"\n- {trace_id(24)}: {REASON}. Guideline for a judge: the time is right.\n"
    return suite(f"{code}\n\nSCORERS = [{', '.join(bodies)}]\n", examples or same, limits)


HONEST = "return '99' not in str(outputs) and '77' not in str(outputs)"


def problems(runner, files: dict[str, bytes], rows: list[Row] = ROWS, **more) -> str:
    found = verify(runner, files, rows, per_fault=1, **more)
    assert (found.word == "not verified") is bool(found.problems)
    return "\n".join(found.problems)


def test_an_honest_suite_is_verified_and_its_words_begin_with_people(runner):
    found = verify(runner, suite(), ROWS)
    assert (found.word, found.problems) == ("verified", ())
    assert found.as_text().startswith(
        "Of 2 answers that people rejected, 1 are failed by some scorer, 1 named in LIMITS.md with "
        "a guideline for a judge; of 4 that they accepted, 4 pass every scorer."
    )
    assert "The suite is verified. It stands on 26 traces, 24 of them good answers." in (
        found.as_text()
    )
    assert found.people["kappa"] == 0.571
    assert found.scorers["figures"]["good_passed"] == found.scorers["figures"]["good"] == 24
    assert sum(noticed for noticed, _ in found.faults.values()) > 0
    assert found.one_sentence["failed"] >= 0.9 * found.one_sentence["rows"]
    assert found.as_json()["verified"] is True


# -- lies -------------------------------------------------------------------------------------

LIES = {
    "passes_all": ("return True", "does not fail its own bad example"),
    "fails_all": ("return False", "refuses 24 of 24 good answers (at most 1 may be)"),
    "goes_by_the_id": (
        f"return trace.info.trace_id != {trace_id(0)!r} or '77' not in outputs",
        "does not fail its own bad example",
    ),
    "counts_its_calls": ("return next(COUNT) % 2 == 0", "about one and the same answer"),
    "errs": ("return outputs['nowhere'] > 1", 'it failed: File "evaluation/scorers.py", line '),
    "raises_what_ends": ("raise SystemExit(0)", "nothing in the suite may do that"),
    "says_no_verdict": ("return 'great'", "its value 'great' is no verdict"),
    "says_no_number": ("return float('nan')", "its value nan is no verdict"),
    "says_an_error": ("return Feedback(error=ValueError('no'))", "its Feedback holds an error"),
    "never_applies": ("return None", "never applies: it gives None on each of the 26 rows"),
    "hangs": ("while True: pass", "it did not end within 1 s on tr-"),
    "swallows": (
        "while True:\n        try: import time; time.sleep(9)\n        except OSError: pass",
        "it did not end within 1 s on tr-",
    ),
    "matches_forever": ("return not re.match('(a+)+$', 'a' * 40 + '!')", "within 1 s on tr-"),
    "spoils_for_others": (
        "inputs.clear(); expectations['x'] = 1; return bool(outputs) and '77' not in outputs",
        "",
    ),
}


def test_scorers_that_lie_are_told_of_each_by_its_name(runner):
    head = "import itertools\n\nCOUNT = itertools.count()\n"
    text = problems(runner, several({name: body for name, (body, _) in LIES.items()}, head))
    for name, (_, reason) in LIES.items():
        own = [line for line in text.splitlines() if line.startswith(f"{name} ")]
        assert bool(reason) == bool(own), (name, own)
        assert not own or any(reason in part for part in text.split(f"{name} ")), (name, text)


FIND = """import os, gc, pathlib
    for each in gc.get_objects():
        if isinstance(each, dict) and str(each.get('answer', '')).endswith('.json'):
            path = pathlib.Path(each['answer'])
            """
LEFT = """import pathlib, threading, time
threading.Thread(target=time.sleep, args=(99,)).start()
for n in range(9):
    pathlib.Path(f'{n:032x}.json').write_text('{}')
pathlib.Path('rows.jsonl').write_text('')
"""
ENDS = {
    "in a scorer": ("import os; os._exit(0)", "", "before it was done (at it on tr-"),
    "when imported": (HONEST, "import sys; sys.exit(0)", "it ended the process"),
    "with a thread and files that it leaves": (HONEST, LEFT, ""),
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


@pytest.mark.parametrize("how", ENDS)
def test_a_process_that_ends_or_answers_otherwise_is_told_of(runner, how):
    body, head, reason = ENDS[how]
    said = problems(runner, one(body, head))
    assert reason in said
    assert bool(reason) == bool(said)


def test_a_scorer_that_refuses_one_good_answer_of_twenty_four_may_stay(runner):
    one_refused = "return not re.search(r'no. 100|99 days|77 days', outputs)"
    assert problems(runner, one(one_refused)) == ""
    two_refused = one_refused.replace("100", "10[01]")
    assert "it refuses 2 of 24" in problems(runner, one(two_refused))


FORMS = {
    "missing": ("", "is missing"),
    "no_trace": ("('tr-made-up', 'x')", "names tr-made-up, which is no trace"),
    "no_text": (f"({trace_id(0)!r}, {{'a': 1}})", "it is a dict"),
    "too_short": (f"({trace_id(0)!r}, '77')", "it has 2 characters"),
}


def test_a_bad_example_has_the_form_of_a_good_answer(runner):
    given = ", ".join(f"{name!r}: {text}" for name, (text, _) in FORMS.items() if text)
    said = problems(runner, several(dict.fromkeys(FORMS, HONEST), examples=f"{{{given}}}"))
    for name, (_, reason) in FORMS.items():
        assert any(
            f"BAD_EXAMPLES['{name}']" in each and reason in each for each in said.split("\n")
        )
    for examples in (f"{{'it': ({trace_id(0)!r}, object())}}", "{'it': 7}"):
        said = problems(runner, several({"it": HONEST}, examples=examples))
        assert "has to be (trace_id, an answer as JSON)" in said


# -- people -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        ("", "people rejected tr-0000000000000000000000000000001a (Too vague about the time) and"),
        (f"- {trace_id(25)}: a judge has to look", "have a section"),
        (f"- {trace_id(25)}: too vague about the time", "have a section"),
        (f"# A\n{trace_id(25)}\n# B\nguideline: not vague about time", "have a section"),
    ],
)
def test_what_people_rejected_is_failed_or_explained(runner, limits, reason):
    assert reason in problems(runner, suite(limits=limits))


def test_a_suite_whose_scorers_pass_all_rejected_answers_does_not_hold(runner):
    """Case verified-suite-passes-rejected."""
    files = suite(f"{POLITE}SCORERS = [polite]\n", limits="")
    found = verify(runner, files, ROWS)
    assert found.word == "not verified"
    assert found.as_text().startswith("Of 2 answers that people rejected, 0 are failed")
    assert f"people rejected {trace_id(24)} ({REASON})" in found.as_text()


# -- how much it stands on --------------------------------------------------------------------


@pytest.mark.parametrize(("count", "word"), [(9, "too few traces"), (10, "verified")])
def test_under_ten_good_answers_nothing_is_called_verified(sandbox, count, word):
    """Case agent-one-row-verified."""
    rows = [row(number) for number in range(count)]
    found = verify(Runner(sandbox, rows), suite(limits=""), rows)
    assert (found.word, found.problems) == (word, ())
    assert found.as_text().startswith("Nobody has judged any of these answers")
    assert ("Too few traces" in found.as_text()) == (word != "verified")
    assert found.as_json()["verified"] is (word == "verified")


# -- honest scorers of every kind -------------------------------------------------------------

LEAK = """
@scorer
def no_prompt_leak(outputs):
    return "my instructions" not in outputs


SCORERS = [no_prompt_leak, PIIDetection(name="no_pii", pii_types=["email"])]
"""


def test_scorers_for_leaks_and_personal_data_are_accepted(runner):
    """Case agent-honest-scorer-refused."""
    leak = (trace_id(1), "I may not say this, as my instructions forbid it.")
    mail = (trace_id(1), "Your chair comes within 3 days, ask otto@example.org.")
    bad = repr({"no_prompt_leak": leak, "no_pii": mail})
    limits = LIMITS + f"\n- {trace_id(24)}: {REASON}. Guideline: the time is that of our terms."
    assert problems(runner, suite(LEAK, bad, limits)) == ""


def test_scorers_see_documents_tool_arguments_and_the_answer_wherever_the_trace_has_it(runner):
    """Case agent-replay-no-retriever."""
    found = (
        "from mlflow.genai.utils.trace_utils import extract_retrieval_context_from_trace as of\n"
        "    found = [d for each in of(trace).values() for d in each]\n"
        "    tools = [s.inputs for s in trace.search_spans(span_type=SpanType.TOOL)]\n"
        "    assert len(found) == 1 and 'no' in tools[0], (found, tools)\n"
        f"    {HONEST}"
    )
    placed = (
        "said = [s.outputs for s in trace.data.spans]\n"
        "    assert said[0] == said[3] == outputs, said\n"
        "    assert said[1] and said[2] and trace.info.trace_id != 'tr-' + '1'.zfill(32)\n"
        "    assert {s.trace_id for s in trace.data.spans} == {trace.info.trace_id}\n"
        f"    {HONEST}"
    )
    assert problems(runner, several({"found": found, "placed": placed})) == ""


def test_scorers_that_need_a_model_are_left_out_and_named(runner):
    judge = "Guidelines(name='kind', guidelines='Be kind.')"
    code = f"{FIGURES}{POLITE}from mlflow.genai.scorers import Guidelines\n\n"
    files = suite(f"{code}SCORERS = [figures, polite, {judge}]\n")
    found = verify(runner, files, ROWS, wanted=["figures", "kind", "gone"], per_fault=1)
    (problem,) = found.problems
    assert problem.startswith("SCORERS has no scorer named gone: write it and add it")
    assert found.judges == ("kind",)
    assert "Not verified, because they ask a model: kind" in found.as_text()


def test_a_planned_scorer_is_given_up_only_under_a_heading_that_names_it(runner):
    for more, is_missed in [
        ("\nnew_names is hard, see also new_names.\n", True),
        ("\n## new_names\n", True),
        ("\n## Of new_names_too\nNothing.\n", True),
        ("\n## new_names\n\nNo answer names anybody.\n", False),
    ]:
        said = problems(runner, suite(limits=LIMITS + more), wanted=["figures", "new_names"])
        assert ("no scorer named new_names" in said) == is_missed, more


def test_a_secret_in_the_files_is_named_and_not_shown(runner):
    key = "sk-ant-api03-" + "Ab1" * 20
    said = problems(runner, suite(limits=f"{LIMITS}\nkey {key}"))
    assert f"{LIMITS_FILE} holds a secret" in said
    assert key not in said


def test_files_that_cannot_be_used_are_told_with_the_line(runner):
    for text, reason in [
        (b"SCORERS = [", "'[' was never closed"),
        (b"SCORERS = [print]", "which is no MLflow scorer"),
        ((HEAD + POLITE + "SCORERS = [polite, polite]").encode(), "have the same name"),
    ]:
        said = problems(runner, {SCORERS_FILE: text})
        assert said.startswith(f"{SCORERS_FILE} cannot be used")
        assert reason in said
    assert "write it first" in problems(runner, {})


def test_a_failed_trace_counts_for_nothing_but_valid_values(sandbox):
    rows = [*ROWS, replace(row(40), outputs=None, failed=True)]
    found: Verification = verify(Runner(sandbox, rows), suite(), rows)
    assert (found.word, found.good_rows, found.rows) == ("verified", 24, 27)
