"""review.yaml: read, comments saved one by one, annotations under one key, all other bytes kept."""

import pytest
import yaml
from eval_project import CASES, RUN, RUN_ID

from evalkit import Workspace, reading
from evalkit.feedback.review_file import ANNOTATION, read_review, save_comments, with_annotations

TOLD = ("c1", "tr-1", "tone", True, "kind: é\nreally", "ann", "2026-01-02T03:04:05Z")
SAID = [dict(zip(ANNOTATION, TOLD, strict=True))]
OWN = "run_id: x # kept\nfeedback:\n  a: ''\n# end\n"
OLD = "mlflow_feedback:\n- name: |\n    text\n\n    more\n"


@pytest.mark.parametrize(
    ("before", "head", "tail"),
    [
        (OWN, OWN, ""),
        (f"a: 1\n{OLD}\n# about b\nb: 2 # two\n", "a: 1\n", "\n# about b\nb: 2 # two\n"),
        ("mlflow_feedback: {old: form}\nb: 2\n", "", "b: 2\n"),
        ("mlflow_feedback:\n# why empty\nb: 2\n", "", "# why empty\nb: 2\n"),
    ],
)
def test_only_the_text_of_the_key_changes(before, head, tail):
    after = with_annotations(before, "review.yaml", SAID)
    assert after == head + with_annotations("", "f", SAID) + tail
    assert yaml.safe_load(after)["mlflow_feedback"][0]["rationale"] == "kind: é\nreally"
    assert with_annotations(after, "review.yaml", SAID) == after


@pytest.fixture
def workspace(project):
    return Workspace.open(project.root / "eval.yaml")


@pytest.fixture
def found(workspace):
    return workspace.run(RUN_ID)


def test_comments_are_saved_and_taken_back_and_each_keeps_its_reviewer(
    project, found, evalkit, mlflow
):
    save_comments(found, {"alpha": "", "beta": "too short"}, "ann")
    review, _ = save_comments(found, {"alpha": None, "gamma": "no\nnever"}, "bob")
    assert review == read_review(found)
    assert project.review.read_text() == (
        f"run_id: {RUN_ID}\nreviewer: ann\n"
        "feedback:\n  beta: too short\n  gamma: |-\n    no\n    never\n"
        "reviewers:\n  gamma: bob\n"
    )
    save_comments(found, {"alpha": "rude"})
    for stage in ("log-results", "push-feedback"):
        evalkit(stage, *RUN)
    said = {case: mlflow.feedback(case)["human_review"].source.source_id for case in CASES}
    assert said == {"alpha": "ann", "beta": "ann", "gamma": "bob"}


@pytest.mark.parametrize(
    ("seen", "meanwhile", "mine", "stays", "theirs"),
    [
        ({}, "feedback: {alpha: bad}\n", "", "bad", {"alpha": "bad"}),
        ({"alpha": "bad"}, "feedback: {beta: ''}\n", "worse", None, {"alpha": None}),
        ({"alpha": "bad"}, "feedback: {alpha: ''}\n", "worse", "", {"alpha": ""}),
        ({"alpha": "bad"}, "feedback: {alpha: bad}\n", "worse", "worse", {}),
        ({}, "feedback: {beta: bad}\n", "", "", {}),
    ],
)
def test_nobody_writes_over_words_that_they_have_not_seen(
    project, found, seen, meanwhile, mine, stays, theirs
):
    project.review.write_text(meanwhile)
    review, in_the_way = save_comments(found, {"alpha": mine}, seen=seen)
    assert (review.feedback.get("alpha"), in_the_way) == (stays, theirs)
    assert read_review(found) == review


def test_around_a_case_stand_its_task_what_was_expected_and_what_came_of_it(
    project, workspace, found
):
    folder = f"{project.run_dir}/cases/alpha"
    project.write(f"{folder}/reply.md", "Dear alpha, my key is sk-ant-" + "a1B2c3D4" * 5)
    project.write(f"{folder}/shot.png", b"\x89PNG\xff")
    project.write(f"{folder}/huge.txt", "x" * (200_001))
    asked, expected, produced = reading.around_case(workspace, found, "alpha")
    assert asked == {"input.yaml: prompt": "please handle alpha"}
    assert expected == {"expected.yaml: outcome": "alpha is handled"}
    reply = produced.pop("reply.md")
    assert produced == {"shot.png": None, "huge.txt": None}
    assert (reply.startswith("Dear alpha, my key is "), "a1B2c3D4" in reply) == (True, False)

    project.remove("cases/beta")
    project.remove(f"{project.run_dir}/cases/beta")
    assert reading.around_case(workspace, found, "beta") == ({}, {}, {})
    secret = project.write("secret.txt", "not yours")
    (project.root / project.run_dir / "cases/gamma/link.txt").symlink_to(secret)
    *_, produced = reading.around_case(workspace, found, "gamma")
    assert list(produced) == ["link.txt"]
    assert produced["link.txt"].startswith("(not read: it leads out of ")


REVIEW = f"""\
# read on Monday
reviewer: ann  # by phone

feedback:
  alpha: too long   # twice
  beta: ''

mlflow_feedback: []
run_id: {RUN_ID}
"""


@pytest.mark.parametrize(
    ("case", "comment", "line", "instead_of"),
    [
        ("alpha", "  shorter \n", "  alpha: shorter   # twice\n", "  alpha: too long   # twice\n"),
        ("gamma", "x: 1  \r\ny", "  beta: ''\n  gamma: |-\n    x: 1\n    y\n", "  beta: ''\n"),
        ("alpha", None, "", "  alpha: too long   # twice\n"),
    ],
)
def test_one_comment_changes_and_every_other_byte_stays(
    project, found, case, comment, line, instead_of
):
    project.review.write_text(REVIEW)
    save_comments(found, {case: comment})
    assert project.review.read_text() == REVIEW.replace(instead_of, line, 1)
