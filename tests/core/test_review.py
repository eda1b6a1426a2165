"""A pull replaces one key of review.yaml and nothing else."""

import pytest
import yaml

from evalkit.core.review import Annotation, parse_review, with_annotations, with_comment
from evalkit.errors import InputError

SAID = [Annotation("c1", "tr-1", "tone", True, "kind: é\nreally", "ann", "2026-01-02T03:04:05Z")]
AFTER = "mlflow_feedback:\n- case_id: c1\n"


@pytest.mark.parametrize(
    ("before", "head", "tail"),
    [
        ("", "", ""),
        ("# a note\n", "# a note\n", ""),
        (
            "run_id: x # kept\nfeedback:\n  a: ''\n# end\n",
            "run_id: x # kept\nfeedback:\n  a: ''\n# end\n",
            "",
        ),
        ("run_id: x", "run_id: x\n", ""),
        (
            "a: 1\nmlflow_feedback:\n- name: |\n    text\n\n    more\n\n# about b\nb: 2 # two\n",
            "a: 1\n",
            "# about b\nb: 2 # two\n",
        ),
        ("mlflow_feedback: {old: form}\nb: 2\n", "", "b: 2\n"),
        ("mlflow_feedback:\n# why empty\nb: 2\n", "", "# why empty\nb: 2\n"),
        ("mlflow_feedback: []", "", ""),
    ],
)
def test_only_the_text_of_the_key_changes(before, head, tail):
    after = with_annotations(before, "review.yaml", SAID)
    assert after.startswith(head + AFTER)
    assert after.endswith(tail)
    assert len(after) == len(head) + len(tail) + len(with_annotations("", "f", SAID))
    assert yaml.safe_load(after)["mlflow_feedback"][0]["rationale"] == "kind: é\nreally"
    assert with_annotations(after, "review.yaml", SAID) == after


def test_windows_line_ends_stay():
    after = with_annotations("a: 1\r\nmlflow_feedback: []\r\n# c\r\n", "f", SAID)
    assert after.count("\r\n") == after.count("\n")


def test_nothing_said_and_no_key_leaves_the_text_alone():
    assert with_annotations("a: 1 # x", "f", []) == "a: 1 # x"
    assert with_annotations("mlflow_feedback: [1]\n", "f", []) == "mlflow_feedback: []\n"


@pytest.mark.parametrize(
    "text", ["mlflow_feedback: &a [1]\nother: *a\n", "a: 1\n...\n", "{a: 1}", "- 1", "a: ["]
)
def test_a_file_that_cannot_be_edited_safely_is_refused(text):
    with pytest.raises(InputError):
        with_annotations(text, "review.yaml", SAID)


def test_feedback_is_read_as_comments():
    text = "run_id: r\nreviewer: ann\nfeedback:\n  a: too long\n  b: ''\n  c:\n  d: 5\n"
    review = parse_review(text, "review.yaml")
    assert review.reviewer == "ann"
    assert review.feedback == {"a": "too long", "b": "", "c": "", "d": "5"}


@pytest.mark.parametrize("text", ["feedback: [1]", "feedback: {a: [1]}", "- x", "5"])
def test_wrong_shapes_are_refused(text):
    with pytest.raises(InputError, match="review.yaml"):
        parse_review(text, "review.yaml")


REVIEW = """\
# read on Monday
reviewer: ann  # by phone

feedback:
  a: too long   # twice
  b: ''

mlflow_feedback: []
"""


@pytest.mark.parametrize(
    ("case", "comment", "line", "instead_of"),
    [
        ("a", "", "  a: ''   # twice\n", "  a: too long   # twice\n"),
        ("a", "  shorter \n", "  a: shorter   # twice\n", "  a: too long   # twice\n"),
        ("b", "why?", "  b: why?\n", "  b: ''\n"),
        ("c", "", "  b: ''\n  c: ''\n", "  b: ''\n"),
        ("c", "x: 1  \r\ny", "  b: ''\n  c: |-\n    x: 1\n    y\n", "  b: ''\n"),
        ("a", None, "", "  a: too long   # twice\n"),
        ("c", None, "", ""),
    ],
)
def test_one_comment_changes_and_every_other_byte_stays(case, comment, line, instead_of):
    after = with_comment(REVIEW, "review.yaml", case, comment)
    assert after == REVIEW.replace(instead_of, line, 1)


def test_a_new_review_says_of_which_run_it_is_and_who_made_it():
    after = with_comment("", "review.yaml", "a", "", run_id="2026-01-02-x", reviewer="ann")
    assert after == "run_id: 2026-01-02-x\nreviewer: ann\nfeedback:\n  a: ''\n"
    again = with_comment(after, "review.yaml", "b", "no", run_id="other", reviewer="bob")
    assert again == after + "  b: 'no'\nreviewers:\n  b: bob\n"
